"""A scan of what a watch says has changed: the rest is taken over from the parent snapshot without looking at it.

In: the parent's manifest and changed paths. Out: as from `scan`, and in their places entries and whole segments of
the parent. A segment that no changed path falls into is not even read, so a file more in a wedding of 300,000
costs its own folder and some thousand entries. Where that cannot be done soundly the caller scans everything.

Sound means: the parent is of the same sources, tags and host, nothing of it is missing, and its warnings are looked
at again. That no change went unnoticed since the parent was made is what the watch promises. One thread.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine.base.clock import Clock
from engine.base.errors import IntegrityError, NotFound
from engine.pipeline.excludes import IGNORE_FILE
from engine.pipeline.parents import open_walk, selection_of
from engine.pipeline.request import BackupRequest
from engine.pipeline.scan import Scan, Scanned
from engine.pipeline.source import entry_of
from engine.pipeline.walk import Only, WalkItem, WalkWarning
from engine.repository.crypto import METADATA_PACK
from engine.repository.entry import FILE, Entry
from engine.repository.manifest import SegmentRef, decode_segment, place_of
from engine.repository.snapshot import WARNINGS_KEPT, Snapshot
from engine.repository.vault import WeddingVault

READ_ENTRIES_MAX = 50_000  # of the parent, held in memory; where more would be, everything is scanned
CHANGED_MAX = 5_000  # paths; more of them are a scan


class Kept(msgspec.Struct, frozen=True):
    """An entry of the parent that nothing has happened to."""

    entry: Entry


class Reused(msgspec.Struct, frozen=True):
    """A segment of the parent that nothing has happened in."""

    segment: SegmentRef


class Carried(msgspec.Struct, frozen=True):
    """What all reused segments hold, told last."""

    files: int
    bytes_source: int


Part = Kept | Reused | Carried


class _Parent(msgspec.Struct):
    """The parent's manifest, sorted by what is to become of its parts."""

    old: list[Entry] = []  # looked at again
    rest: list[Kept | Reused] = []  # in manifest order
    files_read: int = 0  # in the segments that were read
    bytes_read: int = 0


class TouchedScan:
    """An iterable over what `Scan` gives, `Kept`, `Reused` and one `Carried`, once, in manifest order."""

    def __init__(self, scan: Scan, parent: _Parent, carried: Carried) -> None:
        self._scan = scan
        self._parent = parent
        self._carried = carried

    def __iter__(self) -> Iterator[Scanned | Part]:
        rest = iter(self._parent.rest)
        waiting = next(rest, None)
        for scanned in self._scan:
            place = place_of(scanned.path if isinstance(scanned, WalkWarning) else scanned.item.path)
            while waiting is not None and _place(waiting) < place:
                yield waiting
                waiting = next(rest, None)
            yield scanned
        while waiting is not None:
            yield waiting
            waiting = next(rest, None)
        yield self._carried


def open_touched_scan(
    vault: WeddingVault, request: BackupRequest, parents: Sequence[Snapshot], clock: Clock
) -> TouchedScan | None:
    """The scan of what `request` says has changed; None when everything has to be scanned. Blocks."""
    if not request.changed or len(parents) != 1 or parents[0].partial or vault.problems:
        return None
    parent, body = parents[0], parents[0].body
    if (set(body.sources), body.tags, body.host) != (set(request.sources), request.tags, request.host):
        return None
    if body.counts.warnings >= WARNINGS_KEPT or not _are_apart(request.sources):
        return None
    what = selection_of(request)
    warned = [b"/" + warning.path for warning in body.warnings]
    roots = changed_roots([*request.changed, *warned], what.sources)
    if roots is None or len(roots) > CHANGED_MAX:
        return None
    try:
        sorted_out = _sorted_out(vault, parent, _Touched(roots, what.sources))
    except (IntegrityError, NotFound):
        return None
    if sorted_out is None:
        return None

    def describe(item: WalkItem) -> tuple[Entry, tuple[str, ...]]:
        return entry_of(item, now_ns=clock.now_ns())

    only = Only.of([root[1:] for root in roots])
    scan = Scan(open_walk(vault, what, only), sorted_out.old, describe=describe)
    carried = Carried(
        max(0, body.counts.files - sorted_out.files_read), max(0, body.counts.bytes_source - sorted_out.bytes_read)
    )
    return TouchedScan(scan, sorted_out, carried)


# --- which paths --------------------------------------------------------------------------------------


