"""A backup that is stopped at any boundary of its units loses nothing committed, and goes on from its checkpoint."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from engine.base.errors import Unavailable
from engine.base.units import MIB
from engine.pipeline import backup, commit, reading, units, verify
from engine.pipeline.backup import BackupRun
from engine.pipeline.pool import Buffers, Cancelled, Unit
from engine.pipeline.source import SourceFile
from engine.pipeline.units import UNFINISHED
from engine.pipeline.walk import WalkItem
from engine.repository.entry import Entry
from engine.repository.snapshot import Snapshot
from tests.engine.pipeline.pooling import close, wait
from tests.trees import Tree, build, describe, file
from tests.vaults import WEDDING, Bench, new_job

UNIT, SEGMENT = 8 * MIB, 16 * MIB


class Reads:
    """Counts the bytes that are read of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.total_bytes = 0
        read_into = SourceFile.read_into

        def counted(source: SourceFile, buffer: memoryview, data_offset: int) -> int:
            count = read_into(source, buffer, data_offset)
            self.total_bytes += count
            return count

        monkeypatch.setattr(SourceFile, "read_into", counted)

    def since(self, action: Callable[[], object]) -> int:
        """Bytes read by `action`."""
        before = self.total_bytes
        action()
        return self.total_bytes - before


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What the engine reads of its sources."""
    return Reads(monkeypatch)


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of 8 MiB or 4 files, segments of 16 MiB: small trees have many boundaries."""
    for module in (units, reading, backup, verify):
        for name, value in (("UNIT_BYTES", UNIT), ("SEGMENT_BYTES", SEGMENT), ("UNIT_FILES_MAX", 4)):
            monkeypatch.setattr(module, name, value, raising=False)
    monkeypatch.setattr(backup, "parse_bytes", lambda text: UNIT)  # what settings say of a unit


@pytest.fixture
def one_stream() -> object:
    """A single stream, so that units have one order."""
    with Bench(streams=1) as made:
        yield made


FILM = random.Random(3).randbytes(34 * MIB)
RAW = random.Random(1).randbytes(5 * MIB)


def _tree() -> Tree:
    small = {b"raw/IMG_%03d.xmp" % number: file(b"sidecar %d " % number * 40) for number in range(22)}
    return {**small, b"film.mov": file(FILM), b"raw/IMG_004.nef": file(RAW)}


def _stop_at(run: BackupRun, boundary: int, stop: Callable[[], None]) -> None:
    """Call `stop` when `boundary` units have been given."""
    given = 0
    next_unit = run.next_unit

    def counted(*, idle: bool) -> Unit | None:
        nonlocal given
        if given == boundary:
            stop()
            return None
        unit = next_unit(idle=idle)
        given += unit is not None
        return unit

    run.next_unit = counted  # type: ignore[method-assign]


def _stopped(bench: Bench, source: Path, boundary: int, how: str) -> bool:
    """Whether a backup was stopped after `boundary` units; else it had fewer."""
    with bench.backing_up(source) as run:
        _stop_at(run, boundary, getattr(run, how))
        bench.pool.submit(run)
        error = run.done.exception(60)
    assert error is None or isinstance(error, Cancelled)
    return error is not None


