"""A stream's companion: a process of its own that reads and writes small files, through memory that both share.

A small file costs eight short system calls, and streams of one process that make them side by side hand the
interpreter's lock to and fro at each. The companion makes them on a core of its own, and names what it has read, while
streams compress and seal, or unpack. It is given descriptors, not paths, and no secret but the key that names chunks.
What it cannot do (it does not start, it was killed) the stream does itself. It ends with its stream, and with the
engine, however that ends: it sees their end of the socket close. One stream each.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

import msgspec

from engine.base.shapes import msgpack_decoder
from engine.base.units import MIB
from engine.pipeline.wholefile import WholeFile
from engine.repository.entry import Entry

FILES_MIN = 32  # of a unit; fewer are read sooner than asked for
BEGUN_AFTER_FILES = 512  # of such units: it takes 50 ms of a core to start
ROOM_BYTES = 4 * MIB
FOLDERS_MAX = 250  # descriptors that one message may carry
_PLACES = threading.BoundedSemaphore(len(os.sched_getaffinity(0)) + 1)  # companions at once in this process

_LOG = logging.getLogger(__name__)
_BEGINNING = (
    "import sys; sys.path[:] = sys.argv[4:]; from engine.pipeline.companion_main import main; main(*sys.argv[1:4])"
)
HEADER_BYTES = 8


class ReadUnit(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """Files to read, in folders whose descriptors come with the message, in their order."""

    now_ns: int
    chunk_key: bytes
    folders: list[bytes]  # what the paths in it begin with
    files: list[tuple[int, bytes, int]]  # (folder's number, name, how many readings there were)


class WriteUnit(msgspec.Struct, frozen=True, array_like=True, tag="write"):
    """Files to write, in folders whose descriptors come with the message, in their order."""

    folders: int
    files: list[tuple[int, bytes, bool, int, Entry]]  # (folder's number, name, to replace what stands, start in `room`)


Read = list[WholeFile | str | None]  # a file, what is wrong with it, or that there is no room for it
Written = list[tuple[bool, list[tuple[bytes, str]]] | None]  # whether it stands, warnings; None: it was not tried
_encoder = msgspec.msgpack.Encoder()
_read_decoder = msgpack_decoder(Read)
_written_decoder = msgpack_decoder(Written)


class Companion:
    """Begun when it pays; what it is asked for in vain is None."""

    def __init__(self, unit_bytes: int) -> None:
        """Nothing is begun yet. Where memory cannot be shared (a limit on the size of files is one on that, too, and
        it takes descriptors) it is the stream's alone, and no companion is begun.
        """
        size_bytes = unit_bytes + ROOM_BYTES
        self._memory_fd = -1
        try:
            self._memory_fd = os.memfd_create("wedsync-unit", os.MFD_CLOEXEC)
            os.ftruncate(self._memory_fd, size_bytes)
            memory = memoryview(mmap.mmap(self._memory_fd, size_bytes))
            can_share = True
        except OSError as error:
            _LOG.warning("streams read small files themselves: no memory can be shared (%s)", error)
            memory, can_share = memoryview(mmap.mmap(-1, size_bytes)), False
        self.unit, self.room = memory[:unit_bytes], memory[unit_bytes:]  # what it reads into, and writes from
        self._process: subprocess.Popen[bytes] | None = None
        self._door: socket.socket | None = None
        self.is_ready = False
        self._is_of_use = can_share and bool(sys.executable)
        self._files = 0

    def is_ready_for(self, files: int) -> bool:
        """Whether to ask it for a unit of so many files."""
        if not self._is_of_use or files < FILES_MIN:
            return False
        self._files += files
        if self._door is None:
            if self._files >= BEGUN_AFTER_FILES:
                self._begin()
        elif not self.is_ready:
            self.is_ready = self._has_started(self._door)
        return self.is_ready

    def read(self, unit: ReadUnit, folders: Sequence[int]) -> Read | None:
        """Read files end to end into `unit`; `folders` are descriptors."""
        answer = self._ask(unit, folders)
        return None if answer is None else _read_decoder.decode(answer)

    def write(self, unit: WriteUnit, folders: Sequence[int]) -> Written | None:
        """Write files out of `room`; `folders` are descriptors. Of None nobody knows what of it was done."""
        answer = self._ask(unit, folders)
        return None if answer is None else _written_decoder.decode(answer)

    def _ask(self, unit: ReadUnit | WriteUnit, folders: Sequence[int]) -> bytes | None:
        assert self._door is not None
        try:
            payload = _encoder.encode(unit)
            socket.send_fds(self._door, [len(payload).to_bytes(HEADER_BYTES, "little")], folders)
            self._door.sendall(payload)
            return received(self._door, int.from_bytes(received(self._door, HEADER_BYTES), "little"))
        except (OSError, EOFError) as error:
            _LOG.warning("a companion process was lost (%r); its stream goes on by itself", error)
            self._let_go()
            return None

    def close(self) -> None:
        """Its stream ends."""
        self._let_go()
        self._is_of_use = False
        if self._memory_fd >= 0:
            os.close(self._memory_fd)

    def _let_go(self) -> None:
        """Let it end. Another one is begun when there is enough to do again."""
        process, self._process, door, self._door = self._process, None, self._door, None
        self.is_ready, self._files = False, 0
        if door is not None:
            door.close()
        if process is not None:
            process.kill()  # it may be waiting for a disk that does not answer
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            _PLACES.release()

    def _begin(self) -> None:
        if not _PLACES.acquire(blocking=False):
            return
        try:
            door, theirs = socket.socketpair()
        except OSError:  # no descriptor is left; there may be one when as many files have come again
            _PLACES.release()
            self._files = 0
            return
        with theirs:
            numbers = [theirs.fileno(), self._memory_fd]
            words = [*map(str, numbers), str(len(self.unit)), *map(os.path.abspath, sys.path)]
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _BEGINNING, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=numbers,
                    cwd="/",
                    env={name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
                    process_group=0,  # Ctrl-C is for the engine, which tells its streams
                )
            except OSError:
                door.close()
                _PLACES.release()
                self._is_of_use = False
                return
        self._door = door

    def _has_started(self, door: socket.socket) -> bool:
        """Its first byte says that it is there. One that ends before that would end again."""
        try:
            if door.recv(1, socket.MSG_DONTWAIT):
                return True
        except BlockingIOError:
            return False
        except OSError:
            pass
        _LOG.warning("a companion process ended as it began; streams read small files themselves")
        self._is_of_use = False
        self._let_go()
        return False


def received(door: socket.socket, size_bytes: int) -> bytes:
    """So many bytes. Raises EOFError when the other side has ended, OSError."""
    data = bytearray(size_bytes)
    view = memoryview(data)
    while view:
        count = door.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(data)
