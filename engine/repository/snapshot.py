"""Snapshots and checkpoints: the commit (docs/format.md, section 6.6)."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, NotFound, UsageError
from engine.base.ids import CHUNK_ID_BYTES, SnapshotId
from engine.contract.weddings import PriorityClass
from engine.repository import codec, crypto, layout
from engine.repository.keyring import WeddingKeys
from engine.repository.manifest import SegmentRef
from engine.repository.pack import PackEntry
from engine.storage.stores.store import ObjectStore

WARNINGS_KEPT = 1000
INLINE_ENTRIES_MAX = 256
INLINE_BYTES_MAX = 64 * 1024
INLINE_RECORDS_MAX = 256
_PREFIX_DIGITS_MIN = 4
_AFTER_CHECKPOINTS = 10**9  # more than any checkpoint's number


class SnapshotWarning(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Something that could not be kept as it was."""

    path: bytes
    what: str


class Counts(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Totals of a snapshot."""

    entries: int = 0
    files: int = 0
    bytes_source: int = 0
    bytes_stored: int = 0
    bytes_reused: int = 0
    files_unchanged: int = 0
    warnings: int = 0


class SnapshotObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Payload of a snapshot; on disk, never change the order."""

    wedding: bytes
    time_ns: int
    ended_ns: int
    host: str
    sources: tuple[bytes, ...]
    priority: PriorityClass
    tags: tuple[str, ...]
    parent: str
    partial: bool
    segments: tuple[SegmentRef, ...]
    inline_entries: bytes
    inline_packs: tuple[PackEntry, ...]
    counts: Counts
    warnings: tuple[SnapshotWarning, ...]
    engine: str


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot with its name."""

    id: SnapshotId
    body: SnapshotObject

    @property
    def partial(self) -> bool:
        """Whether it is a checkpoint."""
        return self.body.partial


def write(store: ObjectStore, keys: WeddingKeys, snapshot: Snapshot, entropy: Entropy) -> None:
    """Commit: create the object, durably. Raises Conflict when this job has committed already."""
    name = layout.snapshots(keys.wedding) + snapshot.id
    binding = crypto.Binding.named(crypto.SNAPSHOT, name, keys.wedding)
    payload = codec.encode(snapshot.body)
    sealed = crypto.seal_object(payload, binding, secret=keys.secret, epoch=keys.epoch, entropy=entropy)
    store.put(name, sealed)


def read(store: ObjectStore, keys: WeddingKeys, snapshot_id: str) -> Snapshot:
    """One snapshot. Raises NotFound, IntegrityError."""
    name = layout.snapshots(keys.wedding) + snapshot_id
    data = store.get(name, limit_bytes=codec.OBJECT_BYTES_MAX)
    binding = crypto.Binding.named(crypto.SNAPSHOT, name, keys.wedding)
    payload = crypto.open_object(data, binding, secret_of=keys.secret_of, what=f"snapshot {snapshot_id}")
    body = codec.decode(payload, SnapshotObject, f"snapshot {snapshot_id}")
    if body.wedding != keys.wedding or body.partial != ("-" in snapshot_id):
        raise IntegrityError(f"snapshot {snapshot_id} is not what its name says")
    whole = all(len(ref.id) == CHUNK_ID_BYTES and ref.entries > 0 for ref in body.segments)
    if not whole or (body.segments and body.inline_entries) or not 0 <= body.time_ns < 1 << 63:
        raise IntegrityError(f"snapshot {snapshot_id} does not name its manifest as format 1 does")
    return Snapshot(SnapshotId(snapshot_id), body)


def delete(store: ObjectStore, keys: WeddingKeys, snapshot_id: str) -> None:
    """Delete a snapshot or checkpoint whose inline packs are in a fragment, durably; it may be gone already."""
    with contextlib.suppress(NotFound):
        store.delete(layout.snapshots(keys.wedding) + snapshot_id)


def find(found: Sequence[Snapshot], damaged: Mapping[str, str], text: str) -> Snapshot:
    """The one of `found`, oldest first, that is `latest`, has this id, or alone begins with these digits.

    `damaged`: those that cannot be read, and why. Raises NotFound, UsageError when several fit, IntegrityError when the
    one that is named is damaged.
    """
    if text in ("", "latest"):
        whole = [item for item in found if not item.partial]
        if not whole:
            _refuse_damaged({last: why for last, why in damaged.items() if layout.is_token(last)})
            raise NotFound("this wedding has no snapshot yet", "make one with backup")
        return whole[-1]
    for item in found:
        if item.id == text:
            return item
    matches = [item for item in found if item.id.startswith(text)] if len(text) >= _PREFIX_DIGITS_MIN else []
    fitting = {last: why for last, why in damaged.items() if last.startswith(text)}
    if matches and len(matches) + len(fitting) > 1:
        raise UsageError(f"{text!r} fits {len(matches) + len(fitting)} snapshots", "give more digits")
    if not matches:
        _refuse_damaged(fitting)
        raise NotFound(f"there is no snapshot {text!r}", "snapshots lists them")
    return matches[0]


def _refuse_damaged(damaged: Mapping[str, str]) -> None:
    for problem in damaged.values():
        raise IntegrityError(problem, "snapshots lists the others")


def in_order(found: Iterable[Snapshot]) -> list[Snapshot]:
    """Oldest first: a parent always before its children, whatever their clocks said; else by time.

    All commits of one job have the time of its start: its checkpoints come in the order of their numbers, its
    snapshot after them. Snapshots that are each other's ancestors cannot be in order: the earliest of them comes as
    if it had no parent.
    """
    by_id = {item.id: item for item in found}
    children: dict[str, list[Snapshot]] = {}
    ready: list[tuple[tuple[int, str, int], SnapshotId]] = []
    for item in by_id.values():
        if item.body.parent in by_id and item.body.parent != item.id:
            children.setdefault(item.body.parent, []).append(item)
        else:
            ready.append((_age(item), item.id))
    heapq.heapify(ready)
    ordered: dict[SnapshotId, Snapshot] = {}
    while len(ordered) < len(by_id):
        if not ready:
            ready = [min((_age(item), item.id) for item in by_id.values() if item.id not in ordered)]
        item = by_id[heapq.heappop(ready)[1]]
        ordered[item.id] = item
        for child in children.pop(item.id, ()):
            if child.id not in ordered:
                heapq.heappush(ready, (_age(child), child.id))
    return list(ordered.values())


def _age(item: Snapshot) -> tuple[int, str, int]:
    job, _, number = item.id.partition("-")
    return item.body.time_ns, job, int(number) if number else _AFTER_CHECKPOINTS
