"""Restoring into a folder: entry by entry through folder descriptors, so that nothing outside is ever touched.

In: entries in walk order, bytes of files in any order. Out: things below `root`, each put under its name in one
step when it is whole. No symlink below `root` is ever followed, also not one put there during the restore.
`begin`, `finish` and `close` are one thread's, writers any thread's.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import NotFound, NotPermitted, WedSyncError
from engine.base.invariants import check
from engine.pipeline.folders import FolderPool, OpenFolder, reason
from engine.pipeline.source import kind_of, read_xattrs
from engine.pipeline.targets.files import APPEARED, FolderFileWriter, Place, Placer, put, sync_file_system
from engine.pipeline.targets.metadata import MetadataWriter, Report
from engine.pipeline.targets.target import (
    TargetWarning,
    prefix_names,
    safe_components,
    stopping_error,
    without_prefix,
)
from engine.repository.entry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    FIFO,
    FILE,
    FOLDER,
    KIND_NAMES,
    SOCKET,
    SYMLINK,
    Entry,
)

Overwrite = Literal["ask", "never", "changed", "always"]
_Verdict = Literal["make", "replace", "correct", "keep"]

# Until `finish` gives a new folder its own. With the sticky bit, which nobody else gives to a folder of one person, the
# next attempt knows what a killed one has left.
_UNFINISHED_MODE = 0o1700
# What syncing tells of a folder that its user may pass through but not read, and of one that somebody took away.
_OUT_OF_REACH = (errno.EBADF, errno.ESTALE, errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_DEVICE_TYPES = {CHARACTER_DEVICE: st.S_IFCHR, BLOCK_DEVICE: st.S_IFBLK}


class _Conflict(Exception):
    """Why an entry cannot be put where it belongs, as a sentence."""


class _Step(msgspec.Struct, frozen=True):
    """A folder on the way. In a new one nothing stands that this restore has not put there: no need to look."""

    name: bytes
    folder: OpenFolder
    is_new: bool


class _First(msgspec.Struct, frozen=True):
    """The name of a link group that was restored first, and its writer if there was something to write."""

    place: Place
    writer: FolderFileWriter | None


class FolderTarget:
    """A `RestoreTarget` below `root`, which is made if missing. See `RestoreTarget`.

    `never` leaves whatever stands. `ask` does too, but warns of what differs: nothing stood there when it was asked,
    so it is from an earlier attempt, or nobody has said what to do with it. `changed` replaces what differs in kind,
    size, mtime or link target, and corrects the metadata of the rest. `always` replaces everything. Folders are merged;
    where something else than a folder stands in the place of one, only `always` takes it away. A folder with things in
    it is never taken away.
    """

    random_access = True

    def __init__(
        self, root: bytes, *, entropy: Entropy, strip_prefix: bytes = b"", overwrite: Overwrite = "never"
    ) -> None:
        """`strip_prefix` is a path of the snapshot; entries outside it are warned of, its parents passed over.

        Raises NotPermitted, LimitReached, NotFound when `root` cannot be made.
        """
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        self._overwrite: Overwrite = overwrite
        self._prefix = prefix_names(strip_prefix)
        opened, made = _open_root(root)
        self._merges = overwrite in ("ask", "never")  # into folders that stand, which stay as they are
        self._is_root_new = made
        self._way = [_Step(b"", opened, made)]  # from the root to the folder of the last entry
        self._disks = {opened.identity[0]: opened}  # a folder on each file system that was restored to, by device
        self._above: bytes | None = None  # the path of the snapshot that the way leads to, where that is known
        self._folders: list[tuple[OpenFolder, Entry]] = []  # whose metadata is to be set, in walk order
        self._links: list[tuple[Place, _First, Entry]] = []
        self._firsts: dict[tuple[int, int, bytes, bytes], _First] = {}
        self._blocked: tuple[tuple[bytes, ...], str] | None = None
        self._warn = _warner(self.warnings)
        self._metadata = MetadataWriter(self._warn)
        self._placer = Placer(entropy, self._metadata, self._warn)

    def begin(self, entry: Entry) -> FolderFileWriter | None:
        """See `RestoreTarget.begin`. Raises IntegrityError for a path that could lead outside."""
        above, _, name = entry.path.rpartition(b"/")
        try:
            if above == self._above and entry.kind != FOLDER:
                safe_components(name)
                return self._begin(self._way[-1], name, entry)
            names = without_prefix(entry.path, self._prefix)
            if names is None:
                self._outside(entry)
            elif not names:
                self._at_root(entry)
            elif entry.kind == FOLDER:
                self._walk_to(names[:-1])
                self._go_into(names, entry)
                self._above = entry.path
            else:
                step = self._walk_to(names[:-1])
                self._above = above
                return self._begin(step, name, entry)
        except (_Conflict, OSError) as error:
            self._tell(entry.path, error)
        return None

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        check(not self._placer.writers, "every file of a restore has been committed or aborted before its end")
        for place, first, entry in self._links:
            with self._one_entry(entry.path):
                self._link(place, first, entry)
        self._make_durable()  # before a folder says that all of it is there
        for folder, entry in reversed(self._folders):
            with self._one_entry(entry.path), folder.descriptor() as fd:
                self._metadata.give(f"/proc/self/fd/{fd}", entry)
        self._make_durable()
        self.close()

    def _make_durable(self) -> None:
        """What is restored so far survives a power cut. Raises LimitReached, WedSyncError for a disk that fails."""
        for folder in self._disks.values():
            try:
                with folder.descriptor() as fd:
                    sync_file_system(fd)
            except OSError as error:
                if error.errno in _OUT_OF_REACH:
                    continue  # the system writes in its own time
                raise stopping_error(error) or WedSyncError(
                    f"what was restored may not all have reached the disk: {reason(error)}",
                    "look at the disk's health, then retrieve it again into another folder",
                ) from None

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        for writer in list(self._placer.writers):
            writer.discard()
        self._way.clear()
        self._disks.clear()
        self._folders.clear()
        self._links.clear()
        self._firsts.clear()

    def _begin(self, step: _Step, name: bytes, entry: Entry) -> FolderFileWriter | None:
        """Anything but a folder."""
        place = Place(step.folder, name)
        verdict: _Verdict = "make"
        if not step.is_new or entry.kind == SOCKET:
            with place.folder.descriptor() as fd:
                verdict = self._verdict(fd, name, entry)
                if verdict == "correct":
                    self._dress(fd, name, entry)
        if verdict == "keep" and self._overwrite == "never":  # whatever stands there, no other name is linked to it
            self.kept += 1
            return None
        key = (entry.link_group, entry.kind, entry.hash, entry.target)
        first = self._firsts.get(key) if entry.link_group else None
        if first is not None:
            self._links.append((place, first, entry))
            return None
        writer = None
        if verdict in ("correct", "keep"):
            self.kept += 1
        elif entry.kind == FILE:
            writer = FolderFileWriter(self._placer, place, entry, replace=verdict == "replace")
        else:
            self._make_special(place, entry, replace=verdict == "replace")
        if entry.link_group:
            self._firsts[key] = _First(place, writer)
        return writer

    def _verdict(self, fd: int, name: bytes, entry: Entry) -> _Verdict:
        """What to do where something may stand. Raises _Conflict."""
        if entry.kind == SOCKET:
            raise _Conflict("is a socket, which only its own program can make")
        standing = _lstat(fd, name)
        if standing is None:
            return "make"
        if st.S_ISDIR(standing.st_mode):
            return self._verdict_on_folder(fd, name, entry)
        if self._overwrite == "never":
            return "keep"
        is_same = self._overwrite != "always" and _is_same(fd, name, entry, standing)
        if self._overwrite == "ask":
            if is_same:
                return "keep"
            raise _Conflict("something else stands in its place")
        if not is_same:
            return "replace"
        if standing.st_nlink == 1:
            return "correct"
        # Another name of it may lie anywhere, outside the root too: it must not be changed through this one.
        return "keep" if _has_metadata(fd, name, entry, standing) else "replace"

    def _verdict_on_folder(self, fd: int, name: bytes, entry: Entry) -> _Verdict:
        if self._overwrite == "always":
            try:
                os.rmdir(name, dir_fd=fd)
                return "make"
            except OSError as error:
                raise _Conflict(f"a folder stands in its place and cannot go: {reason(error)}") from None
        raise _Conflict(f"a folder stands where this {_kind_name(entry.kind)} is to be")

    def _dress(self, fd: int, name: bytes, entry: Entry) -> None:
        """Give what stands there the recorded metadata, unless somebody put a name of something else in its place."""
        with _touched(fd, name) as (stat, handle):
            if kind_of(stat) != entry.kind or stat.st_nlink > 1:
                raise _Conflict(APPEARED)
            self._metadata.give(handle, entry)

    def _make_special(self, place: Place, entry: Entry, *, replace: bool) -> None:
        """A symlink, FIFO or device, under a temporary name first if something is to be replaced."""
        name = self._placer.temporary_name() if replace else place.name
        with place.folder.descriptor() as fd:
            _create(fd, name, entry)
            try:
                self._dress(fd, name, entry)
            finally:
                if replace:
                    put(fd, name, place.name, replace=True)

    def _link(self, place: Place, first: _First, entry: Entry) -> None:
        """One more name for a thing that was restored under its first one."""
        if first.writer is not None and not first.writer.stands:
            raise _Conflict("the file it is a hard link of could not be restored")
        with first.place.folder.descriptor() as source_fd, place.folder.descriptor() as fd:
            standing, source = _lstat(fd, place.name), _lstat(source_fd, first.place.name)
            if standing is not None and source is not None and os.path.samestat(standing, source):
                self.kept += 1
                return
            name = place.name if standing is None else self._placer.temporary_name()
            os.link(first.place.name, name, src_dir_fd=source_fd, dst_dir_fd=fd, follow_symlinks=False)
            if standing is not None:
                put(fd, name, place.name, replace=True)

    # --- folders ---

    def _outside(self, entry: Entry) -> None:
        """Folders above the prefix belong to the way; anything else was not meant to be asked for."""
        names = prefix_names(entry.path)
        if entry.kind != FOLDER or names != self._prefix[: len(names)]:
            raise _Conflict("lies outside the prefix that is taken off")

    def _at_root(self, entry: Entry) -> None:
        if entry.kind != FOLDER:
            raise _Conflict("has no name left when the prefix is taken off")
        root = self._way[0].folder
        with root.descriptor() as fd:
            if self._is_root_new:
                os.chmod(fd, _UNFINISHED_MODE)
            if not self._merges or _is_unfinished(os.fstat(fd)):
                self._folders.append((root, entry))

    def _walk_to(self, names: tuple[bytes, ...]) -> _Step:
        """The folder `names` leads to, made if it is missing: parents of a source have no entries of their own."""
        self._above = None
        common = 1
        for step, wanted in zip(self._way[1:], names, strict=False):
            if step.name != wanted:
                break
            common += 1
        del self._way[common:]
        for depth in range(common, len(names) + 1):
            self._go_into(names[:depth], None)
        return self._way[-1]

    def _go_into(self, names: tuple[bytes, ...], entry: Entry | None) -> None:
        """Make or merge the folder `names`, of which all but the last are on the way. Raises _Conflict, OSError."""
        if self._blocked is not None and names[: len(self._blocked[0])] == self._blocked[0]:
            raise _Conflict(f"not restored, because of the folder above it: {self._blocked[1]}")
        try:
            step, made = self._make_folder(self._way[-1].folder, names[-1], entry)
        except _Conflict as conflict:
            self._blocked = names, str(conflict)
            raise
        except OSError as error:
            self._blocked = names, reason(error)
            raise
        self._way.append(step)
        self._disks.setdefault(step.folder.identity[0], step.folder)
        if entry is not None and (made or not self._merges):
            self._folders.append((step.folder, entry))

    def _make_folder(self, parent: OpenFolder, name: bytes, entry: Entry | None) -> tuple[_Step, bool]:
        """The folder, and whether it was made by a restore: now, or by an attempt that never came to its end."""
        mode = 0o777 if entry is None else _UNFINISHED_MODE
        with parent.descriptor() as fd:
            standing = _lstat(fd, name)
            if standing is not None and not st.S_ISDIR(standing.st_mode):
                if self._overwrite != "always":
                    raise _Conflict(f"a {_kind_name(kind_of(standing))} stands where a folder is to be")
                os.unlink(name, dir_fd=fd)
                standing = None
            if standing is None:
                os.mkdir(name, mode, dir_fd=fd)
        try:
            folder = parent.enter(name)
        except OSError as error:
            raise _Conflict(f"something was put in its place during the restore: {reason(error)}") from None
        if standing is not None and entry is not None and not self._merges:
            _open_up(folder)
        is_new = standing is None
        return _Step(name, folder, is_new), is_new or (standing is not None and _is_unfinished(standing))

    # --- warnings ---

    @contextmanager
    def _one_entry(self, path: bytes) -> Iterator[None]:
        """What goes wrong with this entry is a warning; what would go wrong with all of them is raised."""
        try:
            yield
        except (_Conflict, OSError) as error:
            self._tell(path, error)

    def _tell(self, path: bytes, error: _Conflict | OSError) -> None:
        """Warn of one entry. Raises LimitReached, NotPermitted, WedSyncError for what would meet every other, too."""
        if isinstance(error, _Conflict):
            self._warn(path, str(error))
        elif isinstance(error, FileExistsError):
            self._warn(path, APPEARED)
        else:
            stop = stopping_error(error)
            if stop is None:
                self._warn(path, f"cannot be restored: {reason(error)}")
                return
            try:
                raise stop from None
            finally:
                del stop  # it holds this frame, and the frame the target with its descriptors


def _warner(warnings: list[TargetWarning]) -> Report:
    """Not a method: whoever reports holds the list then, not the target with its descriptors."""

    def warn(path: bytes, what: str) -> None:
        warnings.append(TargetWarning(path, what))

    return warn


def _open_root(root: bytes) -> tuple[OpenFolder, bool]:
    """The root, and whether it is new. Symlinks in its path are followed, as the person who named it meant."""
    shown = root.decode("utf-8", "backslashreplace")
    try:
        try:
            os.makedirs(root)
            made = True
        except FileExistsError:
            made = False
        return FolderPool().root(root, is_new=made), made
    except NotADirectoryError:
        raise NotFound(f"{shown} is not a folder", "name a folder to restore into") from None
    except OSError as error:
        stop = stopping_error(error)
        raise stop or NotPermitted(f"{shown} cannot be used: {reason(error)}", "choose another folder") from None


def _open_up(folder: OpenFolder) -> None:
    """Let a plain user write into a folder of his own that is read-only; `finish` gives it its mode back."""
    with folder.descriptor() as fd:
        stat = os.fstat(fd)
        if stat.st_mode & 0o700 != 0o700 and stat.st_uid == os.geteuid():
            os.chmod(f"/proc/self/fd/{fd}", st.S_IMODE(stat.st_mode) | 0o700)


def _is_unfinished(stat: os.stat_result) -> bool:
    return st.S_IMODE(stat.st_mode) == _UNFINISHED_MODE and stat.st_uid == os.geteuid()


def _create(fd: int, name: bytes, entry: Entry) -> None:
    if entry.kind == SYMLINK:
        os.symlink(entry.target, name, dir_fd=fd)
    elif entry.kind == FIFO:
        os.mkfifo(name, 0o600, dir_fd=fd)
    else:
        os.mknod(name, _DEVICE_TYPES[entry.kind] | 0o600, entry.device, dir_fd=fd)


@contextmanager
def _touched(folder_fd: int, name: bytes) -> Iterator[tuple[os.stat_result, str]]:
    """A thing of a folder, whatever it is, held without opening it: its stat, and the path that leads to it alone."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        yield os.fstat(fd), f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _lstat(folder_fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_same(folder_fd: int, name: bytes, entry: Entry, standing: os.stat_result) -> bool:
    """Are the contents those of the entry, as far as a look at the outside can tell?"""
    if kind_of(standing) != entry.kind:
        return False
    if entry.kind == FILE:
        return (standing.st_size, standing.st_mtime_ns) == (entry.size, entry.mtime_ns)
    if entry.kind == SYMLINK:
        return os.readlink(name, dir_fd=folder_fd) == entry.target
    return entry.kind == FIFO or standing.st_rdev == entry.device


def _has_metadata(folder_fd: int, name: bytes, entry: Entry, standing: os.stat_result) -> bool:
    """Is there nothing to correct? The owner counts only for root, who alone could."""
    if os.geteuid() == 0 and (standing.st_uid, standing.st_gid) != (entry.uid, entry.gid):
        return False
    with _touched(folder_fd, name) as (stat, handle):
        return st.S_IMODE(stat.st_mode) == entry.mode and read_xattrs(handle)[0] == entry.xattrs


def _kind_name(kind: int) -> str:
    return KIND_NAMES[kind].replace("-", " ")
