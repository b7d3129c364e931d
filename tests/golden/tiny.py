"""A tiny whole repository, kept in `tiny/`: what every later engine has to read.

Made with recorded entropy and a clock that stands still. Two snapshots of one wedding; the second has most kinds of
entries. `python -m tests.golden.tiny` writes it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from blake3 import blake3
from msgspec.structs import replace

from engine.base.clock import FakeClock
from engine.base.ids import SnapshotId
from engine.contract.weddings import Wedding
from engine.repository import codec, crypto
from engine.repository.entry import ALL_HOLE, FIFO, FILE, FOLDER, SYMLINK, Entry
from engine.repository.keyring import KdfCost
from engine.repository.manifest import encode_segment
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Counts, Snapshot, SnapshotObject
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryStore
from tests.golden import world
from tests.golden.world import RecordedEntropy

KEPT = Path(__file__).with_name("tiny")
WEDDING = world.WEDDING.hex()
FIRST, SECOND = (RecordedEntropy(f"job {number}").token(16).hex() for number in (1, 2))
VOWS = b"I do.\n"
FIRST_FILES = {
    b"srv/wedding/guests.txt": b"".join(b"guest %d\n" % number for number in range(90)),
    b"srv/wedding/vows.txt": VOWS,
}
SECOND_FILES = {
    **FIRST_FILES,
    b"srv/wedding/\xff\n late.txt": b"so do I\n",
    b"srv/wedding/album/empty": b"",
    b"srv/wedding/album/hole": b"",
    b"srv/wedding/album/name 1": VOWS,
    b"srv/wedding/album/name 2": VOWS,
    b"srv/wedding/album/sparse": VOWS,
}
_MORE: dict[bytes, dict[str, Any]] = {
    b"srv/wedding/album/hole": {"size": 1 << 20, "extents": ALL_HOLE},
    b"srv/wedding/album/name 1": {"link_group": 5},
    b"srv/wedding/album/name 2": {"link_group": 5},
    b"srv/wedding/album/sparse": {"size": 9000, "extents": ((4096, 2), (8192, 4))},
}
_OTHERS = (
    Entry(b"srv/wedding/album", FOLDER, 0o2750, 0, 0, world.NOW_NS - 1),
    Entry(b"srv/wedding/album/to nowhere", SYMLINK, 0o777, 0, 0, -1, target=b"../no\xffwhere"),
    Entry(b"srv/wedding/pipe", FIFO, 0o600, 0, 0, 0),
)


def entries(files: dict[bytes, bytes], others: tuple[Entry, ...], chunk_key: bytes) -> list[Entry]:
    """A manifest."""
    found = [Entry(b"srv/wedding", FOLDER, 0o755, 0, 0, world.NOW_NS), *others]
    for path, data in files.items():
        ids = crypto.chunk_id(data, chunk_key) if data else b""
        entry = Entry(path, FILE, 0o640, 0, 0, world.NOW_NS + 1, size=len(data), chunks=ids, hash=blake3(data).digest())
        found.append(replace(entry, **_MORE.get(path, {})))
    return sorted(found, key=lambda entry: entry.components)


def _commit(vault: WeddingVault, job: str, parent: str, manifest: list[Entry], files: dict[bytes, bytes]) -> None:
    """Store what is new, and commit: the road of a backup, without a source."""
    transaction = Transaction(vault, vault.entropy)
    buffer = memoryview(bytearray(1 << 16))
    contents = [data for data in dict.fromkeys(files.values()) if data]
    ids = [crypto.chunk_id(data, vault.keys.chunk_key) for data in contents]
    wanted = transaction.claim(ids)
    (writer,) = transaction.checkout(crypto.DATA_PACK, 1)
    writer.open_unit(buffer)
    for data, chunk_id, is_new in zip(contents, ids, wanted, strict=True):
        if is_new:
            place = writer.seal(data, codec.RAW)
            writer.record(chunk_id, place, (0, len(data)), codec.RAW)
    stored = writer.close_unit()
    transaction.checkin(crypto.DATA_PACK, [writer], buffer)
    transaction.publish_all(buffer)
    body = SnapshotObject(
        wedding=world.WEDDING,
        time_ns=world.NOW_NS - (1 if parent else 0),  # its clock was behind: the order is by parent
        ended_ns=world.NOW_NS,
        host="ops-1",
        sources=(b"/srv/wedding",),
        priority="standard",
        tags=(),
        parent=parent,
        partial=False,
        segments=(),
        inline_entries=encode_segment(manifest).data,
        inline_packs=transaction.take_inline(),
        counts=Counts(entries=len(manifest), files=len(files), bytes_stored=stored),
        warnings=(),
        engine="0.1.0",
    )
    transaction.commit(Snapshot(SnapshotId(job), body))


def build() -> dict[str, bytes]:
    """Every object, by name."""
    store = MemoryStore()
    home = Home(FakeClock(world.NOW_NS), RecordedEntropy("tiny"), SeenNumbers(None))
    repository = Repository.create(store, world.PASSPHRASE, label="tiny", home=home, cost=KdfCost(1, 64, 1))
    wedding = Wedding(
        id=WEDDING, name="smith-jones", date=dt.date(2026, 6, 20), venue="Bath", latitude=51.38, longitude=-2.36
    )
    repository.register.put(wedding)
    with repository.vault(WEDDING) as vault:
        key = vault.keys.chunk_key
        _commit(vault, FIRST, "", entries(FIRST_FILES, (), key), FIRST_FILES)
        _commit(vault, SECOND, FIRST, entries(SECOND_FILES, _OTHERS, key), SECOND_FILES)
    repository.close()
    return {info.name: store.get(info.name, limit_bytes=1 << 20) for info in store.list("")}


def kept() -> dict[str, bytes]:
    """The objects in `tiny/`, by name."""
    files = [path for path in KEPT.rglob("*") if path.is_file()]
    return {path.relative_to(KEPT).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    """Write it; `tiny/` must not be there."""
    for name, data in build().items():
        path = KEPT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()
