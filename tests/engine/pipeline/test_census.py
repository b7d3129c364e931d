"""What a backup has before it: counted ahead, or known from the snapshot before, and never held against the job."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.base.clock import FakeClock
from engine.pipeline import census
from engine.pipeline.backup import BackupRun
from engine.pipeline.pool import Buffers
from tests.vaults import Bench


def _tree(folder: Path, sizes: list[int]) -> Path:
    source = folder / "card"
    source.mkdir()
    for number, size in enumerate(sizes):
        (source / f"{number:04}.raw").write_bytes(bytes(size))
    return source


def _turns(run: BackupRun, bench: Bench, count: int) -> None:
    buffers = Buffers(bench.clock, 1)
    for _ in range(count):
        unit = run.next_unit(idle=False)
        if unit is not None:
            unit(buffers)


def test_a_job_that_ends_within_seconds_is_not_counted(tmp_path: Path) -> None:
    source = _tree(tmp_path, [1_000_000] * 40)
    with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        run = bench.backup_run(vault, bench.request(source))
        _turns(run, bench, 2)
        assert run.progress.bytes_expected is None
        run.abort()


def test_a_first_backup_is_counted_ahead_of_its_scan(tmp_path: Path) -> None:
    source = _tree(tmp_path, [1_000_000] * 40)
    clock = FakeClock()
    with Bench(streams=1, clock=clock) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        run = bench.backup_run(vault, bench.request(source))
        assert run.progress.bytes_expected is None
        clock.advance(census.BEGINS_AFTER_S)
        _turns(run, bench, 2)
        assert run.progress == msgspec.structs.replace(run.progress, bytes_expected=40_000_000, bytes_total=None)
        run.abort()


def test_counting_goes_by_short_units_between_those_of_the_job(tmp_path: Path) -> None:
    source = _tree(tmp_path, [10] * 30)
    census.ITEMS_PER_UNIT, before = 10, census.ITEMS_PER_UNIT
    try:
        with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
            run = bench.backup_run(vault, bench.request(source))
            counted = run._census
            assert counted is not None
            buffers = Buffers(bench.clock, 1)
            begins_s = bench.clock.monotonic_s() + census.BEGINS_AFTER_S
            seen = []
            while run.progress.bytes_expected is None:
                seen.append(counted.is_due(begins_s))
                if seen[-1]:
                    counted.unit(buffers)
            assert seen == [False, True] * 3
            assert run.progress.bytes_expected == 300
            assert not counted.is_due(begins_s)
            run.abort()
    finally:
        census.ITEMS_PER_UNIT = before


def test_a_later_backup_expects_what_the_snapshot_before_held(tmp_path: Path) -> None:
    source = _tree(tmp_path, [5_000, 7_000])
    with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        bench.run(bench.backup_run(vault, bench.request(source)))
        run = bench.backup_run(vault, bench.request(source))
        assert (run.progress.bytes_expected, run._census) == (12_000, None)
        run.abort()


def test_a_folder_that_vanishes_ends_the_count_and_not_the_job(tmp_path: Path) -> None:
    source = _tree(tmp_path, [5_000])
    with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        run = bench.backup_run(vault, bench.request(source))
        (source / "0000.raw").unlink()
        outcome = bench.run(run)
        assert outcome.snapshot.body.counts.files == 0
