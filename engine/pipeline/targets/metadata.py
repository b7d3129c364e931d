"""The metadata of one restored thing, through a descriptor: owner, xattrs and ACLs, mode, mtime, in that order.

The order matters: a change of owner takes set-user bits and capabilities away, an attribute of the `user`
namespace needs the right to write, which the final mode may not give, an ACL is part of the mode, and each of
them but the last moves the time. Any thread.
"""

from __future__ import annotations

import errno
import os
import stat as st
import threading
from collections.abc import Callable

from engine.pipeline.folders import reason
from engine.repository.entry import FOLDER, SYMLINK, Entry

Report = Callable[[bytes, str], None]  # (path, sentence)

SAID_ONCE = "; said once, it may concern other entries too"
_ACL_PREFIX = b"system.posix_acl_"
_STOPPING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REMOVABLE = (b"user.", _ACL_PREFIX)  # others belong to the system: labels, signatures


class MetadataWriter:
    """Gives things their metadata, and says once for a whole restore what the target cannot hold."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._is_root = os.geteuid() == 0
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def give(self, handle: int | str, entry: Entry) -> None:
        """Make what `handle` holds (a descriptor, or a path under /proc/self/fd) as `entry` says.

        What cannot be set is reported; raises OSError only for a full or read-only target.
        """
        try:
            self._give(handle, entry)
        except OSError as error:
            if error.errno in _STOPPING:
                raise
            self._report(entry.path, f"its metadata cannot be set: {reason(error)}")

    def _give(self, handle: int | str, entry: Entry) -> None:
        stat = self._own(handle, entry)
        if entry.kind == SYMLINK:
            self._set_xattrs(handle, entry, self._standing_xattrs(handle), acls=False)
        else:
            standing = self._standing_xattrs(handle)
            if standing or entry.xattrs:
                self._correct_xattrs(handle, entry, standing, stat)
            os.chmod(handle, _mode(entry, stat))
            if entry.xattrs:
                self._set_xattrs(handle, entry, standing, acls=True)
        os.utime(handle, ns=(entry.mtime_ns, entry.mtime_ns))

    def _own(self, handle: int | str, entry: Entry) -> os.stat_result:
        """The owner as recorded. Only root may give things away, so a plain user is not warned."""
        stat = os.stat(handle)
        if (stat.st_uid, stat.st_gid) == (entry.uid, entry.gid):
            return stat
        for uid in (entry.uid, -1):  # without the owner, the group may still be one of ours
            try:
                os.chown(handle, uid, entry.gid)
                break
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EINVAL, errno.EACCES):
                    raise
                if self._is_root:
                    self.once(entry.path, f"owners cannot be set here: {reason(error)}")
        return os.stat(handle)

    def _standing_xattrs(self, handle: int | str) -> dict[bytes, bytes]:
        """What the thing has already: its own from before, or what a default ACL of its folder gave it."""
        try:
            names = os.listxattr(handle)
            return {os.fsencode(name): os.getxattr(handle, name) for name in names} if names else {}
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EACCES, errno.ENODATA):
                return {}
            raise

    def _correct_xattrs(
        self, handle: int | str, entry: Entry, standing: dict[bytes, bytes], stat: os.stat_result
    ) -> None:
        """Take away what is not recorded, set what is; ACLs come after the mode."""
        if not self._is_root and stat.st_mode & 0o600 != 0o600:
            os.chmod(handle, st.S_IMODE(stat.st_mode) | 0o600)
        wanted = {name for name, _ in entry.xattrs}
        for name in standing:
            if name not in wanted and name.startswith(_REMOVABLE):
                try:
                    os.removexattr(handle, name)
                except OSError as error:
                    self._cannot(entry.path, name, "taken away", error)
        self._set_xattrs(handle, entry, standing, acls=False)

    def _set_xattrs(self, handle: int | str, entry: Entry, standing: dict[bytes, bytes], *, acls: bool) -> None:
        for name, value in entry.xattrs:
            if name.startswith(_ACL_PREFIX) == acls and (acls or standing.get(name) != value):
                try:
                    os.setxattr(handle, name, value)
                except OSError as error:
                    self._cannot(entry.path, name, "set", error)

    def _cannot(self, path: bytes, name: bytes, verb: str, error: OSError) -> None:
        """Said once a namespace: what the file system or a plain user cannot do, it cannot do for any entry."""
        if error.errno in _STOPPING:
            raise error
        namespace = name.partition(b".")[0].decode(errors="backslashreplace")
        kind = "ACLs" if name.startswith(_ACL_PREFIX) else f"extended attributes ({namespace})"
        self.once(path, f"{kind} cannot be {verb} here: {reason(error)}")

    def once(self, path: bytes, what: str) -> None:
        """Report what concerns more than one entry, if it was not yet."""
        with self._lock:
            if what in self._said:
                return
            self._said.add(what)
        self._report(path, what + SAID_ONCE)


def _mode(entry: Entry, stat: os.stat_result) -> int:
    """The recorded mode; a program that is another's now must not run as him, so its set-id bits go."""
    mode = entry.mode
    if entry.kind != FOLDER:
        mode &= ~st.S_ISUID if stat.st_uid != entry.uid else ~0
        mode &= ~st.S_ISGID if stat.st_gid != entry.gid else ~0
    return mode
