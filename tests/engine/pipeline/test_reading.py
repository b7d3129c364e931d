"""Files and streams into chunks: what is read, in which pieces it may come, and what a checkpoint can give back."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import Unavailable
from engine.base.units import MIB
from engine.contract.settings import SEGMENT_BYTES, UNIT_BYTES
from engine.pipeline import units
from engine.pipeline.backup import BackupRequest
from engine.pipeline.pool import Cancelled
from engine.pipeline.recorder import Slot
from engine.pipeline.units import UNFINISHED, Contents, StreamSource, resumed_segments, whole
from engine.pipeline.wholefile import cut_to
from engine.repository.entry import FILE, Entry
from engine.repository.index import Location
from engine.repository.pack import PackEntry
from tests.vaults import WEDDING, Bench, new_job

NOISE = random.Random(6).randbytes(MIB)
PACK = PackEntry(bytes(32), bytes(32), 1, 10, 1 << 26, b"")
PLAIN = Entry(path=b"f", kind=FILE, mode=0o644, uid=0, gid=0, mtime_ns=0)


# --- streams ----------------------------------------------------------------------------------------------


class Pipe:
    """A pipe that gets `size_bytes` from a thread, in writes of any length."""

    def __init__(self, size_bytes: int, piece: int) -> None:
        self.fd, self._end = os.pipe()
        self._size_bytes = size_bytes
        self._piece = piece
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        left = self._size_bytes
        try:
            while left:
                left -= os.write(self._end, NOISE[: min(self._piece, left)])
        except BrokenPipeError:
            pass
        os.close(self._end)

    def close(self) -> None:
        """Both ends."""
        os.close(self.fd)
        self._thread.join(60)


def _store(bench: Bench, fd: int, name: bytes = b"speeches/father.wav") -> None:
    with bench.repository.vault(WEDDING) as vault:
        bench.run(bench.backup_run(vault, BackupRequest(job_id=new_job(), sources=(), stream=(name, fd))))


@pytest.mark.parametrize("size_bytes", [0, 1, 300_000, 20 * MIB + 5, SEGMENT_BYTES, SEGMENT_BYTES + 1])
def test_a_stream_comes_back_whole(bench: Bench, tmp_path: Path, size_bytes: int) -> None:
    """Of any length, from a pipe that gives what it has."""
    pipe = Pipe(size_bytes, 1_000_003)
    _store(bench, pipe.fd)
    pipe.close()
    bench.retrieve(tmp_path / "back")
    found = (tmp_path / "back" / "speeches" / "father.wav").read_bytes()
    expected = b"".join(NOISE[: min(1_000_003, size_bytes - at)] for at in range(0, size_bytes, 1_000_003))
    assert len(found) == size_bytes
    assert found == expected
    assert bench.verify().problems == []


@given(pieces=st.lists(st.integers(1, 9000), max_size=12), buffer=st.sampled_from((4096, 5000, 20_000)))
def test_a_stream_gives_again_what_could_not_be_cut(pieces: list[int], buffer: int) -> None:
    """The reader goes back by less than the longest chunk, as often as it likes."""
    data = b"".join(NOISE[:piece] for piece in pieces)
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    source = StreamSource(read_end, is_stopped=lambda: False)
    memory = memoryview(bytearray(buffer))
    position, seen = 0, bytearray()
    while True:
        count = source.read_into(memory, position)
        assert bytes(memory[:count]) == data[position : position + count]
        if count < buffer:
            seen += memory[:count]
            break
        taken = count - count // 3
        seen += memory[:taken]
        position += taken
    os.close(read_end)
    assert bytes(seen) == data


def test_a_stream_that_breaks_ends_the_job(bench: Bench, tmp_path: Path) -> None:
    """Half of a speech would pass for all of it: nothing is kept, not even a checkpoint."""
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Unavailable, match="cannot be read"):
        _store(bench, fd)
    os.close(fd)
    assert bench.snapshots(partial=True) == []


def test_an_interrupted_stream_leaves_no_checkpoint(bench: Bench) -> None:
    """It cannot be read again from where it was."""
    pipe = Pipe(40 * MIB, MIB)
    with bench.repository.vault(WEDDING) as vault:
        run = bench.backup_run(vault, BackupRequest(job_id=new_job(), sources=(), stream=(b"s", pipe.fd)))
        next_unit = run.next_unit
        asked = 0

        def stopping(*, idle: bool) -> object:
            nonlocal asked
            asked += 1
            if asked == 3:
                run.interrupt()
            return next_unit(idle=idle)

        run.next_unit = stopping  # type: ignore[method-assign,assignment]
        bench.pool.submit(run)
        assert isinstance(run.done.exception(60), Cancelled)
    pipe.close()
    assert bench.snapshots(partial=True) == []


# --- what is known of a file ------------------------------------------------------------------------------


def test_a_file_has_the_hash_of_its_only_segment_or_of_all_their_hashes() -> None:
    """Empty segments at the end do not count; an empty file has the hash of nothing."""
    parts = [Contents(bytes([n]) * 32, bytes([n + 10]) * 32, 5) for n in range(2)]
    nothing = Contents(b"", b"n" * 32, 0)
    assert whole([parts[0], nothing]) == parts[0]
    assert whole([nothing]) == nothing
    both = whole(parts)
    assert (both.ids, both.length) == (parts[0].ids + parts[1].ids, 10)
    assert both.digest not in (parts[0].digest, parts[1].digest)


@pytest.mark.parametrize(
    ("extents", "length", "size", "kept"),
    [
        ((), 70, 70, ()),
        (((10, 20), (50, 30)), 50, 80, ((10, 20), (50, 30))),
        (((10, 20), (50, 30)), 30, 60, ((10, 20), (50, 10))),
        (((10, 20), (50, 30)), 20, 30, ((10, 20),)),
        (((10, 20), (50, 30)), 5, 15, ((10, 5),)),
        (((10, 20), (50, 30)), 0, 0, ()),
    ],
)
def test_an_entry_is_cut_to_the_data_that_there_was(
    extents: tuple[tuple[int, int], ...], length: int, size: int, kept: tuple[tuple[int, int], ...]
) -> None:
    """Inside an extent, between two, at the start."""
    found = cut_to(msgspec.structs.replace(PLAIN, size=100, extents=extents), length)
    assert (found.size, found.extents) == (size, kept)


def _locations(*lengths: int) -> list[Location | None]:
    return [Location(PACK, 44, length + 16, 0, length, 0) if length else None for length in lengths]


@pytest.mark.parametrize(
    ("lengths", "segments"),
    [
        ((SEGMENT_BYTES // 2, SEGMENT_BYTES // 2), [2]),
        ((SEGMENT_BYTES // 2, SEGMENT_BYTES // 2, SEGMENT_BYTES), [2, 1]),
        ((SEGMENT_BYTES // 2, SEGMENT_BYTES // 2, SEGMENT_BYTES // 2, 0), [2]),  # a chunk is not there any more
        ((0, SEGMENT_BYTES), []),
        ((SEGMENT_BYTES // 2, SEGMENT_BYTES // 2 + 1), []),  # no segment ends here: not cut as the format says
        ((SEGMENT_BYTES,) * 3, []),  # more segments than hashes
        ((), []),
    ],
)
def test_whole_segments_of_a_checkpoint_are_resumed(lengths: tuple[int, ...], segments: list[int]) -> None:
    """As far as each of their chunks is still there."""
    digests = [b"1" * 32, b"2" * 32]
    previous = msgspec.structs.replace(PLAIN, hash=UNFINISHED + b"".join(digests))
    ids = b"".join(bytes([at]) * 32 for at in range(len(lengths)))
    found = resumed_segments(previous, ids, _locations(*lengths))
    assert [len(contents.ids) // 32 for contents in found] == segments
    assert [contents.digest for contents in found] == digests[: len(segments)]
    assert all(contents.length == SEGMENT_BYTES for contents in found)


def test_a_unit_wants_no_more_than_its_segment_has() -> None:
    """At the start, in the middle, at the end of a segment and of the file."""
    work = units.FileWork(None, b"f", Slot(), 0)
    data_bytes = SEGMENT_BYTES + 100
    wanted = {start: units.SegmentTask(work, 0, start).wanted(data_bytes) for start in (0, SEGMENT_BYTES - 5)}
    assert wanted == {0: UNIT_BYTES, SEGMENT_BYTES - 5: 5}
    assert units.SegmentTask(work, 1, SEGMENT_BYTES).wanted(data_bytes) == 100
    assert units.SegmentTask(work, 1, SEGMENT_BYTES).wanted(SEGMENT_BYTES - 1) == 0
