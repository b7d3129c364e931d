"""Every operation of the catalog, asked once so that it works and at least once so that it fails.

One list for every kind of handle: what an engine answers must not depend on the way to it. The rows are asked in this
order, of one engine with a repository and the wedding `smith-jones`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from engine.base.errors import Conflict, NotFound, UsageError, WedSyncError
from engine.contract import (
    copies,
    costs,
    decisions,
    drills,
    forecasts,
    photos,
    placements,
    readying,
    receipts,
    recovery,
    retention,
    simulations,
    steering,
    tuning,
)
from engine.contract import operations as ops
from engine.contract.operations import Operation, Result

SMITH = "smith-jones"
ODD_NAME = b"caf\xe9 \xff.jpg"  # as it comes off a card


class Place(NamedTuple):
    """Where the operations' files are, and what earlier answers gave."""

    folder: Path
    answers: dict[str, Result]

    def job(self) -> str:
        """The id of the backup."""
        answer = self.answers["backup"]
        assert isinstance(answer, ops.JobResult)
        return answer.job.id

    def key(self) -> str:
        """The id of a key slot that is not in use."""
        answer = self.answers["key_add"]
        assert isinstance(answer, ops.KeyList)
        return next(row.id for row in answer.keys if not row.current)


class Scenario(NamedTuple):
    """What is asked, and what must come: a result of this kind, or an error with these words."""

    name: str
    ask: Callable[[Place], Operation]
    expect: type[Result] | type[WedSyncError]
    says: str = ""


def furnish(folder: Path) -> Place:
    """The files that the operations speak of."""
    source = folder / "source"
    source.mkdir()
    (source / "a.txt").write_text("hello")
    with open(os.fsencode(source) + b"/" + ODD_NAME, "wb") as odd:
        odd.write(b"odd" * 1000)
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=day) for day in range(240)]
    (folder / "days.csv").write_text("day,jobs\n" + "".join(f"{day},{9 + 50 * (day.weekday() == 5)}\n" for day in days))
    begin = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    hours = [begin + dt.timedelta(hours=hour) for hour in range(24 * 70)]
    (folder / "hours.csv").write_text("hour,jobs,bytes\n" + "".join(f"{hour},1,5\n" for hour in hours))
    (folder / "weddings.csv").write_text("name,date\nlee-kim,2026-07-04\n")
    (folder / "new-passphrase").write_text("staple battery\n")
    return Place(folder, {})


