"""Restoring into an archive: a tar stream (PAX, with everything an entry holds) or a zip stream. One thread.

In: entries in walk order, the bytes of one file at a time. Out: a binary file, written forwards, left open. A
file whose contents cannot be had keeps its place, filled up with zeros, and is warned of.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import stat as st
import struct
import tarfile
import zipfile
from typing import IO, cast

from engine.pipeline.targets.sequential import Output, SequentialWriter
from engine.pipeline.targets.target import TargetWarning, prefix_names, without_prefix
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

_NS = 10**9
_TAR_TYPES = {
    FOLDER: tarfile.DIRTYPE, FILE: tarfile.REGTYPE, SYMLINK: tarfile.SYMTYPE, FIFO: tarfile.FIFOTYPE,
    CHARACTER_DEVICE: tarfile.CHRTYPE, BLOCK_DEVICE: tarfile.BLKTYPE,
}  # fmt: skip
_ZIP_TYPES = {FOLDER: st.S_IFDIR, FILE: st.S_IFREG, SYMLINK: st.S_IFLNK}
_ZIP_FIRST, _ZIP_LAST = dt.datetime(1980, 1, 1), dt.datetime(2107, 12, 31, 23, 59, 58)  # noqa: DTZ001 - zip has no zone


class _Archive:
    """What tar and zip have in common: names below the prefix, warnings, the end."""

    random_access = False

    def __init__(self, output: IO[bytes], *, strip_prefix: bytes = b"") -> None:
        """Entries outside `strip_prefix`, a path of the snapshot, are warned of, its parents passed over."""
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        self.is_whole = False  # finished, so that what was written is an archive
        self._output = Output(output)
        self._prefix = prefix_names(strip_prefix)
        self._current: Entry | None = None

    def close(self) -> None:
        """See `RestoreTarget.close`. What was written so far is no archive."""
        self._output.shut = True

    def _name(self, entry: Entry) -> bytes | None:
        """The entry's name in the archive, None when it has no place there. Raises IntegrityError."""
        names = without_prefix(entry.path, self._prefix)
        if names:
            return b"/".join(names)
        if names is None and (entry.kind != FOLDER or not self._is_above_prefix(entry)):
            self._warn(entry, "lies outside the prefix that is taken off")
        elif names == () and entry.kind != FOLDER:
            self._warn(entry, "has no name left when the prefix is taken off")
        return None

    def _is_above_prefix(self, entry: Entry) -> bool:
        names = prefix_names(entry.path)
        return names == self._prefix[: len(names)]

    def _warn(self, entry: Entry, what: str) -> None:
        self.warnings.append(TargetWarning(entry.path, what))

    def _warn_of_zeros(self, entry: Entry, problem: str) -> bool:
        if problem:
            self._warn(entry, f"{problem}; the rest of its contents is zeros")
        return not problem