def _covered_bytes(bench: Bench, checkpoint: Snapshot | None) -> int:
    """Bytes of the source that a checkpoint saves reading again."""
    if checkpoint is None:
        return 0
    covered = 0
    for entry in bench.entries(checkpoint):
        covered += SEGMENT * (len(entry.hash) // 32) if _is_unfinished(entry) else entry.size
    return covered


def _is_unfinished(entry: Entry) -> bool:
    return entry.hash[:1] == UNFINISHED and len(entry.hash) % 32 == 1


def _checkpoints(bench: Bench) -> list[Snapshot]:
    return [item for item in bench.snapshots(partial=True) if item.partial]


def _boundaries(tmp_path: Path, tree: Tree) -> int:
    """Units of an undisturbed backup."""
    build(tmp_path / "counted", tree)
    with Bench(streams=1) as bench, bench.backing_up(tmp_path / "counted") as run:
        units_given: list[Unit] = []
        next_unit = run.next_unit
        run.next_unit = lambda *, idle: _noted(units_given, next_unit(idle=idle))  # type: ignore[method-assign]
        bench.run(run)
    return len(units_given)


def _noted(seen: list[Unit], unit: Unit | None) -> Unit | None:
    if unit is not None:
        seen.append(unit)
    return unit


# --- every boundary ---------------------------------------------------------------------------------------


def test_an_interrupt_at_every_boundary_is_gone_on_from(tmp_path: Path, reads: Reads) -> None:
    """What the checkpoint holds is not read again, whole segments of an unfinished file included."""
    source = tmp_path / "source"
    build(source, _tree())
    before = describe(source)
    total_bytes = sum(thing.size for thing in before.values())
    boundaries = _boundaries(tmp_path, _tree())
    assert boundaries >= 10
    resumed = unfinished = 0
    for boundary in range(boundaries + 1):
        with Bench(streams=1) as bench:
            assert _stopped(bench, source, boundary, "interrupt")
            checkpoints = _checkpoints(bench)
            assert len(checkpoints) <= 1
            assert bench.verify(all_files=False).problems == []
            covered = _covered_bytes(bench, checkpoints[-1] if checkpoints else None)
            resumed += covered > 0
            unfinished += any(_is_unfinished(entry) for item in checkpoints for entry in bench.entries(item))
            read = reads.since(partial(bench.backup, source))
            # What the cutter could not cut yet is read twice, up to the largest chunk a unit.
            assert total_bytes - covered <= read <= total_bytes - covered + 4 * 4 * MIB
            if boundary % 3:
                continue
            assert bench.verify().problems == []
            bench.retrieve(tmp_path / f"back{boundary}", strip=source)
        assert describe(tmp_path / f"back{boundary}") == before
    assert resumed >= boundaries // 2
    assert unfinished >= 2


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_what_is_committed_outlives_a_stop_at_every_boundary(tmp_path: Path, how: str) -> None:
    """Many stopped backups on top of each other, the source changed before each."""
    source = tmp_path / "source"
    small = {b"raw/IMG_%03d.xmp" % number: file(b"sidecar %d" % number) for number in range(30)}
    build(source, small)
    with Bench(streams=1) as bench:
        first = bench.backup(source)
        before = describe(source)
        boundary = 0
        while True:
            for number in range(0, 30, 3):
                (source / "raw" / f"IMG_{number:03}.xmp").write_bytes(b"edit %d of %d" % (boundary, number))
            if not _stopped(bench, source, boundary, how):
                break
            boundary += 1
            assert bench.verify().problems == []
            assert [item.id for item in bench.snapshots()] == [first.id]
        assert boundary >= 3
        bench.retrieve(tmp_path / "first", strip=source, snapshot=first.id)
        assert describe(tmp_path / "first") == before
        bench.retrieve(tmp_path / "last", strip=source)
        assert describe(tmp_path / "last") == describe(source)


def test_a_cancelled_backup_leaves_no_checkpoint(bench: Bench, tmp_path: Path) -> None:
    """Whoever cancels wants none of it; what an earlier checkpoint kept stays."""
    build(tmp_path / "source", _tree())
    assert _stopped(bench, tmp_path / "source", 3, "cancel")
    assert bench.snapshots(partial=True) == []


def test_a_backup_that_is_cancelled_before_it_begins_ends(bench: Bench, tmp_path: Path) -> None:
    """The first stream that asks it learns so."""
    build(tmp_path / "source", {b"a": file(b"1")})
    with bench.backing_up(tmp_path / "source") as run:
        run.cancel()
        with pytest.raises(Cancelled):
            bench.run(run)
    assert bench.snapshots(partial=True) == []


def test_closing_the_streams_ends_a_backup(tmp_path: Path) -> None:
    """As Unavailable: it was not the person's wish, and can be begun again."""
    build(tmp_path / "source", _tree())
    came, go_on = threading.Event(), threading.Event()
    with Bench(streams=1) as bench, bench.backing_up(tmp_path / "source") as run:
        next_unit = run.next_unit

        def held(*, idle: bool) -> Unit | None:
            unit = next_unit(idle=idle)
            return partial(_when, came, go_on, unit) if unit is not None else None

        run.next_unit = held  # type: ignore[method-assign]
        bench.pool.submit(run)
        wait(came)
        close(bench.pool, go_on)
        with pytest.raises(Unavailable):
            run.done.result(60)


def _when(came: threading.Event, go_on: threading.Event, unit: Unit, buffers: Buffers) -> None:
    """A unit that waits to be let go."""
    came.set()
    wait(go_on)
    unit(buffers)


def test_segments_of_a_checkpoint_in_a_damaged_pack_are_read_again(tmp_path: Path, reads: Reads) -> None:
    """What a checkpoint saves reading has to be there."""
    source = tmp_path / "source"
    build(source, {b"film.mov": file(FILM)})
    with Bench(streams=1) as bench:
        assert _stopped(bench, source, _boundaries(tmp_path, {b"film.mov": file(FILM)}) - 1, "interrupt")
        (checkpoint,) = _checkpoints(bench)
        assert _covered_bytes(bench, checkpoint) >= SEGMENT
        with bench.repository.vault(WEDDING) as vault:
            for pack in vault.index.packs():
                vault.mark_damaged(pack.name, "its bytes do not have the hash that is its name")
        assert reads.since(partial(bench.backup, source)) >= len(FILM)


# --- checkpoints on the way -------------------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is due with every byte."""
    monkeypatch.setattr(commit, "CHECKPOINT_BYTES", 1)


def test_checkpoints_are_taken_as_bytes_are_stored(tmp_path: Path, eager: None, reads: Reads) -> None:
    """More than ten of one job, numbered; the newest is gone on from, and none is once the job is whole."""
    source = tmp_path / "source"
    build(source, {b"f%03d" % number: file(b"%d" % number * 900) for number in range(60)})
    job = new_job()
    with Bench(streams=1) as bench:
        with bench.backing_up(source, job_id=job) as run:
            _stop_at(run, 26, run.cancel)
            bench.pool.submit(run)
            assert isinstance(run.done.exception(60), Cancelled)
        names = [item.id for item in bench.snapshots(partial=True)]
        assert names == [f"{job}-{number}" for number in range(1, len(names) + 1)]
        assert len(names) > 10
        newest = bench.snapshots(partial=True)[-1]
        again: list[Snapshot] = []
        read = reads.since(lambda: again.append(bench.backup(source)))
        total_bytes = sum(path.stat().st_size for path in source.iterdir())
        assert read == total_bytes - _covered_bytes(bench, newest) + len(bench.entries(newest)[0].chunks)
        assert again[0].body.parent == newest.id
        assert reads.since(lambda: bench.backup(source)) == 0
        assert bench.verify().problems == []


def test_a_job_with_checkpoints_is_unchanged_next_time(tmp_path: Path, eager: None, reads: Reads) -> None:
    """Its own checkpoints, which hold an unfinished film, are older than its snapshot.

    One stream ends a segment before it begins the next; two may end the last ones together, with no checkpoint between.
    """
    source = tmp_path / "source"
    build(source, _tree())
    with Bench(streams=1) as bench:
        snapshot = bench.backup(source)
        assert any(
            entry.hash[:1] == UNFINISHED and len(entry.hash) > 1
            for item in _checkpoints(bench)
            for entry in bench.entries(item)
        )
        assert bench.snapshots(partial=True)[-1].id == snapshot.id
        assert reads.since(lambda: bench.backup(source)) == 0
        assert bench.verify().problems == []


def test_a_job_that_runs_again_numbers_its_checkpoints_on(tmp_path: Path, eager: None, reads: Reads) -> None:
    """After a crash a job has the id it had: its checkpoints go on behind those of its earlier life."""
    source = tmp_path / "source"
    build(source, {b"f%03d" % number: file(b"%d" % number * 900) for number in range(40)})
    job = new_job()
    with Bench(streams=1) as bench:
        for boundary in (8, 8):
            with bench.backing_up(source, job_id=job) as run:
                _stop_at(run, boundary, run.cancel)
                bench.pool.submit(run)
                assert isinstance(run.done.exception(60), Cancelled)
        numbers = [int(item.id.partition("-")[2]) for item in _checkpoints(bench)]
        assert numbers == list(range(1, len(numbers) + 1))
        files = [sum(entry.size for entry in bench.entries(item)) for item in _checkpoints(bench)]
        assert files == sorted(files)
        snapshot = bench.backup(source, job_id=job)
        assert [item.id for item in bench.snapshots()] == [snapshot.id]
        assert bench.backup(source, job_id=job).id == snapshot.id  # committed once, however often it runs
        assert bench.verify().problems == []


def test_a_resumed_film_that_changed_is_read_from_its_start(tmp_path: Path, reads: Reads) -> None:
    """Half of one state and half of another would be a file that never was."""
    source = tmp_path / "source"
    build(source, {b"film.mov": file(FILM)})
    with Bench(streams=1) as bench:
        assert _stopped(bench, source, 6, "interrupt")
        (checkpoint,) = _checkpoints(bench)
        assert _covered_bytes(bench, checkpoint) >= SEGMENT
        with open(source / "film.mov", "r+b") as film:
            os.pwrite(film.fileno(), b"another cut", 5)
        assert reads.since(lambda: bench.backup(source)) >= len(FILM)
        bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)