def _odd(place: Place) -> str:
    return os.fsdecode(os.fsencode(place.folder / "source") + b"/" + ODD_NAME)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("init", lambda _: ops.InitRepository(), Conflict, "repository"),
    Scenario("status", lambda _: ops.ReadStatus(), ops.StatusResult),
    Scenario("wedding_add", lambda _: ops.AddWedding(name="lee-kim", date=dt.date(2026, 7, 4)), ops.WeddingResult),
    Scenario("added twice", lambda _: ops.AddWedding(name=SMITH, date=dt.date(2026, 7, 4)), Conflict, SMITH),
    Scenario("edit", lambda _: ops.EditWedding(name="lee-kim", venue="Bath, Ünï"), ops.WeddingResult),
    Scenario("archive", lambda _: ops.ArchiveWedding(name="lee-kim"), ops.WeddingResult),
    Scenario("archive nobody", lambda _: ops.ArchiveWedding(name="nobody"), NotFound, "nobody"),
    Scenario("weddings", lambda _: ops.ListWeddings(archived=True), ops.WeddingList),
    Scenario(
        "dry run",
        lambda place: ops.StartBackup(wedding=SMITH, sources=(str(place.folder / "source"),), dry_run=True),
        ops.BackupEstimate,
    ),
    Scenario(
        "backup",
        lambda place: ops.StartBackup(wedding=SMITH, sources=(str(place.folder / "source"),), wait=True),
        ops.JobResult,
    ),
    Scenario(
        "backup of an odd name",
        lambda place: ops.StartBackup(wedding=SMITH, sources=(_odd(place),), wait=True),
        ops.JobResult,
    ),
    Scenario(
        "backup of nothing",
        lambda place: ops.StartBackup(wedding=SMITH, sources=(str(place.folder / "nowhere \udcff"),)),
        NotFound,
        "give --from a file or folder that is there",
    ),
    Scenario(
        "store",
        lambda place: ops.StoreWeddingData(wedding=SMITH, name="b.txt", file=str(place.folder / "source" / "a.txt")),
        ops.JobResult,
    ),
    Scenario("store a stream", lambda _: ops.StoreWeddingData(wedding=SMITH, name="stream"), ops.JobResult),
    Scenario("store nothing", lambda _: ops.StoreWeddingData(wedding=SMITH, name=""), UsageError, "path of a file"),
    Scenario("snapshots", lambda _: ops.ListSnapshots(wedding=SMITH), ops.SnapshotList),
    Scenario("browse", lambda place: ops.Browse(wedding=SMITH, snapshot=place.job(), recursive=True), ops.EntryList),
    Scenario("find", lambda _: ops.Find(wedding=SMITH, pattern="*"), ops.EntryList),
    Scenario("diff", lambda place: ops.Diff(wedding=SMITH, older=place.job()), ops.DiffResult),
    Scenario("diff of nothing", lambda _: ops.Diff(wedding=SMITH, older="0000"), NotFound, "0000"),
    Scenario(
        "retrieve",
        lambda place: ops.RetrieveWeddingData(wedding=SMITH, snapshot=place.job(), to=str(place.folder / "back")),
        ops.JobResult,
    ),
    Scenario(
        "retrieve again",
        lambda place: ops.RetrieveWeddingData(wedding=SMITH, snapshot=place.job(), to=str(place.folder / "back")),
        Conflict,
        "say --overwrite never",
    ),
    Scenario(
        "retrieve a stream",
        lambda _: ops.RetrieveWeddingData(wedding=SMITH, to="-", format="file", paths=("/stream",)),
        ops.JobResult,
    ),
    Scenario(
        "retrieve, dry",
        lambda place: ops.RetrieveWeddingData(wedding=SMITH, to=str(place.folder / "dry"), dry_run=True),
        ops.RetrievalPlan,
    ),
    Scenario("jobs", lambda _: ops.ListJobs(), ops.JobPage),
    Scenario("job", lambda place: steering.ReadJob(job=place.job()), steering.JobDetail),
    Scenario("retry", lambda place: steering.RetryJob(job=place.job()), Conflict, "nothing to try again"),
    Scenario("steer", lambda _: steering.SteerJobs(action="resume", kind="backup"), steering.SteerResult),
    Scenario("steer nothing", lambda _: steering.SteerJobs(action="cancel"), UsageError, "which jobs"),
    Scenario("wait", lambda place: ops.WaitForJobs(job=place.job()), ops.JobList),
    Scenario("cancel", lambda place: ops.CancelJob(job=place.job()), Conflict, "has ended already"),
    Scenario("pause", lambda place: steering.PauseJob(job=place.job()), Conflict),
    Scenario("resume", lambda place: steering.ResumeJob(job=place.job()), Conflict),
    Scenario("prioritise", lambda _: steering.PrioritiseJob(job="ffff", priority="same-day"), NotFound, "ffff"),
    Scenario(
        "watch",
        lambda place: steering.WatchWedding(wedding=SMITH, paths=(str(place.folder / "source"),)),
        steering.WatchList,
    ),
    Scenario(
        "watch a file",
        lambda place: steering.WatchWedding(wedding=SMITH, paths=(str(place.folder / "source" / "a.txt"),)),
        UsageError,
        "is not a folder",
    ),
    Scenario("watches", lambda _: steering.ListWatches(), steering.WatchList),
    Scenario("unwatch", lambda _: steering.UnwatchWedding(wedding=SMITH), steering.WatchList),
    Scenario("unwatch again", lambda _: steering.UnwatchWedding(wedding=SMITH), NotFound, "nothing is watched"),
    Scenario(
        "schedule add",
        lambda _: steering.AddSchedule(
            name="nightly", when="0 3 * * *", operation="verify", arguments='{"wedding": "*"}'
        ),
        steering.ScheduleList,
    ),
    Scenario(
        "schedule wrongly",
        lambda _: steering.AddSchedule(name="never", when="0 3 31 2 *", operation="verify", arguments="{}"),
        UsageError,
    ),
    Scenario("schedules", lambda _: steering.ListSchedules(name="nightly"), steering.ScheduleList),
    Scenario("schedule remove", lambda _: steering.RemoveSchedule(name="nightly"), steering.ScheduleList),
    Scenario("schedule remove again", lambda _: steering.RemoveSchedule(name="nightly"), NotFound, "nightly"),
    Scenario("verify", lambda _: ops.Verify(wedding=SMITH, all=True), ops.VerifyReport),
    Scenario("verify copies", lambda _: ops.Verify(wedding=SMITH, copies=True), ops.VerifyReport),
    Scenario("recall", lambda _: placements.Recall(wedding=SMITH), placements.RecallReport),
    Scenario("recall dry", lambda _: placements.Recall(wedding=SMITH, dry_run=True), placements.RecallPlan),
    Scenario("recall nobody", lambda _: placements.Recall(wedding="nobody"), NotFound, "nobody"),
    Scenario("copies", lambda _: copies.ListCopies(wedding=SMITH), copies.CopyList),
    Scenario("copies of nobody", lambda _: copies.ListCopies(wedding="nobody"), NotFound, "nobody"),
    Scenario("tiers", lambda _: placements.ListTiers(), placements.TierList),
    Scenario("tiers of nobody", lambda _: placements.ListTiers(wedding="nobody"), NotFound, "nobody"),
    Scenario("migrate", lambda _: placements.Migrate(wedding=SMITH), placements.MigrationReport),
    Scenario("migrate dry", lambda _: placements.Migrate(dry_run=True), placements.MigrationPlan),
    Scenario(
        "migrate to nowhere", lambda _: placements.Migrate(wedding=SMITH, tier="cold"), UsageError, "no cold tier"
    ),
    Scenario("migrate nobody", lambda _: placements.Migrate(wedding="nobody"), NotFound, "nobody"),
    Scenario("readiness", lambda _: readying.CheckReadiness(), readying.ReadinessReport),
    Scenario(
        "readiness of a day that is over", lambda _: readying.CheckReadiness(day="2020-01-01"), UsageError, "over"
    ),
    Scenario("optimize without a source", lambda _: tuning.Optimize(size="many"), UsageError, "not a size"),
    Scenario("prices", lambda _: costs.ListPrices(), costs.PriceList),
    Scenario("cost", lambda _: costs.ReadCost(by="wedding"), costs.CostReport),
    Scenario("cost of no month", lambda _: costs.ReadCost(month="June"), UsageError, "no month"),
    Scenario("capacity too early", lambda _: costs.PlanCapacity(), Conflict, "too little to measure by"),
    Scenario("capacity of no rate", lambda _: costs.PlanCapacity(rate="fast"), UsageError, "no rate"),
    Scenario("analyze", lambda _: photos.AnalyzePhotos(photos=SMITH), photos.PhotoReport),
    Scenario("analyze nobody", lambda _: photos.AnalyzePhotos(photos="nobody"), NotFound, "nobody"),
    Scenario("drill", lambda _: drills.Drill(wedding=SMITH), drills.DrillReport),
    Scenario("prune", lambda _: retention.Prune(), retention.PruneReport),
    Scenario("hold", lambda _: retention.HoldWedding(wedding=SMITH, reason="claim 7"), retention.HoldList),
    Scenario("hold for nothing", lambda _: retention.HoldWedding(wedding=SMITH), UsageError, "--reason"),
    Scenario("release", lambda _: retention.HoldWedding(wedding=SMITH, release=True), retention.HoldList),
    Scenario("release again", lambda _: retention.HoldWedding(wedding=SMITH, release=True), NotFound, "is not held"),
    Scenario("prune by no rule", lambda _: retention.Prune(wedding=SMITH, keep="some"), UsageError, "last 3"),
    Scenario("repair", lambda _: ops.Repair(wedding=SMITH), ops.RepairReport),
    Scenario("scale", lambda _: ops.ScaleInfrastructure(target="2"), ops.ScaleResult),
    Scenario("scaling", lambda _: decisions.ReadScaling(), decisions.ScalingReport),
    Scenario("scaling of no hours", lambda _: decisions.ReadScaling(hours=0), UsageError, "0 hours"),
    Scenario("scale wrongly", lambda _: ops.ScaleInfrastructure(target="many"), UsageError, "many"),
    Scenario("simulate", lambda _: simulations.Simulate(weddings=3, floor=1, ceiling=10), simulations.SimulationReport),
    Scenario("simulate nothing", lambda _: simulations.Simulate(floor=9, ceiling=8), UsageError, "above the ceiling"),
    Scenario("forecast of nothing", lambda _: forecasts.Forecast(limit=0), UsageError, "at least one row"),
    Scenario(
        "demand_import",
        lambda place: forecasts.ImportDemand(file=str(place.folder / "hours.csv")),
        forecasts.DemandTaken,
    ),
    Scenario(
        "demand_import of days",
        lambda place: forecasts.ImportDemand(file=str(place.folder / "days.csv"), time="day", bytes="jobs"),
        UsageError,
        "a row an hour",
    ),
    Scenario(
        "calendar_import",
        lambda place: forecasts.ImportCalendar(file=str(place.folder / "weddings.csv")),
        forecasts.CalendarTaken,
    ),
    Scenario(
        "calendar_import of nothing",
        lambda place: forecasts.ImportCalendar(file=str(place.folder / "days.csv")),
        UsageError,
        "columns: name, date",
    ),
    Scenario("forecast", lambda _: forecasts.Forecast(), forecasts.ForecastReport),
    Scenario(
        "backtest",
        lambda place: forecasts.Backtest(file=str(place.folder / "days.csv"), time="day", value="jobs", origins=5),
        forecasts.BacktestReport,
    ),
    Scenario(
        "backtest of nothing",
        lambda place: forecasts.Backtest(file=str(place.folder / "nowhere.csv"), time="day", value="jobs"),
        NotFound,
        "name a CSV file",
    ),
    Scenario("keys", lambda _: ops.ListKeys(), ops.KeyList),
    Scenario(
        "key_add",
        lambda place: ops.AddKey(label="Ada", passphrase_file=str(place.folder / "new-passphrase")),
        ops.KeyList,
    ),
    Scenario(
        "key_paper", lambda place: recovery.MakePaperKey(out=str(place.folder / "page.txt")), recovery.PaperKeyMade
    ),
    Scenario("key_paper nowhere", lambda _: recovery.MakePaperKey(out=""), UsageError, "--out FILE"),
    Scenario(
        "receipt",
        lambda place: receipts.MakeReceipt(wedding=SMITH, out=str(place.folder / "receipt")),
        receipts.ReceiptResult,
    ),
    Scenario(
        "verify a receipt",
        lambda place: receipts.MakeReceipt(verify=str(place.folder / "receipt")),
        receipts.ReceiptVerified,
    ),
    Scenario("receipt of nothing", lambda _: receipts.MakeReceipt(), UsageError, "which wedding"),
    Scenario(
        "recover", lambda place: recovery.Recover(to=str(place.folder / "all"), weddings=(SMITH,)), recovery.Recovery
    ),
    Scenario(
        "recover again", lambda _: recovery.Recover(sources=("memory://other",)), Conflict, "a repository already"
    ),
    Scenario("key_remove", lambda place: ops.RemoveKey(key=place.key()), ops.KeyList),
    Scenario("key_remove nothing", lambda _: ops.RemoveKey(key="zz"), NotFound),
    Scenario("configuration", lambda _: ops.ReadConfiguration(), ops.Configuration),
    Scenario("configuration of nothing", lambda _: ops.ReadConfiguration(key="no.such"), NotFound, "no.such"),
    Scenario("configure", lambda _: ops.Configure(key="engine.compression_level", value="4"), ops.ConfigureResult),
    Scenario("configure wrongly", lambda _: ops.Configure(key="engine.streams", value="x"), UsageError),
    Scenario("shutdown", lambda _: ops.Shutdown(drain="0s"), ops.Empty),
)


@contextlib.contextmanager
def standard_streams(given: bytes, taken: Path) -> Iterator[None]:
    """Inside the `with`, this process has `given` on its standard input, and its standard output goes to `taken`."""
    kept = os.dup(0), os.dup(1)
    source = taken.with_name("standard-input")
    source.write_bytes(given)
    opened = os.open(source, os.O_RDONLY), os.open(taken, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.dup2(opened[0], 0)
        os.dup2(opened[1], 1)
        yield
    finally:
        for number in (0, 1):
            os.dup2(kept[number], number)
            os.close(kept[number])
            os.close(opened[number])