class TarTarget(_Archive):
    """A PAX tar stream to `output`, which stays open. Holes are written as zeros. See `RestoreTarget`."""

    def __init__(self, output: IO[bytes], *, strip_prefix: bytes = b"") -> None:
        super().__init__(output, strip_prefix=strip_prefix)
        self._firsts: dict[tuple[int, int, bytes, bytes], bytes] = {}  # link group → name in the archive

    def begin(self, entry: Entry) -> SequentialWriter | None:
        """See `RestoreTarget.begin`. Raises IntegrityError for a path that could lead outside."""
        name = self._name(entry)
        if name is None:
            return None
        if entry.kind == SOCKET:
            self._warn(entry, "is a socket, which has no place in an archive")
            return None
        info = self._info(entry, name)
        key = (entry.link_group, entry.kind, entry.hash, entry.target)
        first = self._firsts.setdefault(key, name) if entry.link_group else name
        if first != name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, _text(first), 0
        self._output.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if info.type != tarfile.REGTYPE:
            return None

        def ended(problem: str) -> bool:
            self._output.zeros(-entry.size % tarfile.BLOCKSIZE)
            return self._warn_of_zeros(entry, problem)

        return SequentialWriter(self._output.write, entry.size, ended)

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        self._output.zeros(2 * tarfile.BLOCKSIZE)
        self._output.zeros(-self._output.position % tarfile.RECORDSIZE)
        self._output.flush()
        self.is_whole = True
        self.close()

    def _info(self, entry: Entry, name: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo(_text(name))
        info.type = _TAR_TYPES[entry.kind]
        info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
        info.mtime, fraction_ns = divmod(entry.mtime_ns, _NS)
        info.size = entry.size if entry.kind == FILE else 0
        info.linkname = _text(entry.target)
        info.devmajor, info.devminor = os.major(entry.device), os.minor(entry.device)
        headers: dict[str, str] = {}
        if fraction_ns:
            sign, whole = ("-", -entry.mtime_ns) if entry.mtime_ns < 0 else ("", entry.mtime_ns)
            headers["mtime"] = f"{sign}{whole // _NS}.{whole % _NS:09d}"
        for key, value in entry.xattrs:
            try:
                shown = key.decode("utf-8").replace("%", "%25").replace("=", "%3D")
            except UnicodeDecodeError:
                self._warn(entry, f"its attribute {key!r} has a name that has no place in a tar archive")
            else:
                headers[f"SCHILY.xattr.{shown}"] = _text(value)
        info.pax_headers = headers
        return info


class ZipTarget(_Archive):
    """A zip stream to `output`, stored, every hard link whole. Holes are written as zeros. See `RestoreTarget`.

    Zip holds names in UTF-8, modes, owners, times in seconds, and symlinks; what it cannot hold is warned of.
    """

    def __init__(self, output: IO[bytes], *, strip_prefix: bytes = b"") -> None:
        super().__init__(output, strip_prefix=strip_prefix)
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._output), "w", zipfile.ZIP_STORED)
        self._file: IO[bytes] | None = None
        self._told_of_xattrs = False

    def begin(self, entry: Entry) -> SequentialWriter | None:
        """See `RestoreTarget.begin`. Raises IntegrityError for a path that could lead outside."""
        name = self._name(entry)
        if name is None:
            return None
        if entry.kind not in _ZIP_TYPES:
            self._warn(entry, f"is a {KIND_NAMES[entry.kind].replace('-', ' ')}, which has no place in a zip archive")
            return None
        info = self._info(entry, name)
        if entry.kind != FILE:
            self._zip.writestr(info, entry.target)
            return None
        self._file = file = self._zip.open(info, "w")

        def ended(problem: str) -> bool:
            file.close()
            self._file = None
            return self._warn_of_zeros(entry, problem)

        return SequentialWriter(file.write, entry.size, ended)

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        self._zip.close()
        self._output.flush()
        self.is_whole = True
        self.close()

    def close(self) -> None:
        """See `RestoreTarget.close`. What zipfile still wants to write goes nowhere."""
        super().close()
        with contextlib.suppress(Exception):
            if self._file is not None:
                self._file.close()
        with contextlib.suppress(Exception):
            self._zip.close()

    def _info(self, entry: Entry, name: bytes) -> zipfile.ZipInfo:
        seconds = entry.mtime_ns // _NS
        try:
            shown = name.decode("utf-8")
        except UnicodeDecodeError:
            shown = name.decode("utf-8", "backslashreplace")
            self._warn(entry, f"its name is not UTF-8; in the zip archive it is {shown}")
        if entry.xattrs and not self._told_of_xattrs:
            self._told_of_xattrs = True
            self._warn(entry, "extended attributes and ACLs have no place in a zip archive; said once")
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=max(-(2**31), min(seconds, 2**33)))  # noqa: DTZ001
        moment = min(max(moment, _ZIP_FIRST), _ZIP_LAST)
        info = zipfile.ZipInfo(shown + "/" * (entry.kind == FOLDER), moment.timetuple()[:6])
        info.create_system = 3  # unix: the mode is in the upper half of the attributes
        info.external_attr = (_ZIP_TYPES[entry.kind] | entry.mode) << 16 | 0x10 * (entry.kind == FOLDER)
        info.file_size = entry.size
        # Info-ZIP's extra fields: UT, the time in UTC, and ux, the owner.
        if -(2**31) <= seconds < 2**31:
            info.extra += struct.pack("<HHBi", 0x5455, 5, 1, seconds)
        info.extra += struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, entry.uid, 4, entry.gid)
        return info


def _text(raw: bytes) -> str:
    """Any bytes as text that tarfile turns back into them."""
    return raw.decode("utf-8", "surrogateescape")
