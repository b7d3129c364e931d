"""What the repository keeps, as rows for people and JSON. Pure."""

from __future__ import annotations

import base64
import os
from typing import Literal, cast

from engine.base.units import format_time
from engine.contract.operations import EntryRow, SnapshotSummary
from engine.repository.entry import FOLDER, KIND_NAMES, Entry, path_text
from engine.repository.snapshot import Snapshot

EntryType = Literal["file", "folder", "symlink", "fifo", "socket", "character-device", "block-device"]
_TYPES: tuple[EntryType, ...] = cast("tuple[EntryType, ...]", KIND_NAMES)


def path_base64(path: bytes) -> str:
    """The very bytes of the absolute path in base64, where `path_text` cannot give them; else nothing."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(b"/" + path).decode("ascii")
    return ""


def path_bytes(text: str) -> bytes:
    """A path someone wrote, as snapshots have it: no slash at either end, no doubled ones, no `.` and `..`."""
    return os.path.normpath(b"/" + os.fsencode(text)).lstrip(b"/")


def entry_row(entry: Entry, *, snapshot: str = "") -> EntryRow:
    """One entry."""
    return EntryRow(
        path=path_text(entry.path),
        type=_TYPES[entry.kind],
        mode=f"{entry.mode:04o}",
        uid=entry.uid,
        gid=entry.gid,
        modified=format_time(entry.mtime_ns),
        size=entry.size,
        target=entry.target.decode("utf-8", "backslashreplace"),
        hash=entry.hash.hex(),
        path_base64=path_base64(entry.path),
        snapshot=snapshot,
    )


def snapshot_summary(snapshot: Snapshot, held: str = "") -> SnapshotSummary:
    """One recovery point, and why it is held, if it is."""
    body = snapshot.body
    return SnapshotSummary(
        id=snapshot.id,
        time=format_time(body.time_ns),
        host=body.host,
        sources=tuple(path_text(source.lstrip(b"/")) for source in body.sources),
        tags=body.tags,
        priority=body.priority,
        partial=body.partial,
        parent=body.parent,
        files=body.counts.files,
        bytes_source=body.counts.bytes_source,
        bytes_stored=body.counts.bytes_stored,
        files_unchanged=body.counts.files_unchanged,
        warnings=body.counts.warnings,
        engine_version=body.engine,
        held=held,
        committed=format_time(body.ended_ns),
    )


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies below it; everything lies below the empty one."""
    return not folder or path == folder or path.startswith(folder + b"/")


def is_folder(entry: Entry) -> bool:
    """Whether other entries may lie below it."""
    return entry.kind == FOLDER
