"""From a source to a target without a repository between: the two ends of the road of the bytes, joined for tests."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from blake3 import blake3

from engine.base.entropy import SystemEntropy
from engine.pipeline.excludes import Excludes
from engine.pipeline.extents import DataMap
from engine.pipeline.source import SourceFile, entry_of, entry_of_file
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.targets.target import RestoreTarget
from engine.pipeline.walk import WalkItem, WalkWarning, walk
from engine.repository.entry import FILE, Entry

NOW_NS = 5_000_000_000 * 10**9  # far in the future: every ctime is trusted


@dataclass(frozen=True, slots=True)
class Read:
    """An entry as a snapshot would hold it, and its data stream."""

    entry: Entry
    data: bytes = b""


def read_item(item: WalkItem) -> Read:
    """The entry of one item, its hash filled in. Raises SourceProblem."""
    if not stat.S_ISREG(item.stat.st_mode):
        return Read(entry_of(item, now_ns=NOW_NS)[0])
    with SourceFile(item) as source:
        entry, _ = entry_of_file(item.path, source, now_ns=NOW_NS)
        buffer = bytearray(source.data_bytes)
        count = source.read_into(memoryview(buffer), 0)
        assert count == len(buffer)
    return Read(msgspec.structs.replace(entry, hash=blake3(buffer).digest()), bytes(buffer))


def read_all(*sources: bytes, excludes: Sequence[str] = ()) -> list[Read]:
    """Everything below `sources`; a warning of the walk fails."""
    read: list[Read] = []
    for item in walk(sources, excludes=Excludes(excludes)):
        assert not isinstance(item, WalkWarning), item
        read.append(read_item(item))
    return read


def write_all(target: RestoreTarget, read: Iterable[Read], *, piece: int = 1 << 20) -> None:
    """Restore `read`, the pieces of a file last to first where the target lets us, and finish."""
    for each in read:
        writer = target.begin(each.entry)
        if writer is None:
            continue
        assert each.entry.kind == FILE
        data_map = DataMap(each.entry.size, each.entry.extents)
        starts = range(0, len(each.data), piece)
        for start in reversed(starts) if target.random_access else starts:
            done = start
            for offset, length in data_map.pieces(start, min(piece, len(each.data) - start)):
                writer.write_at(offset, memoryview(each.data)[done : done + length])
                done += length
        writer.commit()
    target.finish()


POLICIES: tuple[Overwrite, ...] = ("ask", "never", "changed", "always")


def target_at(root: Path, *, prefix: bytes | Path = b"", overwrite: Overwrite = "never") -> FolderTarget:
    """A target at `root`."""
    return FolderTarget(bytes(root), entropy=SystemEntropy(), strip_prefix=bytes(prefix), overwrite=overwrite)


def restore_folder(source: Path, back: Path, *, overwrite: Overwrite = "never") -> FolderTarget:
    """Restore what stands at `source` into `back`."""
    target = target_at(back, prefix=source, overwrite=overwrite)
    write_all(target, read_all(bytes(source)))
    return target


def put(target: FolderTarget, entry: Entry, data: bytes = b"") -> bool:
    """Restore one file; False when there was nothing to write or it does not stand."""
    writer = target.begin(entry)
    if writer is None:
        return False
    writer.write_at(0, memoryview(data))
    return writer.commit()


def warned(target: FolderTarget) -> list[tuple[bytes, str]]:
    """The warnings as pairs."""
    return [(warning.path, warning.what) for warning in target.warnings]
