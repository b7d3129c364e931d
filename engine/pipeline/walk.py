"""The source as a stream of things, in manifest order: depth first, names of a folder sorted bytewise.

In: absolute paths. Out: `WalkItem`s and, in their place, `WalkWarning`s. Several sources become one tree
without duplicates. What is recorded is the union of what each source alone would give, so neither an exclude
nor a file system boundary of an outer source hides one that is named inside it. Parents of a source are not
recorded, nor is `/` itself, which has no path. One thread; the folders in the items may be used by any.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

import msgspec

from engine.base.errors import NotFound, NotPermitted, UsageError
from engine.pipeline.excludes import IGNORE_FILE, IGNORE_FILE_BYTES_MAX, Excludes
from engine.pipeline.folders import FolderPool, Identity, OpenFolder, list_names, reason

PATH_BYTES_MAX = 4096


class WalkItem(msgspec.Struct, frozen=True, gc=False):
    """One thing that stands in the source. `path` is absolute without its leading slash; `name` is in `folder`."""

    path: bytes
    folder: OpenFolder | None  # None: it is no file of this machine (`pipeline.objects`)
    name: bytes
    stat: os.stat_result


class WalkWarning(msgspec.Struct, frozen=True):
    """Something that could not be read, as a short sentence without the path."""

    path: bytes
    what: str


def normal_sources(sources: Sequence[bytes]) -> tuple[bytes, ...]:
    """Absolute paths without doubles, `.`, and doubled or trailing slashes, in manifest order. Raises UsageError."""
    if not sources:
        raise UsageError("no source is named", "give at least one path with --from")
    parts = set()
    for source in sources:
        names = tuple(name for name in source.split(b"/") if name not in (b"", b"."))
        if not source.startswith(b"/") or b".." in names or b"\0" in source:
            raise UsageError(f"{_shown(source)} is not a plain absolute path", "write it from / on, without ..")
        parts.add(names)
    return tuple(b"/" + b"/".join(names) for names in sorted(parts))


def check_sources(sources: Sequence[bytes]) -> None:
    """Raises UsageError (none, not absolute, a source behind a symlink in another), NotFound, NotPermitted."""
    normal = normal_sources(sources)
    for source in normal:
        try:
            os.lstat(source)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{_shown(source)} does not exist", "check the path given with --from") from None
        except OSError as error:
            raise NotPermitted(f"{_shown(source)} cannot be read: {reason(error)}") from None
        for outer in normal:
            if source.startswith(outer.rstrip(b"/") + b"/") and source != outer:
                _check_no_symlink_between(outer, source)


def _check_no_symlink_between(outer: bytes, inner: bytes) -> None:
    path = outer.rstrip(b"/")
    names = inner[len(path) + 1 :].split(b"/")
    for step in (b"", *(b"/" + name for name in names[:-1])):
        path += step
        if path and st.S_ISLNK(os.lstat(path).st_mode):
            raise UsageError(
                f"{_shown(inner)} lies behind a symlink inside the source {_shown(outer)}", "name it by its real path"
            )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


class _Named:
    """Sources as a tree of names."""

    __slots__ = ("below", "is_source")

    def __init__(self) -> None:
        self.below: dict[bytes, _Named] = {}
        self.is_source = False


class Only:
    """The paths a walk is limited to: each with all below it, and the folders on the way to it."""

    __slots__ = ("below", "is_whole")

    def __init__(self) -> None:
        self.below: dict[bytes, Only] = {}
        self.is_whole = False

    @classmethod
    def of(cls, paths: Sequence[bytes]) -> Only:
        """`paths` are absolute without their leading slash, as in a `WalkItem`."""
        root = cls()
        for path in paths:
            node = root
            for name in path.split(b"/"):
                node = node.below.setdefault(name, cls())
            node.is_whole = True
        return root

    def inside(self, name: bytes) -> Only | None:
        """The limits inside the folder `name`; None: none."""
        node = self.below.get(name, _NOTHING)
        return None if node.is_whole else node


_NOTHING = Only()


class _Scope(msgspec.Struct, frozen=True):
    """One source, inside one folder: what it leaves out here, and the device it began on (None: any)."""

    excludes: Excludes
    device: int | None

    def enters(self, stat: os.stat_result) -> bool:
        return self.device is None or self.device == stat.st_dev


class _Frame(msgspec.Struct):
    """A folder being walked: what is left of its names, and the scopes that want them."""

    folder: OpenFolder
    prefix: bytes  # its path, with a slash at the end; empty for `/`
    names: list[bytes]  # the next one is last
    scopes: tuple[_Scope, ...]
    named: _Named
    only: Only | None  # what of it is looked at; None: everything

    @property
    def takes_all(self) -> bool:
        """Whether everything in it but folders is an item, without a further question."""
        return bool(self.scopes) and not self.named.below and all(scope.excludes.is_empty for scope in self.scopes)


def walk(
    sources: Sequence[bytes],
    *,
    excludes: Excludes,
    one_file_system: bool = False,
    skip: frozenset[Identity] = frozenset(),
    only: Only | None = None,
) -> Iterator[WalkItem | WalkWarning]:
    """Everything below `sources` and they themselves, in the order of `Entry.components`.

    `skip` names folders by (device, inode) that are neither recorded nor entered: the repository itself. With
    `one_file_system` a folder on another device than its source is recorded and not entered. With `only`, names it
    does not lead to are not looked at, and one that is not there is no warning. Raises UsageError.
    """
    walker = _Walk(excludes, one_file_system, skip, only)
    for source, named in _outermost(normal_sources(sources)):
        yield from walker.walk(source, named)


def _outermost(sources: Sequence[bytes]) -> list[tuple[bytes, _Named]]:
    """The sources that are in no other, each with the tree of those inside it."""
    root = _Named()
    found: list[tuple[bytes, _Named]] = []
    for source in sources:  # sorted: an outer one comes before those inside it
        node, inside = root, root.is_source
        for name in source[1:].split(b"/") if source != b"/" else ():
            node = node.below.setdefault(name, _Named())
            inside = inside or node.is_source
        node.is_source = True
        if not inside:
            found.append((source, node))
    return found


class _Walk(msgspec.Struct):
    """The state of one walk: an explicit stack, so that depth costs no recursion."""

    excludes: Excludes
    one_file_system: bool
    skip: frozenset[Identity]
    only: Only | None
    stack: list[_Frame] = []

    def walk(self, source: bytes, named: _Named) -> Iterator[WalkItem | WalkWarning]:
        """Everything from one outermost source downwards."""
        above, _, name = source.rpartition(b"/")
        try:
            folder = FolderPool().root(above or b"/")
        except OSError as error:
            yield WalkWarning(source[1:], _what(error))
            return
        if name:
            top = _Named()
            top.below[name] = named
            self.stack.append(_Frame(folder, above[1:] + b"/" if above else b"", [name], (), top, self._only_at(above)))
        else:
            with folder.descriptor() as fd:
                scope = self._scope(os.fstat(fd))
            yield from self._push(_Frame(folder, b"", [], (scope,), named, self.only))
        while self.stack:
            if self.stack[-1].names:
                yield from self._read_on(self.stack[-1])
            else:
                self.stack.pop()

    def _read_on(self, frame: _Frame) -> Iterator[WalkItem | WalkWarning]:
        """What is left of a folder, up to the next folder in it that is gone into. The one loop for every name."""
        folder, prefix, names, skip, takes_all = frame.folder, frame.prefix, frame.names, self.skip, frame.takes_all
        with ExitStack() as held:
            try:
                fd = held.enter_context(folder.descriptor())
            except OSError as error:
                yield from (WalkWarning(prefix + name, _what(error)) for name in reversed(names))
                names.clear()
                return
            while names and self.stack[-1] is frame:
                name = names.pop()
                path = prefix + name
                if len(path) > PATH_BYTES_MAX:
                    yield WalkWarning(path, f"its path is longer than {PATH_BYTES_MAX:,} bytes; left out")
                    continue
                try:
                    stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except OSError as error:
                    yield WalkWarning(path, _what(error))
                    continue
                if skip and (stat.st_dev, stat.st_ino) in skip:
                    continue
                if takes_all and not st.S_ISDIR(stat.st_mode):
                    yield WalkItem(path, folder, name, stat)
                else:
                    yield from self._visit(frame, name, path, stat)

    def _visit(self, frame: _Frame, name: bytes, path: bytes, stat: os.stat_result) -> Iterator[WalkItem | WalkWarning]:
        """One name of a folder: the item, and its own frame if it is a folder to enter."""
        named = frame.named.below.get(name, _NOTHING_NAMED)
        is_folder = st.S_ISDIR(stat.st_mode)
        scopes = tuple(scope for scope in frame.scopes if not scope.excludes.excludes(name, is_folder=is_folder))
        if scopes or named.is_source:
            yield WalkItem(path, frame.folder, name, stat)
        if is_folder:
            scopes = tuple(_Scope(scope.excludes.below(name), scope.device) for scope in scopes if scope.enters(stat))
            if named.is_source:
                scopes = (*scopes, self._scope(stat))
            if scopes or named.below:
                yield from self._enter(frame, name, stat, scopes)
        else:
            for inner in named.below:
                yield WalkWarning(path + b"/" + inner, "a source is below it, but it lies in no folder any more")

    def _enter(
        self, frame: _Frame, name: bytes, stat: os.stat_result, scopes: tuple[_Scope, ...]
    ) -> Iterator[WalkWarning]:
        path = frame.prefix + name
        try:
            folder = frame.folder.enter(name)
        except OSError as error:
            yield WalkWarning(path, f"its contents {_what(error)}")
            return
        if folder.identity != (stat.st_dev, stat.st_ino):
            yield WalkWarning(path, "its contents were replaced while it was read")
            return
        named = frame.named.below.get(name, _NOTHING_NAMED)
        only = None if frame.only is None else frame.only.inside(name)
        yield from self._push(_Frame(folder, path + b"/", [], scopes, named, only))

    def _push(self, frame: _Frame) -> Iterator[WalkWarning]:
        """Begin a folder. Without scopes it is only on the way to sources that are named below it."""
        names = set(frame.named.below)
        if frame.scopes:
            try:
                with frame.folder.descriptor() as fd:
                    there = list_names(fd) if frame.only is None else _those_there(fd, [*frame.only.below, IGNORE_FILE])
                    names.update(there if frame.only is None else frame.only.below.keys() & there)
                    if IGNORE_FILE in there:
                        text = _ignore_file(fd)
                        frame.scopes = tuple(
                            _Scope(scope.excludes.with_ignore_file(text), scope.device) for scope in frame.scopes
                        )
            except OSError as error:
                yield WalkWarning(frame.prefix[:-1], f"its contents {_what(error)}")
            except _Unusable as problem:
                yield WalkWarning(frame.prefix + IGNORE_FILE, str(problem))
        frame.names = sorted(names, reverse=True)
        self.stack.append(frame)

    def _only_at(self, folder: bytes) -> Only | None:
        """The limits inside the absolute path `folder`."""
        only = self.only
        for name in folder.split(b"/")[1:]:
            only = None if only is None else only.inside(name)
        return only

    def _scope(self, stat: os.stat_result) -> _Scope:
        return _Scope(self.excludes, stat.st_dev if self.one_file_system else None)


_NOTHING_NAMED = _Named()


def _those_there(folder_fd: int, names: Sequence[bytes]) -> set[bytes]:
    """Which of `names` are in a folder."""
    found = set()
    for name in names:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
            found.add(name)
    return found


class _Unusable(Exception):
    """An ignore file that is not used, as a sentence."""


def _ignore_file(folder_fd: int) -> bytes:
    try:
        fd = os.open(IGNORE_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    except OSError as error:
        raise _Unusable(f"its patterns are not used: {reason(error)}") from None
    if not st.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _Unusable("its patterns are not used: it is not a regular file")
    with os.fdopen(fd, "rb") as file:  # which would not take a folder, nor close it
        text = file.read(IGNORE_FILE_BYTES_MAX + 1)
    if len(text) > IGNORE_FILE_BYTES_MAX:
        raise _Unusable(f"its patterns are not used: it is larger than {IGNORE_FILE_BYTES_MAX:,} bytes")
    return text


def _what(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return "vanished while the backup looked at it"
    return f"cannot be read: {reason(error)}"
