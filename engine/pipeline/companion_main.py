"""The companion process of a stream (`engine.pipeline.companion`): reads the files it is asked for, until it is let go.

In: messages with the descriptors of folders. Out: what was read of each file; its bytes in the shared memory. It ends
when the other side has. One thread.
"""

from __future__ import annotations

import mmap
import signal
import socket

import msgspec

from engine.base.shapes import msgpack_decoder
from engine.pipeline.companion import FOLDERS_MAX, HEADER_BYTES, Read, ReadUnit, received
from engine.pipeline.folders import FolderPool, OpenFolder
from engine.pipeline.source import SourceFile, SourceProblem
from engine.pipeline.wholefile import WholeReader

_encoder = msgspec.msgpack.Encoder()
_decoder = msgpack_decoder(ReadUnit)


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    folder: OpenFolder
    name: bytes


def main(door_fd: str, memory_fd: str, memory_bytes: str) -> None:
    """Serve until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = memoryview(mmap.mmap(int(memory_fd), int(memory_bytes)))
    with socket.socket(fileno=int(door_fd)) as door:
        try:
            door.sendall(b"\1")
            while True:
                unit, folders = _next(door)
                answer = _encoder.encode(_read(unit, folders, memory))
                door.sendall(len(answer).to_bytes(HEADER_BYTES, "little") + answer)
                folders.clear()
        except (OSError, EOFError):
            return


def _next(door: socket.socket) -> tuple[ReadUnit, list[OpenFolder]]:
    header, fds, _, _ = socket.recv_fds(door, HEADER_BYTES, FOLDERS_MAX)
    pool = FolderPool()
    folders = [pool.received(fd) for fd in fds]
    header += received(door, HEADER_BYTES - len(header)) if header else b""
    if not header:
        raise EOFError
    unit = _decoder.decode(received(door, int.from_bytes(header, "little")))
    if len(folders) != len(unit.folders):
        raise EOFError  # descriptors were lost on the way: there were too many open
    return unit, folders


def _read(unit: ReadUnit, folders: list[OpenFolder], memory: memoryview) -> Read:
    found: Read = []
    reader = WholeReader[_Wanted](SourceFile, unit.chunk_key)
    at = 0
    for number, name, reads in unit.files:
        wanted = _Wanted(unit.folders[number] + name, folders[number], name)
        try:
            file = reader.read(wanted, memory[at:], reads=reads, now_ns=unit.now_ns)
        except SourceProblem as problem:
            found.append(problem.what)
            continue
        found.append(file)
        at += file.length if file is not None else 0
    return found
