"""The walk joined with the parent snapshot: what is as it was, what has to be read, what is metadata only.

In: two streams in manifest order, the walk's items and the parent's entries. Out: one stream in that order.
Reads nothing itself; `describe` is handed in. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from engine.pipeline.source import SourceProblem, kind_of, link_group
from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.entry import BLOCK_DEVICE, CHARACTER_DEVICE, FILE, KIND_NAMES, SOCKET, Entry
from engine.repository.manifest import place_of

Describe = Callable[[WalkItem], tuple[Entry, tuple[str, ...]]]

_FILE_HASH_BYTES = 32  # any other length: no contents, or those of an unfinished file in a checkpoint


class Unchanged(msgspec.Struct, frozen=True, gc=False):
    """A file as the parent has it: size, mtime, trusted ctime and inode agree, so the parent's entry holds whole."""

    item: WalkItem
    entry: Entry
    is_parents: bool = True  # to the last byte; else its link group has another number now


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A file to read. `previous` is the parent's entry of this path, of whatever kind."""

    item: WalkItem
    previous: Entry | None

    @property
    def path(self) -> bytes:
        """The item's."""
        return self.item.path


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """Anything but a regular file: its entry is all there is."""

    item: WalkItem
    entry: Entry
    is_parents: bool = False


Scanned = Unchanged | Changed | Metadata | WalkWarning


class Scan:
    """An iterable over `Scanned`, once; afterwards `gone` counts the parent's entries that no longer stand."""

    def __init__(
        self,
        items: Iterable[WalkItem | WalkWarning],
        parent: Iterable[Entry],
        *,
        describe: Describe,
        renumbering: frozenset[int] = frozenset(),
    ) -> None:
        """`describe` is `entry_of` for anything but regular files; it may raise SourceProblem.

        On the devices that are `renumbering` another inode number is no change.
        """
        self.gone = 0
        self._items = items
        self._parent = iter(parent)
        self._next = next(self._parent, None)
        self._describe = describe
        self._renumbering = renumbering

    def __iter__(self) -> Iterator[Scanned]:
        for item in self._items:
            if isinstance(item, WalkWarning):
                yield item
                continue
            previous = self._previous(item.path)
            kind = kind_of(item.stat)
            if kind != FILE:
                yield from self._metadata(item, kind, previous)
            elif (
                previous is not None
                and len(previous.hash) == _FILE_HASH_BYTES
                and self._is_as_it_was(item, kind, previous)
            ):
                entry = _with_link_group(item, previous)
                yield Unchanged(item, entry, entry is previous)
            else:
                yield Changed(item, previous)
        while self._next is not None:
            self._pass_over()

    def _previous(self, path: bytes) -> Entry | None:
        """The parent's entry of `path`; all before it that had no counterpart are gone."""
        if self._next is None:
            return None
        if self._next.path != path:
            place = place_of(path)
            while self._next is not None and place_of(self._next.path) < place:
                self._pass_over()
            if self._next is None or self._next.path != path:
                return None
        found, self._next = self._next, next(self._parent, None)
        return found

    def _pass_over(self) -> None:
        self.gone += 1
        self._next = next(self._parent, None)

    def _metadata(self, item: WalkItem, kind: int, previous: Entry | None) -> Iterator[Scanned]:
        entry: Entry
        problems: tuple[str, ...] = ()
        if previous is not None and self._is_as_it_was(item, kind, previous):
            entry = _with_link_group(item, previous)
        else:
            try:
                entry, problems = self._describe(item)
            except SourceProblem as problem:
                yield WalkWarning(item.path, problem.what)
                return
        yield Metadata(item, entry, entry is previous)
        yield from (WalkWarning(item.path, problem) for problem in problems)
        if entry.kind in (SOCKET, CHARACTER_DEVICE, BLOCK_DEVICE):
            name = KIND_NAMES[entry.kind].replace("-", " ")
            yield WalkWarning(item.path, f"recorded as a {name}; what is behind it cannot be backed up")

    def _is_as_it_was(self, item: WalkItem, kind: int, previous: Entry) -> bool:
        """A change of anything, contents or metadata, moves ctime; an entry whose ctime is 0 was too fresh to tell."""
        stat = item.stat
        return (
            kind == previous.kind
            and previous.ctime_ns != 0
            and stat.st_ctime_ns == previous.ctime_ns
            and stat.st_mtime_ns == previous.mtime_ns
            and (stat.st_ino == previous.inode or stat.st_dev in self._renumbering)
            and (stat.st_size == previous.size or previous.kind != FILE)
        )


def _with_link_group(item: WalkItem, previous: Entry) -> Entry:
    """Device numbers may differ after a restart of the machine, and the group is made of them."""
    if item.stat.st_nlink == 1 and not previous.link_group:
        return previous
    group = link_group(item.stat)
    return previous if group == previous.link_group else msgspec.structs.replace(previous, link_group=group)
