"""Sources that change under the backup: a warning in the snapshot, all else kept, and what is kept reads back."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.errors import LimitReached
from engine.base.units import MIB
from engine.pipeline import backup, reading, units, verify, wholefile
from engine.pipeline.source import SourceFile, SourceProblem
from engine.pipeline.walk import WalkItem
from engine.repository.entry import Entry
from engine.repository.snapshot import Snapshot
from engine.storage.stores.memory import MemoryStore
from tests.faults import Fail, FaultyStore, Rule
from tests.privileges import plain_user, shared_folder
from tests.trees import Node, build, describe, file, folder
from tests.vaults import Bench

CHANGED = "changed while it was read; kept as it was read"
NOISE = random.Random(5).randbytes(MIB)
LARGE_BYTES = 40 * MIB

Mutation = Callable[[Path], None]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 16 MiB and units of 8, so that a file of 40 MiB has three and six."""
    for module in (units, reading, backup, verify):
        for name, size_bytes in (("UNIT_BYTES", 8 * MIB), ("SEGMENT_BYTES", 16 * MIB)):
            monkeypatch.setattr(module, name, size_bytes, raising=False)
    monkeypatch.setattr(backup, "parse_bytes", lambda text: 8 * MIB)  # what settings say of a unit


class WhileReading:
    """Does something to a file each time its bytes were read, up to `times`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.reads = 0

    def do(self, name: str, mutation: Mutation, *, times: int = 1, after: int = 0) -> None:
        """`mutation` of the file called `name`, after each of its reads from the one numbered `after` on."""
        read_into = SourceFile.read_into

        def hooked(source: SourceFile, buffer: memoryview, data_offset: int) -> int:
            path = os.readlink(f"/proc/self/fd/{source.fd}").removesuffix(" (deleted)")
            count = read_into(source, buffer, data_offset)
            if path.endswith(name):
                self.reads += 1
                if after < self.reads <= after + times:
                    mutation(Path(path))
            return count

        self._monkeypatch.setattr(SourceFile, "read_into", hooked)


@pytest.fixture
def while_reading(monkeypatch: pytest.MonkeyPatch) -> WhileReading:
    """A hook behind each read of a source."""
    return WhileReading(monkeypatch)


def _rewrite(data: bytes) -> Mutation:
    return lambda path: _overwrite(path, data, 0)


def _overwrite(path: Path, data: bytes, offset: int) -> None:
    with open(path, "r+b") as opened:
        os.pwrite(opened.fileno(), data, offset)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def _warnings(snapshot: Snapshot) -> dict[bytes, str]:
    assert snapshot.body.counts.warnings == len(snapshot.body.warnings)
    return {warning.path.rpartition(b"/")[2]: warning.what for warning in snapshot.body.warnings}


def _entry(bench: Bench, snapshot: Snapshot, name: bytes) -> Entry:
    (found,) = [entry for entry in bench.entries(snapshot) if entry.path.endswith(b"/" + name)]
    return found


def _back(bench: Bench, source: Path, target: Path) -> Path:
    """Retrieved; all that is in the snapshot verifies."""
    assert bench.verify().problems == []
    bench.retrieve(target, strip=source)
    return target


def _others_are_kept(source: Path, back: Path, name: bytes) -> None:
    expected, found = describe(source), describe(back)
    for things in (expected, found):
        things.pop(name, None)
        things.pop(b"")
    assert found == expected


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file that changes between two that do not."""
    made = tmp_path / "source"
    build(made, {b"a": file(b"first"), b"victim": file(b"0123456789" * 1000), b"z": file(b"last")})
    return made


# --- small files ------------------------------------------------------------------------------------------


