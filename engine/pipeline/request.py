"""What a backup is asked to do, and what every commit of it says of itself. Values only; any thread."""

from __future__ import annotations

import msgspec

from engine.base.version import VERSION
from engine.contract.weddings import PriorityClass
from engine.pipeline.folders import Identity
from engine.pipeline.objects import Origin
from engine.repository.snapshot import Counts, SnapshotObject


class BackupRequest(msgspec.Struct, frozen=True):
    """What to back up. `stream` is (path in the snapshot, descriptor) and takes the place of sources.

    `changed` are absolute paths: a watch vouches that nothing else has changed since the newest snapshot of the same
    sources, tags and host. Empty: everything is looked at.
    """

    job_id: str
    sources: tuple[bytes, ...]  # absolute
    tags: tuple[str, ...] = ()
    priority: PriorityClass = "standard"
    host: str = ""
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    stream: tuple[bytes, int] | None = None
    changed: tuple[bytes, ...] = ()
    origins: tuple[Origin, ...] = ()  # buckets, in the place of paths: `sources` are then what they are called
    own: frozenset[Identity] = frozenset()  # files and folders of the engine that are passed over, beside the store


def head_of(request: BackupRequest, *, wedding: bytes, parent: str, started_ns: int) -> SnapshotObject:
    """The snapshot as it stands before anything is backed up."""
    return SnapshotObject(
        wedding=wedding,
        time_ns=started_ns,
        ended_ns=started_ns,
        host=request.host,
        sources=request.sources if request.stream is None else (request.stream[0],),
        priority=request.priority,
        tags=request.tags,
        parent=parent,
        partial=False,
        segments=(),
        inline_entries=b"",
        inline_packs=(),
        counts=Counts(),
        warnings=(),
        engine=VERSION,
    )
