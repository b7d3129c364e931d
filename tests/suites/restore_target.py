"""What every `RestoreTarget` promises. A test class derives from `RestoreTargetSuite` and says how one is opened.

`restored` gives back, after `finish` or `close`, what a person would find there: path → bytes of its files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from engine.base.errors import IntegrityError
from engine.pipeline.extents import Extents
from engine.pipeline.targets.target import FileWriter, RestoreTarget
from engine.repository.entry import FILE, FOLDER, Entry

MIB = 1 << 20
OUTSIDE = (b"", b"/", b"/a", b"a//b", b"..", b"../a", b"a/../b", b".", b"a\0b")


def entry(path: bytes, kind: int = FILE, **more: object) -> Entry:
    """An entry with ordinary metadata."""
    mode = 0o755 if kind == FOLDER else 0o644
    base = Entry(path=path, kind=kind, mode=mode, uid=os.geteuid(), gid=os.getegid(), mtime_ns=10**18)
    return msgspec.structs.replace(base, **more)


class RestoreTargetSuite:
    """Derive, and say how a target is opened and read."""

    holds_many = True  # a single stream holds one file
    _above = b""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the target of a test is."""
        return tmp_path / "place"

    def open_target(self, place: Path) -> RestoreTarget:
        """A new target at `place`."""
        raise NotImplementedError

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """The files at `place`."""
        raise NotImplementedError

    def _begin(self, target: RestoreTarget, size: int, path: bytes = b"f/a", extents: Extents = ()) -> FileWriter:
        """A writer for a file in a folder, which comes before the first of its files."""
        above, _, _ = path.rpartition(b"/")
        if above != self._above:
            self._above = above
            assert target.begin(entry(above, FOLDER)) is None
        writer = target.begin(entry(path, size=size, extents=extents))
        assert writer is not None
        return writer

    def test_the_bytes_of_a_file_come_back(self, place: Path) -> None:
        """Piece by piece."""
        target = self.open_target(place)
        writer = self._begin(target, 2 * MIB + 1)
        data = bytes(range(256)) * (2 * MIB // 256) + b"!"
        for start in range(0, len(data), 700_001):
            writer.write_at(start, memoryview(data)[start : start + 700_001])
        assert writer.commit()
        target.finish()
        assert target.warnings == []
        assert self.restored(place) == {b"f/a": data}

    def test_an_empty_file_comes_back(self, place: Path) -> None:
        """Without a write."""
        target = self.open_target(place)
        assert self._begin(target, 0).commit()
        target.finish()
        assert self.restored(place) == {b"f/a": b""}

    def test_what_is_not_written_is_zeros(self, place: Path) -> None:
        """Holes at the start, in the middle and at the end."""
        target = self.open_target(place)
        writer = self._begin(target, 3 * MIB, extents=((MIB, 3), (2 * MIB, 3)))
        writer.write_at(MIB, memoryview(b"abc"))
        writer.write_at(2 * MIB, memoryview(b"def"))
        assert writer.commit()
        target.finish()
        zeros = bytes(MIB)
        assert self.restored(place) == {b"f/a": zeros + b"abc" + zeros[3:] + b"def" + zeros[3:]}

    def test_a_file_that_is_one_hole_comes_back(self, place: Path) -> None:
        """Zeros, as many as its size."""
        target = self.open_target(place)
        assert self._begin(target, 2 * MIB + 5, extents=((0, 0),)).commit()
        target.finish()
        assert self.restored(place) == {b"f/a": bytes(2 * MIB + 5)}

    def test_an_aborted_file_is_one_warning(self, place: Path) -> None:
        """With the words it was aborted with; the target can still be finished."""
        target = self.open_target(place)
        writer = self._begin(target, 10)
        writer.write_at(0, memoryview(b"abc"))
        writer.abort("its contents are damaged")
        target.finish()
        assert [warning.path for warning in target.warnings] == [b"f/a"]
        assert target.warnings[0].what.startswith("its contents are damaged")

    def test_a_buffer_is_not_kept(self, place: Path) -> None:
        """It is used for the next piece as soon as the write is done."""
        target = self.open_target(place)
        writer = self._begin(target, 6)
        buffer = bytearray(b"abc")
        writer.write_at(0, memoryview(buffer))
        buffer[:] = b"def"
        writer.write_at(3, memoryview(buffer))
        assert writer.commit()
        target.finish()
        assert self.restored(place) == {b"f/a": b"abcdef"}

    def test_closing_in_the_middle_is_allowed(self, place: Path) -> None:
        """Also twice, and after the end."""
        target = self.open_target(place)
        self._begin(target, 10).write_at(0, memoryview(b"abc"))
        target.close()
        target.close()
        other = self.open_target(place.with_name("other"))
        assert self._begin(other, 0).commit()
        other.finish()
        other.close()

    @pytest.mark.parametrize("path", OUTSIDE)
    def test_a_path_that_could_lead_outside_is_an_integrity_error(self, place: Path, path: bytes) -> None:
        """Whatever kind of entry has it."""
        target = self.open_target(place)
        for kind in (FILE, FOLDER):
            with pytest.raises(IntegrityError):
                target.begin(entry(path, kind))
        target.close()

    def test_many_files_come_back(self, place: Path) -> None:
        """One after the other, in walk order."""
        target = self.open_target(place)
        expected = {b"d%d/f%d" % (n % 3, n): b"x" * n for n in sorted(range(30), key=lambda n: (n % 3, b"f%d" % n))}
        if not self.holds_many:
            expected = dict(list(expected.items())[:1])
        for path, data in expected.items():
            writer = self._begin(target, len(data), path)
            writer.write_at(0, memoryview(data))
            assert writer.commit()
        target.finish()
        assert target.warnings == []
        assert self.restored(place) == expected
