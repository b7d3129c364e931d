"""What archives and single streams share: an output that only goes forward, and a writer of one file into it.

An output that breaks ends the restore: half an archive is no archive. Holes become zeros. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from engine.base.errors import WedSyncError
from engine.base.invariants import check
from engine.base.units import MIB
from engine.pipeline.folders import reason
from engine.pipeline.targets.target import stopping_error

_ZEROS = memoryview(bytes(1 * MIB))


class Output:
    """A binary file that counts what it took, raises our errors, and takes nothing more once it is shut."""

    def __init__(self, file: IO[bytes]) -> None:
        self.position = 0
        self.shut = False
        self._file = file

    def write(self, data: bytes | memoryview) -> int:
        """All of `data`. Raises WedSyncError, LimitReached."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        with _our_errors():
            while rest and not self.shut:
                written = self._file.write(rest)
                rest = rest[written:]
        self.position += length
        return length

    def zeros(self, count: int) -> None:
        """`count` zero bytes."""
        while count > 0:
            count -= self.write(_ZEROS[: min(count, len(_ZEROS))])

    def flush(self) -> None:
        """Hand over what is buffered."""
        if not self.shut:
            with _our_errors():
                self._file.flush()

    def seekable(self) -> bool:
        """May a header be filled in afterwards?"""
        return self._file.seekable()

    def tell(self) -> int:
        """See `io.IOBase.tell`. Raises OSError on a pipe, which tells zipfile that it is one."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """See `io.IOBase.seek`."""
        return self._file.seek(offset, whence)


class SequentialWriter:
    """A `FileWriter` whose writes come in order; what is left out in between becomes zeros."""

    def __init__(
        self,
        write: Callable[[memoryview], object],
        size: int,
        ended: Callable[[str], bool],
        *,
        keeps_length: bool = True,
    ) -> None:
        """`ended` is called once, with the problem or an empty string; it says whether the file stands.

        With `keeps_length` exactly `size` bytes come before that, also when the contents cannot be had: an archive has
        said the length in advance.
        """
        self._write = write
        self._size = size
        self._ended = ended
        self._keeps_length = keeps_length
        self._at = 0

    def write_at(self, offset: int, data: memoryview) -> None:
        """See `FileWriter.write_at`. Raises what the output raises."""
        check(self._at <= offset, "an archive is written in order")
        check(offset + len(data) <= self._size, "a write stays inside the file")
        self._zeros_to(offset)
        self._write(data)
        self._at += len(data)

    def commit(self) -> bool:
        """See `FileWriter.commit`. Raises what the output raises."""
        self._zeros_to(self._size)
        return self._ended("")

    def abort(self, what: str) -> None:
        """See `FileWriter.abort`. Raises what the output raises."""
        if self._keeps_length:
            self._zeros_to(self._size)
        self._ended(what)

    def _zeros_to(self, offset: int) -> None:
        while self._at < offset:
            count = min(offset - self._at, len(_ZEROS))
            self._write(_ZEROS[:count])
            self._at += count


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise stopping_error(error) or WedSyncError(f"the output cannot be written: {reason(error)}") from None
