"""One file's bytes to a descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.base.errors import LimitReached, UsageError, WedSyncError
from engine.pipeline.targets.stream import StreamTarget
from engine.repository.entry import FIFO, SYMLINK
from tests.suites.restore_target import RestoreTargetSuite, entry


class TestStreamTarget(RestoreTargetSuite):
    """The promises, kept by a file that is open elsewhere."""

    holds_many = False

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Path]:
        """Descriptors are closed by whoever opened them."""
        self._opened: list[int] = []
        self._names: dict[Path, bytes] = {}
        yield tmp_path / "place"
        for fd in self._opened:
            os.close(fd)

    def open_target(self, place: Path) -> StreamTarget:
        """To a file."""
        self._opened.append(os.open(place, os.O_CREAT | os.O_WRONLY))
        return StreamTarget(self._opened[-1])

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """The stream does not say what file it is."""
        data = place.read_bytes()
        return {b"d0/f0" if data == b"" and self._many else b"f/a": data}

    _many = False

    def test_many_files_come_back(self, place: Path) -> None:
        """As many as one."""
        self._many = True
        super().test_many_files_come_back(place)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: (to read, to write)."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def test_a_stream_takes_one_file_and_nothing_else(pipe: tuple[int, int]) -> None:
    """The rest has no place in it."""
    for kind in (SYMLINK, FIFO):
        with pytest.raises(UsageError):
            StreamTarget(pipe[1]).begin(entry(b"a", kind))
    target = StreamTarget(pipe[1])
    assert target.begin(entry(b"a")) is not None
    with pytest.raises(UsageError):
        target.begin(entry(b"b"))


def test_an_aborted_stream_ends_where_the_bytes_end(pipe: tuple[int, int]) -> None:
    """Zeros that nobody stored must not pass for contents."""
    target = StreamTarget(pipe[1])
    writer = target.begin(entry(b"a", size=10))
    assert writer is not None
    writer.write_at(0, memoryview(b"abc"))
    writer.abort("damaged")
    target.finish()
    assert os.read(pipe[0], 100) == b"abc"


def test_the_descriptor_stays_open(pipe: tuple[int, int]) -> None:
    """It is the caller's."""
    target = StreamTarget(pipe[1])
    target.finish()
    del target
    os.fstat(pipe[1])


def test_a_reader_that_went_away_ends_the_restore(pipe: tuple[int, int]) -> None:
    """In one line."""
    os.close(pipe[0])
    writer = StreamTarget(pipe[1]).begin(entry(b"a", size=3))
    assert writer is not None
    with pytest.raises(WedSyncError, match="nobody reads"):
        writer.write_at(0, memoryview(b"abc"))


def test_a_full_disk_ends_the_restore() -> None:
    """In one line."""
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        writer = StreamTarget(fd).begin(entry(b"a", size=3))
        assert writer is not None
        with pytest.raises(LimitReached):
            writer.write_at(0, memoryview(b"abc"))
    finally:
        os.close(fd)