def test_a_file_that_is_saved_over_one_of_its_names_leaves_the_others_what_they_were(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a rename, between the walk and the opening: the two other names are read, not taken for the new file."""
    source, saved = tmp_path / "source", tmp_path / "saved"
    build(source, {b"a": file(b"old"), b"b": Node(link_to=b"a"), b"c": Node(link_to=b"a")})
    saved.write_bytes(b"new")

    def opened(item: WalkItem) -> SourceFile:
        if item.name == b"a" and saved.exists():
            saved.rename(source / "a")
        return SourceFile(item)

    monkeypatch.setattr(reading, "open_source", opened)
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == {}
    back = _back(bench, source, tmp_path / "back")
    assert [(back / name).read_bytes() for name in "abc"] == [b"new", b"old", b"old"]
    assert os.path.samefile(back / "b", back / "c")
    _others_are_kept(source, back, b"a")


def test_a_file_that_changes_once_is_read_again(bench: Bench, source: Path, while_reading: WhileReading) -> None:
    """And no warning is due: what is kept is a state that it had."""
    while_reading.do("victim", _rewrite(b"new bytes"))
    snapshot = bench.backup(source)
    assert (_warnings(snapshot), while_reading.reads) == ({}, 2)
    back = _back(bench, source, source.parent / "back")
    assert describe(back) == describe(source)


def test_a_file_that_keeps_changing_is_kept_as_it_was_read(
    bench: Bench, source: Path, while_reading: WhileReading
) -> None:
    """With a warning; the next backup reads it again."""
    while_reading.do("victim", lambda path: _overwrite(path, b"%d" % while_reading.reads, 0), times=2)
    snapshot = bench.backup(source)
    assert (_warnings(snapshot), while_reading.reads) == ({b"victim": CHANGED}, 2)
    back = _back(bench, source, source.parent / "back")
    assert (back / "victim").read_bytes() == b"1" + (b"0123456789" * 1000)[1:]
    _others_are_kept(source, back, b"victim")
    assert _warnings(bench.backup(source)) == {}
    assert describe(_back(bench, source, source.parent / "again")) == describe(source)


@pytest.mark.parametrize("times", [1, 100])
def test_a_file_that_grows_is_kept(bench: Bench, source: Path, while_reading: WhileReading, times: int) -> None:
    """Grown once, whole; growing all the time, as long as it was at the last open."""
    while_reading.do("victim", lambda path: _overwrite(path, b"+" * 100, path.stat().st_size), times=times)
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == ({} if times == 1 else {b"victim": CHANGED})
    back = _back(bench, source, source.parent / "back")
    assert (back / "victim").read_bytes() == b"0123456789" * 1000 + b"+" * 100
    _others_are_kept(source, back, b"victim")


def test_a_file_that_grows_out_of_its_unit_is_cut_into_segments(
    bench: Bench, source: Path, while_reading: WhileReading
) -> None:
    """It no longer fits the buffer behind its neighbours."""
    while_reading.do("victim", lambda path: _overwrite(path, NOISE, 17 * MIB))
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == {}
    assert describe(_back(bench, source, source.parent / "back")) == describe(source)


def test_a_file_that_shrinks_before_each_read_is_kept_as_far_as_it_goes(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between its open and its read, twice."""
    read_into = SourceFile.read_into
    lengths = iter((5000, 700))

    def hooked(file_read: SourceFile, buffer: memoryview, data_offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{file_read.fd}").endswith("victim"):
            os.truncate(source / "victim", next(lengths))
        return read_into(file_read, buffer, data_offset)

    monkeypatch.setattr(SourceFile, "read_into", hooked)
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == {b"victim": CHANGED}
    assert _entry(bench, snapshot, b"victim").size == 700
    back = _back(bench, source, source.parent / "back")
    assert (back / "victim").read_bytes() == b"0123456789" * 70


def test_a_sparse_file_that_shrinks_keeps_the_extents_that_are_left(
    bench: Bench, tmp_path: Path, while_reading: WhileReading
) -> None:
    """The last one is cut, those behind it are gone."""
    source = tmp_path / "source"
    holes = Node(data=((0, b"a" * 4096), (1 * MIB, b"b" * 8192), (2 * MIB, b"c" * 4096)), size=3 * MIB)
    build(source, {b"a": file(b"first"), b"victim": holes})
    read_into = SourceFile.read_into

    def hooked(file_read: SourceFile, buffer: memoryview, data_offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{file_read.fd}").endswith("victim"):
            os.truncate(source / "victim", MIB + 100)
            os.utime(source / "victim")
        return read_into(file_read, buffer, data_offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SourceFile, "read_into", hooked)
        patch.setattr(wholefile, "READS_MAX", 1)
        snapshot = bench.backup(source)
    assert _warnings(snapshot) == {b"victim": CHANGED}
    back = _back(bench, source, tmp_path / "back")
    assert (back / "victim").read_bytes() == b"a" * 4096 + bytes(MIB - 4096) + b"b" * 100


@pytest.mark.parametrize(
    ("replacement", "what"),
    [
        (None, "vanished before it could be read"),
        (Node(kind="symlink", target=b"z"), "became something else than a file during the backup"),
        (Node(kind="fifo"), "became something else than a file during the backup"),
        (folder(), "became something else than a file during the backup"),
    ],
)
def test_a_file_that_is_gone_by_its_turn_is_a_warning(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch, replacement: Node | None, what: str
) -> None:
    """Vanished, or something else in its place: never followed, never waited for."""
    opened = SourceFile.__init__

    def hooked(file_read: SourceFile, item: WalkItem) -> None:
        if item.name == b"victim" and (source / "victim").is_file() and not (source / "victim").is_symlink():
            (source / "victim").unlink()
            if replacement is not None:
                build(source, {b"victim": replacement})
        opened(file_read, item)

    monkeypatch.setattr(SourceFile, "__init__", hooked)
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == {b"victim": what}
    back = _back(bench, source, source.parent / "back")
    assert sorted(os.listdir(back)) == ["a", "z"]
    assert snapshot.body.counts.files == 2  # what it holds, not what the scan had found


def test_a_read_error_is_a_warning(bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector under one file leaves the others be."""
    read_into = SourceFile.read_into

    def hooked(file_read: SourceFile, buffer: memoryview, data_offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{file_read.fd}").endswith("victim"):
            raise SourceProblem("cannot be read: input/output error")
        return read_into(file_read, buffer, data_offset)

    monkeypatch.setattr(SourceFile, "read_into", hooked)
    snapshot = bench.backup(source)
    assert _warnings(snapshot) == {b"victim": "cannot be read: input/output error"}
    _others_are_kept(source, _back(bench, source, source.parent / "back"), b"victim")


def test_a_file_that_may_not_be_read_is_a_warning(bench: Bench) -> None:
    """Permission denied, to a plain user; also for a folder's contents."""
    with shared_folder() as shared, plain_user():
        source = shared / "source"
        build(
            source,
            {b"a": file(b"1"), b"victim": file(b"secret", mode=0), b"shut": folder(mode=0), b"z": file(b"2")},
        )
        snapshot = bench.backup(source)
        assert _warnings(snapshot) == {
            b"victim": "cannot be read: permission denied",
            b"shut": "its contents cannot be read: permission denied",
        }
        assert bench.verify().problems == []
        names = [entry.path.rpartition(b"/")[2] for entry in bench.entries(snapshot)]
        assert names == [b"source", b"a", b"shut", b"z"]
        os.chmod(source / "shut", 0o700)


def test_a_second_name_of_an_unreadable_file_is_tried_on_its_own(bench: Bench) -> None:
    """Met by the scan long after the first was given up; nothing behind either of them is lost."""
    with shared_folder() as shared, plain_user():
        source = shared / "source"
        many = {b"m%04d" % number: file(b"%d" % number) for number in range(600)}
        build(source, {b"a": file(b"secret", mode=0), **many, b"y": Node(link_to=b"a"), b"z": file(b"last")})
        snapshot = bench.backup(source)
        assert set(_warnings(snapshot)) == {b"a", b"y"}
        assert snapshot.body.counts.entries == 602
        assert len(bench.entries(snapshot)) == 602
        assert bench.verify().problems == []


def test_another_name_takes_the_place_of_one_that_vanished(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names of an inode, the first unlinked before its turn: the second is read in its place."""
    os.link(source / "a", source / "another")
    opened = SourceFile.__init__

    def hooked(file_read: SourceFile, item: WalkItem) -> None:
        if item.name == b"a":
            (source / "a").unlink(missing_ok=True)
        opened(file_read, item)

    monkeypatch.setattr(SourceFile, "__init__", hooked)
    snapshot = bench.backup(source)
    assert set(_warnings(snapshot)) == {b"a"}
    back = _back(bench, source, source.parent / "back")
    assert (back / "another").read_bytes() == b"first"


# --- files in segments ------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, small_segments: None) -> Path:
    """A source with a file of three segments between two small ones."""
    made = tmp_path / "source"
    noise = b"".join(NOISE[at:] + NOISE[:at] for at in range(0, MIB, MIB * MIB // LARGE_BYTES))[:LARGE_BYTES]
    build(made, {b"a": file(b"first"), b"victim": file(noise), b"z": file(b"last")})
    return made


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_large_file_that_changes_once_is_read_again(
    bench: Bench, large: Path, while_reading: WhileReading, after: int
) -> None:
    """At the first, a middle and a late one of its units, of which it has five or more by where its cuts fall."""
    while_reading.do("victim", lambda path: _overwrite(path, b"new bytes", 20 * MIB), after=after)
    snapshot = bench.backup(large)
    assert _warnings(snapshot) == {}
    assert while_reading.reads >= 10
    assert describe(_back(bench, large, large.parent / "back")) == describe(large)


def test_a_large_file_that_keeps_changing_is_kept_as_it_was_read(
    bench: Bench, large: Path, while_reading: WhileReading
) -> None:
    """Each of its chunks is a state that this part had."""
    while_reading.do("victim", lambda path: _overwrite(path, b"%d" % while_reading.reads, 0), times=100)
    snapshot = bench.backup(large)
    assert _warnings(snapshot) == {b"victim": CHANGED}
    back = _back(bench, large, large.parent / "back")
    assert (back / "victim").read_bytes()[MIB:] == (large / "victim").read_bytes()[MIB:]
    _others_are_kept(large, back, b"victim")


@pytest.mark.parametrize("left", [0, 5 * MIB, 16 * MIB, 39 * MIB])
def test_a_large_file_that_shrinks_is_kept_as_far_as_it_goes(
    bench: Bench, large: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Cut at the first read of each reading, to nothing, inside a segment, between two, near the end."""
    before = (large / "victim").read_bytes()
    read_into = SourceFile.read_into

    def hooked(file_read: SourceFile, buffer: memoryview, data_offset: int) -> int:
        if file_read.data_bytes > 8 * MIB:
            os.truncate(large / "victim", left)
            os.utime(large / "victim")
        return read_into(file_read, buffer, data_offset)

    monkeypatch.setattr(SourceFile, "read_into", hooked)
    monkeypatch.setattr(wholefile, "READS_MAX", 1)
    snapshot = bench.backup(large)
    assert _warnings(snapshot) == {b"victim": CHANGED}
    assert _entry(bench, snapshot, b"victim").size == left
    back = _back(bench, large, large.parent / "back")
    assert (back / "victim").read_bytes() == before[:left]
    _others_are_kept(large, back, b"victim")


def test_a_large_file_that_grows_is_kept(bench: Bench, large: Path, while_reading: WhileReading) -> None:
    """By a whole segment: the second reading has one more."""
    while_reading.do("victim", lambda path: _overwrite(path, NOISE, 57 * MIB))
    snapshot = bench.backup(large)
    assert _warnings(snapshot) == {}
    assert _entry(bench, snapshot, b"victim").size == 58 * MIB
    assert describe(_back(bench, large, large.parent / "back")) == describe(large)


@pytest.mark.parametrize("unit", [1, 3, 5])
def test_a_large_file_that_cannot_be_read_on_is_a_warning(
    bench: Bench, large: Path, monkeypatch: pytest.MonkeyPatch, unit: int
) -> None:
    """Said once, though other streams read it at the same time; its descriptor is let go of."""
    read_into = SourceFile.read_into
    reads = 0

    def hooked(file_read: SourceFile, buffer: memoryview, data_offset: int) -> int:
        nonlocal reads
        reads += file_read.data_bytes > 8 * MIB
        if file_read.data_bytes > 8 * MIB and reads >= unit:
            raise SourceProblem("cannot be read: input/output error")
        return read_into(file_read, buffer, data_offset)

    monkeypatch.setattr(SourceFile, "read_into", hooked)
    snapshot = bench.backup(large)
    held = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
    assert [path for path in held if path.endswith("victim")] == []
    assert _warnings(snapshot) == {b"victim": "cannot be read: input/output error"}
    _others_are_kept(large, _back(bench, large, large.parent / "back"), b"victim")


@pytest.mark.parametrize("appends", [0, 1])
def test_a_store_that_fails_under_the_last_segment_of_a_file_leaves_it_closed(
    tmp_path: Path, small_segments: None, appends: int
) -> None:
    """The failing unit has taken the segment along, so that none waits to be given out."""
    build(tmp_path / "source", {b"victim": file(NOISE * 12)})
    store = FaultyStore(MemoryStore(), Rule("append", Fail(LimitReached("full")), skip=appends))
    with Bench(store) as bench:
        with pytest.raises(LimitReached):
            bench.backup(tmp_path / "source")
        held = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
        assert [path for path in held if path.endswith("victim")] == []