def changed_roots(changed: Iterable[bytes], sources: Sequence[bytes]) -> list[bytes] | None:
    """What to walk for `changed`: inside the sources, none inside another, each in a folder that is there.

    None when a whole source has to be walked, or is not there. Blocks for a look at each folder.
    """
    found: set[bytes] = set()
    folders: dict[bytes, bool] = {}
    for path in changed:
        source = next((one for one in sources if path == one or path.startswith(one.rstrip(b"/") + b"/")), None)
        if source is None:
            continue
        if os.path.basename(path) == IGNORE_FILE:
            path = os.path.dirname(path)  # it decides over everything in its folder
        while path != source and not _is_folder(os.path.dirname(path), folders):
            path = os.path.dirname(path)
        if len(path) <= len(source):
            return None
        found.add(path)
    ordered = sorted(found, key=place_of)
    kept: list[bytes] = []
    for path in ordered:
        if not kept or not path.startswith(kept[-1] + b"/"):
            kept.append(path)
    return kept


def _is_folder(path: bytes, known: dict[bytes, bool]) -> bool:
    if path not in known:
        try:
            known[path] = stat.S_ISDIR(os.lstat(path).st_mode)
        except OSError:
            known[path] = False
    return known[path]


def _are_apart(sources: Sequence[bytes]) -> bool:
    """Whether no source lies in another: then what of it is excluded depends on it alone."""
    ordered = sorted(sources, key=place_of)
    return not any(b.startswith(a.rstrip(b"/") + b"/") for a, b in zip(ordered, ordered[1:], strict=False))


class _Touched:
    """Which places of a manifest changed paths fall into."""

    def __init__(self, roots: Sequence[bytes], sources: Sequence[bytes]) -> None:
        self._roots = [place_of(root[1:]) for root in roots]  # sorted
        self._folders = {folder for root in roots for folder in _folders_above(root, sources)}
        self._places = sorted({*self._roots, *map(place_of, self._folders)})

    def takes(self, entry: Entry) -> bool:
        """Whether an entry of the parent is looked at again: it is, or is below, a changed path, or a folder above."""
        return entry.path in self._folders or self.is_below(place_of(entry.path))

    def is_below(self, place: bytes) -> bool:
        """Whether `place` is a changed path or below one."""
        at = bisect_left(self._roots, place)
        if at < len(self._roots) and self._roots[at] == place:
            return True
        return at > 0 and place.startswith(self._roots[at - 1] + b"\0")

    def falls_into(self, begin: bytes, end: bytes | None) -> bool:
        """Whether anything changed may stand from the place `begin` on, before `end`."""
        if self.is_below(begin):
            return True
        at = bisect_left(self._places, begin)
        return at < len(self._places) and (end is None or self._places[at] < end)


def _folders_above(root: bytes, sources: Sequence[bytes]) -> Iterator[bytes]:
    """The paths, as in a manifest, of the folders from the source down to what holds `root`."""
    source = next(one for one in sources if root.startswith(one.rstrip(b"/") + b"/"))
    folder = os.path.dirname(root)
    while len(folder) >= len(source) and folder != b"/":
        yield folder[1:]
        folder = os.path.dirname(folder)


# --- the parent ---------------------------------------------------------------------------------------


def _sorted_out(vault: WeddingVault, parent: Snapshot, touched: _Touched) -> _Parent | None:
    """Read what is touched of the parent's manifest; None when that is too much, or something of it is missing."""
    body = parent.body
    made = _Parent()
    if not body.segments:
        entries = list(vault.entries(parent))
        return made if _sort_entries(entries, touched, vault, made) else None
    if any(vault.index.unsound([ref.id for ref in body.segments], METADATA_PACK)):
        return None
    places = [place_of(ref.first_path) for ref in body.segments]
    places[0] = b""  # what comes before everything falls into the first
    read = 0
    for number, ref in enumerate(body.segments):
        end = places[number + 1] if number + 1 < len(places) else None
        if not touched.falls_into(places[number], end):
            made.rest.append(Reused(ref))
            continue
        read += ref.entries
        if read > READ_ENTRIES_MAX:
            return None
        entries = decode_segment(vault.read_metadata(ref.id), f"manifest segment {ref.id.hex()}")
        if not _sort_entries(entries, touched, vault, made):
            return None
    return made


def _sort_entries(entries: Sequence[Entry], touched: _Touched, vault: WeddingVault, made: _Parent) -> bool:
    """Sort entries into `made`; False when the contents of one that is to be kept are not all there."""
    kept: list[Entry] = []
    for entry in entries:
        if entry.kind == FILE:
            made.files_read += 1
            made.bytes_read += entry.size
        if touched.takes(entry):
            made.old.append(entry)
            continue
        if len(entry.hash) not in (0, 32):
            return False  # a part of a file, as checkpoints have it
        made.rest.append(Kept(entry))
        kept.append(entry)
    return not vault.lacks(kept)


def _place(part: Kept | Reused) -> bytes:
    return place_of(part.entry.path if isinstance(part, Kept) else part.segment.first_path)
