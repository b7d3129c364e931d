"""The companion process of a stream (`engine.pipeline.companion`): does what it is asked for, until it is let go.

In: messages with the descriptors of folders. Out: what was read of each file, its bytes in the shared memory; or what
became of each that was to be written. It ends when the other side has. One thread.
"""

from __future__ import annotations

import mmap
import signal
import socket

import msgspec

from engine.base.entropy import SystemEntropy
from engine.base.errors import WedSyncError
from engine.base.shapes import msgpack_decoder
from engine.pipeline.companion import (
    FOLDERS_MAX,
    HEADER_BYTES,
    ROOM_BYTES,
    Read,
    ReadUnit,
    WriteUnit,
    Written,
    received,
)
from engine.pipeline.folders import FolderPool, OpenFolder
from engine.pipeline.source import SourceFile, SourceProblem
from engine.pipeline.targets.files import FolderFileWriter, Place, Placer
from engine.pipeline.targets.metadata import MetadataWriter
from engine.pipeline.wholefile import WholeReader

_encoder = msgspec.msgpack.Encoder()
_decoder = msgpack_decoder(ReadUnit | WriteUnit)  # type: ignore[arg-type]


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    path: bytes
    folder: OpenFolder
    name: bytes


def main(door_fd: str, memory_fd: str, unit_bytes: str) -> None:
    """Serve until nobody is there to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = memoryview(mmap.mmap(int(memory_fd), int(unit_bytes) + ROOM_BYTES))
    into, room = memory[: int(unit_bytes)], memory[int(unit_bytes) :]
    with socket.socket(fileno=int(door_fd)) as door:
        try:
            door.sendall(b"\1")
            while True:
                asked, folders = _next(door)
                done = _read(asked, folders, into) if isinstance(asked, ReadUnit) else _write(asked, folders, room)
                answer = _encoder.encode(done)
                door.sendall(len(answer).to_bytes(HEADER_BYTES, "little") + answer)
                folders.clear()
        except (OSError, EOFError):
            return


def _next(door: socket.socket) -> tuple[ReadUnit | WriteUnit, list[OpenFolder]]:
    header, fds, _, _ = socket.recv_fds(door, HEADER_BYTES, FOLDERS_MAX)
    pool = FolderPool()
    folders = [pool.received(fd) for fd in fds]
    header += received(door, HEADER_BYTES - len(header)) if header else b""
    if not header:
        raise EOFError
    asked: ReadUnit | WriteUnit = _decoder.decode(received(door, int.from_bytes(header, "little")))
    if len(folders) != (len(asked.folders) if isinstance(asked, ReadUnit) else asked.folders):
        raise EOFError  # descriptors were lost on the way: there were too many open
    return asked, folders


def _read(unit: ReadUnit, folders: list[OpenFolder], into: memoryview) -> Read:
    found: Read = []
    reader = WholeReader[_Wanted](SourceFile, unit.chunk_key)
    at = 0
    for number, name, reads in unit.files:
        wanted = _Wanted(unit.folders[number] + name, folders[number], name)
        try:
            file = reader.read(wanted, into[at:], reads=reads, now_ns=unit.now_ns)
        except SourceProblem as problem:
            found.append(problem.what)
            continue
        found.append(file)
        at += file.length if file is not None else 0
    return found


def _write(unit: WriteUnit, folders: list[OpenFolder], room: memoryview) -> Written:
    """What would stop the whole restore is left to the stream, which meets it again and says so."""
    written: Written = []
    told: list[tuple[bytes, str]] = []

    def tell(path: bytes, what: str) -> None:
        told.append((path, what))

    placer = Placer(SystemEntropy(), MetadataWriter(tell), tell)
    for number, name, replace, at, entry in unit.files:
        writer = FolderFileWriter(placer, Place(folders[number], name), entry, replace=replace)
        try:
            writer.write_at(0, room[at : at + entry.size])
            stands = writer.commit()
        except WedSyncError:
            writer.discard()
            break
        written.append((stands, told.copy()))
        told.clear()
    return written + [None] * (len(unit.files) - len(written))
