"""What a backup is compared with: the newest snapshot, and the newer checkpoints of jobs that did not finish."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from engine.base.clock import Clock
from engine.base.errors import UsageError
from engine.pipeline.excludes import Excludes
from engine.pipeline.folders import Identity, identities
from engine.pipeline.mounts import renumbering_devices
from engine.pipeline.objects import ObjectItem, Origin, walk_objects
from engine.pipeline.request import BackupRequest
from engine.pipeline.scan import Scan
from engine.pipeline.source import entry_of
from engine.pipeline.walk import Only, WalkItem, WalkWarning, check_sources, walk
from engine.repository.entry import Entry
from engine.repository.manifest import walk_order
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.stores.store import ObjectStore


class Selection(msgspec.Struct, frozen=True):
    """What of the source is backed up."""

    sources: tuple[bytes, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    origins: tuple[Origin, ...] = ()  # buckets, in the place of paths: `sources` are then what they are called
    own: frozenset[Identity] = frozenset()  # what of the engine itself is passed over, beside the store


def selection_of(request: BackupRequest) -> Selection:
    """What of the source `request` wants."""
    return Selection(request.sources, request.exclude, request.one_file_system, request.origins, request.own)


def check_selection(what: Selection) -> None:
    """Raise NotFound for a source that is not there, UsageError, NotPermitted, Unavailable."""
    if not what.origins:
        check_sources(what.sources)
    for origin in what.origins:
        origin.check()


def choose_parents(vault: WeddingVault, sources: Sequence[bytes]) -> list[Snapshot]:
    """The checkpoint to go on from, if one is newer than every whole snapshot, then the newest whole one.

    Those of the same sources count first, then those that share a source; else there is nothing to compare with.
    The vault has been read a moment ago, when it was opened for this.
    """
    wanted = set(sources)
    found = vault.known_snapshots(partial=True)
    same = [item for item in found if set(item.body.sources) == wanted]
    sharing = [item for item in found if not wanted.isdisjoint(item.body.sources)]
    for candidates in (same, sharing):
        whole = [at for at, item in enumerate(candidates) if not item.partial]
        newest_whole = whole[-1] if whole else -1
        checkpoints = candidates[newest_whole + 1 :]
        parents = checkpoints[-1:] + ([candidates[newest_whole]] if whole else [])
        if parents:
            return parents
    return []


def merged_entries(vault: WeddingVault, parents: Sequence[Snapshot]) -> Iterator[Entry]:
    """The entries of several parents as one stream in walk order; of a path in several, the first parent's.

    What of a parent is damaged counts as not there: its files are read again, and verify tells of it.
    """
    if len(parents) == 1:
        yield from vault.entries(parents[0], damaged=lambda *_: None)
        return
    streams = [vault.entries(parent, damaged=lambda *_: None) for parent in parents]
    heads = [next(stream, None) for stream in streams]
    while True:
        order = [(walk_order(head.path), at) for at, head in enumerate(heads) if head is not None]
        if not order:
            return
        place, first = min(order)
        entry = heads[first]
        assert entry is not None
        yield entry
        for other_place, at in order:
            if other_place == place:
                heads[at] = next(streams[at], None)


def open_walk(vault: WeddingVault, what: Selection, only: Only | None = None) -> Iterator[WalkItem | WalkWarning]:
    """The walk over the sources, or `only` over what of them that leads to; what is the engine's own is passed over.

    Raises UsageError for a source inside the store.
    """
    if what.origins:
        return walk_objects(what.origins, Excludes(what.exclude), _own_prefixes(vault.store))
    store = own_folders(vault.store)
    for source in what.sources:
        _refuse_own(source, store)
    return walk(
        what.sources,
        excludes=Excludes(what.exclude),
        one_file_system=what.one_file_system,
        skip=store | what.own,
        only=only,
    )


def open_scan(vault: WeddingVault, what: Selection, parents: Sequence[Snapshot], clock: Clock) -> Scan:
    """The walk over the sources, joined with the parents' entries."""

    def describe(item: WalkItem) -> tuple[Entry, tuple[str, ...]]:
        if isinstance(item, ObjectItem):
            return item.describe(), ()
        return entry_of(item, now_ns=clock.now_ns())

    return Scan(
        open_walk(vault, what), merged_entries(vault, parents), describe=describe, renumbering=renumbering_devices()
    )


def own_folders(store: ObjectStore) -> frozenset[Identity]:
    """The store's own folder, which is never backed up into itself."""
    path = unquote_to_bytes(store.url.removeprefix("file://"))
    return identities([path] if store.url.startswith("file://") else [])


def _own_prefixes(store: ObjectStore) -> frozenset[tuple[str, str]]:
    """Bucket and prefix of a store in one, whichever service has it: it is never backed up into itself."""
    parts = urlsplit(store.url)
    return frozenset({(parts.netloc, parts.path.strip("/"))} if parts.scheme == "s3" else ())


def _refuse_own(source: bytes, own: frozenset[Identity]) -> None:
    """Raise UsageError for a source that is one of `own`, or lies in one."""
    if not own:
        return
    path = os.path.realpath(source)
    while own.isdisjoint(identities((path,))):
        if path == b"/":
            return
        path = os.path.dirname(path)
    shown = source.decode("utf-8", "backslashreplace")
    raise UsageError(f"{shown} is the repository itself, or inside it", "back up what it was made from")
