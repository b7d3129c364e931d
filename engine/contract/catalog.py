"""The one list of operations. Palette, scripts, the command line and HTTP are readers of it.

A row is data: API name, verb, role, argument and result struct; help is the argument struct's docstring.
Handlers live in `engine.operations`; a test matches them with these rows one to one.
"""

from __future__ import annotations

import enum

import msgspec

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


class Role(enum.IntEnum):
    """What a caller may do; each includes the ones before."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class OperationSpec(msgspec.Struct, frozen=True):
    """One operation. `verb` may have two words; `needs_repository` is False for what works on an empty home."""

    name: str
    verb: str
    role: Role
    arguments: type[ops.Operation]
    results: tuple[type[ops.Result], ...]
    needs_repository: bool = True
    confirm: bool = False  # a screen asks before it is run
    changes: bool = False  # the repository or the home, unless it is a dry run: not where these can only be read

    @property
    def help(self) -> str:
        """One sentence for palette and `--help`."""
        return " ".join((self.arguments.__doc__ or "").split())


_V, _O, _A = Role.VIEWER, Role.OPERATOR, Role.ADMIN

CATALOG: tuple[OperationSpec, ...] = (
    OperationSpec(
        "init_repository", "init", _A, ops.InitRepository, (ops.RepositoryInfo,), needs_repository=False, changes=True
    ),
    OperationSpec("status", "status", _V, ops.ReadStatus, (ops.StatusResult,), needs_repository=False),
    OperationSpec("start_backup", "backup", _O, ops.StartBackup, (ops.JobResult, ops.BackupEstimate), changes=True),
    OperationSpec("store_wedding_data", "store", _O, ops.StoreWeddingData, (ops.JobResult,), changes=True),
    OperationSpec("retrieve_wedding_data", "retrieve", _O, ops.RetrieveWeddingData, (ops.JobResult, ops.RetrievalPlan)),
    OperationSpec("weddings", "weddings", _V, ops.ListWeddings, (ops.WeddingList,)),
    OperationSpec("wedding_add", "wedding add", _O, ops.AddWedding, (ops.WeddingResult,), changes=True),
    OperationSpec("wedding_edit", "wedding edit", _O, ops.EditWedding, (ops.WeddingResult,), changes=True),
    OperationSpec(
        "wedding_archive", "wedding archive", _O, ops.ArchiveWedding, (ops.WeddingResult,), confirm=True, changes=True
    ),
    OperationSpec("snapshots", "snapshots", _V, ops.ListSnapshots, (ops.SnapshotList,)),
    OperationSpec("browse", "browse", _V, ops.Browse, (ops.EntryList,)),
    OperationSpec("find", "find", _V, ops.Find, (ops.EntryList,)),
    OperationSpec("diff", "diff", _V, ops.Diff, (ops.DiffResult,)),
    OperationSpec("jobs", "jobs", _V, ops.ListJobs, (ops.JobPage,)),
    OperationSpec("job", "job", _V, steering.ReadJob, (steering.JobDetail,)),
    OperationSpec("wait", "wait", _V, ops.WaitForJobs, (ops.JobList,)),
    OperationSpec("job_cancel", "cancel", _O, ops.CancelJob, (ops.JobResult,), confirm=True),
    OperationSpec("job_pause", "pause", _O, steering.PauseJob, (ops.JobResult,)),
    OperationSpec("job_resume", "resume", _O, steering.ResumeJob, (ops.JobResult,)),
    OperationSpec("job_prioritise", "prioritise", _O, steering.PrioritiseJob, (ops.JobResult,)),
    OperationSpec("job_retry", "retry", _O, steering.RetryJob, (ops.JobResult,)),
    OperationSpec("jobs_steer", "steer", _O, steering.SteerJobs, (steering.SteerResult,), confirm=True),
    OperationSpec("watch", "watch", _O, steering.WatchWedding, (steering.WatchList,), changes=True),
    OperationSpec("unwatch", "unwatch", _O, steering.UnwatchWedding, (steering.WatchList,), changes=True),
    OperationSpec("watches", "watches", _V, steering.ListWatches, (steering.WatchList,)),
    OperationSpec("schedule_add", "schedule add", _A, steering.AddSchedule, (steering.ScheduleList,), changes=True),
    OperationSpec(
        "schedule_remove", "schedule remove", _A, steering.RemoveSchedule, (steering.ScheduleList,), changes=True
    ),
    OperationSpec("schedules", "schedules", _V, steering.ListSchedules, (steering.ScheduleList,)),
    OperationSpec("verify", "verify", _O, ops.Verify, (ops.VerifyReport, ops.JobResult)),
    OperationSpec("repair", "repair", _O, ops.Repair, (ops.RepairReport, ops.JobResult), changes=True),
    OperationSpec("analyze_photos", "analyze", _O, photos.AnalyzePhotos, (photos.PhotoReport, ops.JobResult)),
    OperationSpec(
        "prune",
        "prune",
        _A,
        retention.Prune,
        (retention.PruneReport, ops.JobResult, ops.JobList),
        confirm=True,
        changes=True,
    ),
    OperationSpec("hold", "hold", _A, retention.HoldWedding, (retention.HoldList,), changes=True),
    OperationSpec("drill", "drill", _O, drills.Drill, (drills.DrillReport, ops.JobResult)),
    OperationSpec("recall", "recall", _O, placements.Recall, (placements.RecallReport, placements.RecallPlan)),
    OperationSpec("copies", "copies", _V, copies.ListCopies, (copies.CopyList,)),
    OperationSpec("tiers", "tiers", _V, placements.ListTiers, (placements.TierList,)),
    OperationSpec(
        "migrate",
        "migrate",
        _O,
        placements.Migrate,
        (placements.MigrationReport, placements.MigrationPlan),
        confirm=True,
        changes=True,
    ),
    OperationSpec(
        "receipt",
        "receipt",
        _O,
        receipts.MakeReceipt,
        (receipts.ReceiptResult, receipts.ReceiptVerified),
        needs_repository=False,
    ),
    OperationSpec(
        "recover", "recover", _A, recovery.Recover, (recovery.Recovery,), needs_repository=False, changes=True
    ),
    OperationSpec(
        "scale_infrastructure", "scale", _O, ops.ScaleInfrastructure, (ops.ScaleResult,), needs_repository=False
    ),
    OperationSpec(
        "simulate", "simulate", _V, simulations.Simulate, (simulations.SimulationReport,), needs_repository=False
    ),
    OperationSpec("backtest", "backtest", _V, forecasts.Backtest, (forecasts.BacktestReport,), needs_repository=False),
    OperationSpec("scaling", "scaling", _V, decisions.ReadScaling, (decisions.ScalingReport,), needs_repository=False),
    OperationSpec("readiness", "readiness", _V, readying.CheckReadiness, (readying.ReadinessReport,)),
    OperationSpec(
        "optimize", "optimize", _A, tuning.Optimize, (tuning.OptimizeReport,), needs_repository=False, changes=True
    ),
    OperationSpec("prices", "prices", _V, costs.ListPrices, (costs.PriceList,), needs_repository=False),
    OperationSpec("cost", "cost", _V, costs.ReadCost, (costs.CostReport,), needs_repository=False),
    OperationSpec("capacity", "capacity", _V, costs.PlanCapacity, (costs.CapacityPlan,), needs_repository=False),
    OperationSpec("forecast", "forecast", _V, forecasts.Forecast, (forecasts.ForecastReport,), needs_repository=False),
    OperationSpec(
        "calendar_import",
        "calendar import",
        _O,
        forecasts.ImportCalendar,
        (forecasts.CalendarTaken,),
        needs_repository=False,
        changes=True,
    ),
    OperationSpec(
        "demand_import",
        "demand import",
        _O,
        forecasts.ImportDemand,
        (forecasts.DemandTaken,),
        needs_repository=False,
        changes=True,
    ),
    OperationSpec("keys", "keys", _A, ops.ListKeys, (ops.KeyList,)),
    OperationSpec("key_add", "key add", _A, ops.AddKey, (ops.KeyList,), changes=True),
    OperationSpec("key_paper", "key paper", _A, recovery.MakePaperKey, (recovery.PaperKeyMade,), changes=True),
    OperationSpec("key_remove", "key remove", _A, ops.RemoveKey, (ops.KeyList,), confirm=True, changes=True),
    OperationSpec(
        "configuration", "config get", _V, ops.ReadConfiguration, (ops.Configuration,), needs_repository=False
    ),
    OperationSpec(
        "configure", "config set", _A, ops.Configure, (ops.ConfigureResult,), needs_repository=False, changes=True
    ),
    OperationSpec("shutdown", "shutdown", _A, ops.Shutdown, (ops.Empty,), needs_repository=False, confirm=True),
)

BY_NAME: dict[str, OperationSpec] = {spec.name: spec for spec in CATALOG}
BY_VERB: dict[str, OperationSpec] = {spec.verb: spec for spec in CATALOG}
BY_ARGUMENTS: dict[type[ops.Operation], OperationSpec] = {spec.arguments: spec for spec in CATALOG}
