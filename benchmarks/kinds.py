"""What dedup and compression each give, by kind of file: JPEG, RAW, video, sidecars, documents, a database dump.

    python -m benchmarks.kinds

Kinds are made here, some 40 MB each: noise for pictures and video, which nothing compresses, and text for the rest. A
tenth of each lies there twice, as selects do. Each is backed up, then changed (100 bytes inserted into the middle of
one file in ten, so that all behind them moves), then backed up again. Prints JSON: MB of the source, of the chunks
that are not there already (what dedup leaves), and of what is stored for them (what compression leaves of that).
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.vaults import Vaults
from engine.repository.crypto import DATA_PACK
from engine.repository.pack import read_footer, split_records
from engine.storage.stores.memory import MemoryStore

_MB = 1_000_000
_KIND_BYTES = 36 * _MB
_SUFFIXES = {"jpeg": "jpg", "raw": "CR3", "video": "mp4", "sidecars": "xmp", "documents": "txt", "database dump": "sql"}


def make_kinds(root: Path, chance: random.Random) -> list[Path]:
    """A folder a kind."""
    words = [f"word{number}".encode() for number in range(5000)]
    row = b"INSERT INTO guest VALUES (%d,'%s',%d);\n"
    kinds: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: chance.randbytes(chance.randint(3 * _MB, 9 * _MB)),
        "raw": lambda: chance.randbytes(18 * _MB),
        "video": lambda: chance.randbytes(36 * _MB),
        "sidecars": lambda: b"<x:xmpmeta>" + b"".join(b"<li>%d</li>" % chance.randrange(10**6) for _ in range(400)),
        "documents": lambda: b" ".join(chance.choices(words, k=chance.randint(10_000, 150_000))),
        "database dump": lambda: b"".join(
            row % (number, chance.choice(words), chance.randrange(90)) for number in range(900_000)
        ),
    }
    for kind, content in kinds.items():
        folder = root / kind
        folder.mkdir()
        made: list[Path] = []
        size = 0
        while size < _KIND_BYTES:
            path = folder / f"{len(made):05}.{_SUFFIXES[kind]}"
            made.append(path)
            size += path.write_bytes(content())
        for path in chance.sample(made, -(-len(made) // 10)):
            shutil.copy(path, folder / f"select-{path.name}")
    return sorted(root.iterdir())


def measure(folder: Path, chance: random.Random) -> dict[str, dict[str, float]]:
    """The figures of a first backup, and of one after a change."""
    figures = {}
    with Vaults(MemoryStore(), streams=2) as made:
        wedding = made.repository.new_wedding_id()
        before = 0
        for step in ("first", "changed"):
            changed = _change(folder, chance) if step == "changed" else 0
            counts = made.back_up(wedding, folder)
            whole = _chunk_bytes(made, wedding)
            new, before = whole - before, whole
            figures[step] = {
                "files": counts.files,
                "files_changed": changed,
                "source_mb": round(counts.bytes_source / _MB, 2),
                "new_chunks_mb": round(new / _MB, 2),
                "stored_mb": round(counts.bytes_stored / _MB, 2),
                "dedup": round(counts.bytes_source / new, 2),
                "compression": round(new / counts.bytes_stored, 2),
            }
    return figures


def _chunk_bytes(made: Vaults, wedding: str) -> int:
    with made.repository.vault(wedding) as vault:
        names = [pack.name for pack in vault.index.packs() if pack.pack_type == DATA_PACK]
        footers = [read_footer(vault.store, vault.keys, name) for name in names]
        return sum(record.length for footer in footers for record in split_records(footer))


def _change(folder: Path, chance: random.Random) -> int:
    files = sorted(folder.iterdir())
    chosen = chance.sample(files, -(-len(files) // 10))
    for path in chosen:
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle:middle] = chance.randbytes(100)
        path.write_bytes(data)
    return len(chosen)


def main() -> None:
    """See the module's words."""
    chance = random.Random(11)
    with tempfile.TemporaryDirectory(prefix="wedsync-kinds-") as name:
        found = {folder.name: measure(folder, chance) for folder in make_kinds(Path(name), chance)}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
