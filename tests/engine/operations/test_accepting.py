"""What the journal keeps of a job: how it is run again, and nothing more than was asked for."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator

from engine.contract import operations as ops
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.records import operation_of
from engine.jobs.roster import JobSpec, Prepared
from engine.operations.accepting import kept

SMITHS = Wedding(id="1" * 32, name="smith-jones", date=dt.date(2026, 6, 20))


def spec() -> JobSpec:
    """A job that is never opened."""

    @contextlib.contextmanager
    def opened(_: Job) -> Iterator[Prepared]:
        raise AssertionError("nothing is run here")
        yield

    return JobSpec("repair", SMITHS, "standard", True, opened)


def test_a_dry_run_that_goes_on_after_a_restart_is_still_a_dry_run() -> None:
    """A repair that was only to be told must never become one that is done."""
    again = kept(spec(), ops.Repair(wedding="smith-jones", dry_run=True))
    operation = operation_of(again.arguments, ops.Repair)
    assert isinstance(operation, ops.Repair)
    assert operation.dry_run


def test_nobody_waits_for_a_job_after_a_restart() -> None:
    """Whether the caller waited says nothing on what was asked for, so it makes no other job of it."""
    waited = kept(spec(), ops.Repair(wedding="smith-jones", wait=True))
    assert waited.arguments == kept(spec(), ops.Repair(wedding="smith-jones", wait=False)).arguments
