"""The walk joined with the parent snapshot: what is as it was, what has to be read, what is metadata only.

In: two streams in manifest order, the walk's items and the parent's entries. Out: one stream in that order.
Reads nothing itself; `describe` is handed in. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from engine.pipeline.source import SourceProblem, kind_of, link_group
from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.entry import BLOCK_DEVICE, CHARACTER_DEVICE, FILE, KIND_NAMES, SOCKET, Entry

Describe = Callable[[WalkItem], tuple[Entry, tuple[str, ...]]]

_FILE_HASH_BYTES = 32  # any other length: no contents, or those of an unfinished file in a checkpoint


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file as the parent has it: size, mtime, trusted ctime and inode agree, so the parent's entry holds whole."""

    item: WalkItem
    entry: Entry


@dataclass(frozen=True, slots=True)
class Changed:
    """A file to read. `previous` is the parent's entry of this path, of whatever kind."""

    item: WalkItem
    previous: Entry | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """Anything but a regular file: its entry is all there is."""

    item: WalkItem
    entry: Entry


Scanned = Unchanged | Changed | Metadata | WalkWarning


class Scan:
    """An iterable over `Scanned`, once; afterwards `gone` counts the parent's entries that no longer stand."""

    def __init__(self, items: Iterable[WalkItem | WalkWarning], parent: Iterable[Entry], *, describe: Describe) -> None:
        """`describe` is `entry_of` for anything but regular files; it may raise SourceProblem."""
        self.gone = 0
        self._items = items
        self._parent = iter(parent)
        self._next = next(self._parent, None)
        self._describe = describe

    def __iter__(self) -> Iterator[Scanned]:
        for item in self._items:
            if isinstance(item, WalkWarning):
                yield item
                continue
            previous = self._previous(item.path)
            if kind_of(item.stat) != FILE:
                yield from self._metadata(item, previous)
            elif previous is not None and len(previous.hash) == _FILE_HASH_BYTES and _is_as_it_was(item, previous):
                yield Unchanged(item, _with_link_group(item, previous))
            else:
                yield Changed(item, previous)
        while self._next is not None:
            self._pass_over()

    def _previous(self, path: bytes) -> Entry | None:
        """The parent's entry of `path`; all before it that had no counterpart are gone."""
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

    def _metadata(self, item: WalkItem, previous: Entry | None) -> Iterator[Scanned]:
        entry: Entry
        problems: tuple[str, ...] = ()
        if previous is not None and _is_as_it_was(item, previous):
            entry = _with_link_group(item, previous)
        else:
            try:
                entry, problems = self._describe(item)
            except SourceProblem as problem:
                yield WalkWarning(item.path, problem.what)
                return
        yield Metadata(item, entry)
        yield from (WalkWarning(item.path, problem) for problem in problems)
        if entry.kind in (SOCKET, CHARACTER_DEVICE, BLOCK_DEVICE):
            name = KIND_NAMES[entry.kind].replace("-", " ")
            yield WalkWarning(item.path, f"recorded as a {name}; what is behind it cannot be backed up")


def place_of(path: bytes) -> bytes:
    """Sorts as the path's components do: a name has no NUL, and NUL comes before everything."""
    return path.replace(b"/", b"\0")


def _is_as_it_was(item: WalkItem, previous: Entry) -> bool:
    """A change of anything, contents or metadata, moves ctime; an entry whose ctime is 0 was too fresh to tell."""
    stat = item.stat
    return (
        kind_of(stat) == previous.kind
        and previous.ctime_ns != 0
        and stat.st_ctime_ns == previous.ctime_ns
        and stat.st_mtime_ns == previous.mtime_ns
        and stat.st_ino == previous.inode
        and (stat.st_size == previous.size or previous.kind != FILE)
    )


def _with_link_group(item: WalkItem, previous: Entry) -> Entry:
    """Device numbers may differ after a restart of the machine, and the group is made of them."""
    group = link_group(item.stat)
    return previous if group == previous.link_group else msgspec.structs.replace(previous, link_group=group)
