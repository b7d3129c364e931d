"""What an operation writes for a person: a new file, or the caller's own output. Blocks; on the executor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO

from engine.base.errors import Conflict, LimitReached, NotFound, NotPermitted


@contextlib.contextmanager
def new_file(path: str, fd: int | None, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file made at `path`, durable at the end of the block, or the caller's output where `fd` is given.

    One that was not finished does not stay. Raises Conflict where something stands, NotFound, NotPermitted,
    LimitReached.
    """
    if fd is not None:
        with os.fdopen(fd, "wb") as output:
            yield output
        return
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Conflict(f"{path} stands already", "name a new file") from None
    except FileNotFoundError:
        raise NotFound(f"{path}: its folder is not there", "make the folder first") from None
    except PermissionError:
        raise NotPermitted(f"{path} may not be written") from None
    except OSError as error:
        raise LimitReached(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(made, "wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