def test_a_film_that_changes_between_the_look_at_it_and_its_opening_is_read_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the walk saw of it is what the checkpoint has; what is opened is not."""
    source = tmp_path / "source"
    build(source, {b"film.mov": file(FILM)})

    def edited(item: WalkItem) -> SourceFile:
        with open(source / "film.mov", "r+b") as film:
            os.pwrite(film.fileno(), b"another cut", 5)
        return SourceFile(item)

    with Bench(streams=1) as bench:
        assert _stopped(bench, source, 6, "interrupt")
        (checkpoint,) = _checkpoints(bench)
        assert _covered_bytes(bench, checkpoint) >= SEGMENT
        monkeypatch.setattr(backup, "SourceFile", edited)
        bench.backup(source)
        bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)


def test_bytes_that_are_stored_already_are_worth_a_checkpoint(tmp_path: Path, reads: Reads) -> None:
    """A library that was moved has nothing new to store, and hours to be read."""
    build(tmp_path / "old", _tree())
    build(tmp_path / "new", _tree())
    with Bench(streams=1) as bench:
        bench.backup(tmp_path / "old")
        assert _stopped(bench, tmp_path / "new", 7, "interrupt")
        (checkpoint,) = _checkpoints(bench)
        covered = _covered_bytes(bench, checkpoint)
        assert covered > 0
        total_bytes = sum(thing.size for thing in describe(tmp_path / "new").values())
        read = reads.since(lambda: bench.backup(tmp_path / "new"))
        assert read <= total_bytes - covered + 4 * 4 * MIB
        with bench.repository.vault(WEDDING) as vault:
            assert vault.find_snapshot("latest").body.parent == checkpoint.id
