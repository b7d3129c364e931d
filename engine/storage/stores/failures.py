"""What an operating system's refusal means to the floors above: OSError → one line and a hint. Pure."""

from __future__ import annotations

import errno
import os

from engine.base.errors import LimitReached, NotPermitted, Unavailable, WedSyncError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def explain(error: OSError, root: str) -> WedSyncError:
    """The error that a caller of the store in folder `root` sees for `error`."""
    where = shown(root)
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return LimitReached(f"the store at {where} is full ({reason})", "free some space there, then run it again")
    if error.errno == errno.EROFS:
        return NotPermitted(f"the store at {where} is read-only", "mount it writable to change anything in it")
    if error.errno in _FORBIDDEN:
        return NotPermitted(
            f"the store at {where} may not be used so ({reason})",
            "check the owner and the mode of its folders, and that its file system knows hard links",
        )
    if error.errno == errno.EIO:
        return Unavailable(
            f"the disk of the store at {where} reports an error ({reason})",
            "look at the kernel's log and the disk's health before trusting it again",
        )
    return Unavailable(f"the store at {where} does not answer ({reason})", "check that its disk is there and mounted")


def store_closed(root: str) -> WedSyncError:
    """The error of using a store after its `close`."""
    return Unavailable(f"the store at {shown(root)} is closed", "open it again")


def shown(path: str) -> str:
    """A path as a message can carry it: what is not valid UTF-8 is written out as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
