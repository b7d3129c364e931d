"""`FakeEngine`: an `EngineHandle` over a small register in memory, for tests of doors and screens.

It answers every operation of the catalog with a plausible result, at once and on the calling thread. What a test wants
otherwise it says with `answer`; what was asked stands in `operations`. Jobs end at once unless `hold_jobs` is set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import cast

import msgspec

from engine.base import units
from engine.base.errors import Conflict, NotFound, UsageError, WedSyncError
from engine.contract import decisions, placements, receipts, recovery, retention, simulations, steering
from engine.contract import events as ev
from engine.contract import operations as ops
from engine.contract import status as st
from engine.contract.catalog import BY_ARGUMENTS
from engine.contract.weddings import Wedding, wedding_name_problem
from tests import samples, scaling_samples

Answer = ops.Result | WedSyncError | Callable[[ops.Operation], ops.Result]


class FakeEngine:
    """An engine of one process and no bytes. Any thread."""

    def __init__(self, *, weddings: tuple[Wedding, ...] | None = None, initialised: bool = True) -> None:
        self.operations: list[ops.Operation] = []
        self.closed_with: float | None = None
        self.hold_jobs = False
        self.polls = 0
        self._lock = threading.RLock()
        self._initialised = initialised
        self._register = {row.name: row for row in (samples.sample_weddings() if weddings is None else weddings)}
        self._job_rows: dict[str, st.JobRow] = {}
        self._pending: list[tuple[str, Future[ops.Result]]] = []
        self._answers: dict[type[ops.Operation], Answer] = {}
        self._events: list[ev.Event] = []
        self._shown: st.Status | None = None
        self._on_poll: Callable[[FakeEngine], None] | None = None

    # --- what tests say ---

    def answer(self, kind: type[ops.Operation], answer: Answer) -> None:
        """Give `answer` (a result, an error, or a function of the operation) to every operation of `kind`."""
        self._answers[kind] = answer

    def show(self, document: st.Status) -> None:
        """Publish this document from now on, instead of one made from the register."""
        self._shown = document

    def at_poll(self, action: Callable[[FakeEngine], None]) -> None:
        """Call `action` each time the status is read: how tests let things happen while a door waits."""
        self._on_poll = action

    def finish_jobs(self, state: st.JobState = "done", *, code: str = "") -> None:
        """End every job that runs, and resolve who waits for it."""
        with self._lock:
            for name, row in list(self._job_rows.items()):
                if row.state not in st.JOB_STATES_ENDED:
                    number = int(name, 16)
                    ended = samples.job_row(number, state=state, kind=row.kind)
                    self._job_rows[name] = msgspec.structs.replace(ended, wedding=row.wedding, code=code or ended.code)
                    self._tell("job-ended", job=name, wedding=row.wedding)
            pending, self._pending = self._pending, []
        for name, future in pending:
            if not future.done():
                future.set_result(ops.JobResult(job=self._job_rows[name]))

    def emit(self, kind: ev.EventKind, message: str = "") -> None:
        """Put one event into the queue."""
        self._tell(kind, message=message)

    # --- the handle ---

    def status(self) -> st.Status:
        """See `EngineHandle.status`."""
        self.polls += 1
        if self._on_poll is not None:
            self._on_poll(self)
        if self._shown is not None:
            return self._shown
        with self._lock:
            if not self._initialised:
                return samples.empty_status()
            jobs = tuple(reversed(self._job_rows.values()))
            rows = tuple(self._wedding_row(row) for row in self._listed(archived=False))
        return samples.status(seq=self.polls, jobs=jobs, weddings=rows, alerts=(), alerts_total=0)

    def call(self, operation: ops.Operation) -> Future[ops.Result]:
        """See `EngineHandle.call`."""
        future: Future[ops.Result] = Future()
        with self._lock:
            self.operations.append(operation)
            try:
                result = self._run(operation)
            except WedSyncError as error:
                future.set_exception(error)
                return future
        if isinstance(result, ops.JobResult) and self._waits(operation) and self.hold_jobs:
            self._pending.append((result.job.id, future))
        else:
            future.set_result(result)
        return future

    def events(self, after_seq: int) -> ev.EventBatch:
        """See `EngineHandle.events`."""
        with self._lock:
            return ev.EventBatch(events=tuple(row for row in self._events if row.seq > after_seq), dropped=0)

    def close(self, *, drain_s: float) -> Future[None]:
        """See `EngineHandle.close`."""
        self.closed_with = drain_s
        if self.hold_jobs:
            self.finish_jobs("interrupted")
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def leave(self, *, to_jobs: bool) -> Future[bool]:
        """See `EngineHandle.leave`. Goes on while jobs are held and count, or somebody is said to be attached."""
        attached = self._shown.infrastructure.attached if self._shown is not None else 0
        future: Future[bool] = Future()
        future.set_result(bool(attached or (to_jobs and self._pending)))
        return future

    # --- inside ---

    def _waits(self, operation: ops.Operation) -> bool:
        return bool(getattr(operation, "wait", True))

    def _run(self, operation: ops.Operation) -> ops.Result:
        scripted = self._answers.get(type(operation))
        if isinstance(scripted, WedSyncError):
            raise scripted
        if scripted is not None:
            return scripted if isinstance(scripted, ops.Result) else scripted(operation)
        spec = BY_ARGUMENTS[type(operation)]
        if spec.needs_repository and not self._initialised:
            raise NotFound("there is no repository yet", "make one with init")
        handler = getattr(self, f"_{spec.name}", None)
        if handler is None:
            raise Conflict(f"nothing was scripted for {spec.verb}")
        return cast(ops.Result, handler(operation))

    def _tell(self, kind: ev.EventKind, *, message: str = "", job: str = "", wedding: str = "") -> None:
        with self._lock:
            seq = len(self._events) + 1
            self._events.append(
                ev.Event(seq=seq, time_ns=samples.NOW_NS + seq, kind=kind, message=message, job=job, wedding=wedding)
            )

    def _listed(self, *, archived: bool) -> list[Wedding]:
        rows = [row for row in self._register.values() if archived or not row.archived]
        return sorted(rows, key=lambda row: (row.date, row.name))

    def _wedding(self, name: str) -> Wedding:
        row = self._register.get(name)
        if row is None:
            raise NotFound(f"no wedding is named {name}", "weddings lists them")
        return row

    def _snapshots_of(self, name: str) -> list[st.JobRow]:
        return [row for row in self._job_rows.values() if row.wedding == name and row.snapshot]

    def _wedding_row(self, row: Wedding) -> st.WeddingRow:
        kept = self._snapshots_of(row.name)
        base = samples.wedding_row(row.name, day=(row.date - samples.TODAY).days, protected=bool(kept))
        return msgspec.structs.replace(base, timezone=row.timezone, venue=row.venue, snapshots=len(kept))

    def _summary(self, row: Wedding) -> ops.WeddingSummary:
        kept = self._snapshots_of(row.name)
        return ops.WeddingSummary(
            wedding=row,
            priority=samples.priority_of((row.date - samples.TODAY).days),
            protected_since=units.format_time(kept[-1].started_ns) if kept else None,
            snapshots=len(kept),
        )

    def _new_job(self, kind: st.JobKind, wedding: str) -> ops.JobResult:
        self._wedding(wedding)
        number = len(self._job_rows) + 1
        row = samples.job_row(number, kind=kind, state="running" if self.hold_jobs else "done")
        row = msgspec.structs.replace(row, wedding=wedding)
        self._job_rows[row.id] = row
        self._tell("job-queued", job=row.id, wedding=wedding)
        if not self.hold_jobs:
            self._tell("job-ended", job=row.id, wedding=wedding)
        return ops.JobResult(job=row)

    def _init_repository(self, _: ops.InitRepository) -> ops.Result:
        if self._initialised:
            raise Conflict("there is a repository already")
        self._initialised = True
        return ops.RepositoryInfo(repository="5f" * 16, url="file:///srv/wedsync/repository")

    def _status(self, _: ops.ReadStatus) -> ops.Result:
        return ops.StatusResult(document=self.status())

    def _start_backup(self, operation: ops.StartBackup) -> ops.Result:
        if operation.dry_run:
            return ops.BackupEstimate(
                files=200, files_new=200, files_changed=0, files_unchanged=0, files_gone=0,
                bytes_source=4_000_000_000, bytes_to_read=4_000_000_000,
            )  # fmt: skip
        return self._new_job("backup", operation.wedding)

    def _store_wedding_data(self, operation: ops.StoreWeddingData) -> ops.Result:
        return self._new_job("store", operation.wedding)

    def _retrieve_wedding_data(self, operation: ops.RetrieveWeddingData) -> ops.Result:
        kept = self._snapshots_of(operation.wedding)
        if not kept:
            raise NotFound(f"{operation.wedding} has no snapshot", "make one with backup")
        if operation.dry_run:
            return ops.RetrievalPlan(
                snapshot=kept[-1].snapshot, files=200, bytes_restored=4_000_000_000, packs=120,
                bytes_fetched=3_600_000_000, eta_s=14.0, conflicts=0,
            )  # fmt: skip
        return self._new_job("retrieve", operation.wedding)

    def _weddings(self, operation: ops.ListWeddings) -> ops.Result:
        rows = [row for row in self._listed(archived=operation.archived) if operation.match in row.name + row.venue]
        return ops.WeddingList(weddings=tuple(self._summary(row) for row in rows))

    def _wedding_add(self, operation: ops.AddWedding) -> ops.Result:
        problem = wedding_name_problem(operation.name)
        if problem:
            raise UsageError(problem)
        if operation.name in self._register:
            raise Conflict(f"there is a wedding named {operation.name} already")
        row = samples.wedding(operation.name, timezone=operation.timezone, venue=operation.venue)
        self._register[operation.name] = msgspec.structs.replace(row, date=operation.date)
        self._tell("wedding-changed", wedding=operation.name)
        return ops.WeddingResult(wedding=self._register[operation.name])

    def _wedding_edit(self, operation: ops.EditWedding) -> ops.Result:
        row = self._wedding(operation.name)
        changes = {
            "name": operation.rename, "date": operation.date, "timezone": operation.timezone, "venue": operation.venue,
        }  # fmt: skip
        row = msgspec.structs.replace(row, **{key: value for key, value in changes.items() if value is not None})
        del self._register[operation.name]
        self._register[row.name] = row
        return ops.WeddingResult(wedding=row)

    def _wedding_archive(self, operation: ops.ArchiveWedding) -> ops.Result:
        row = msgspec.structs.replace(self._wedding(operation.name), archived=not operation.undo)
        self._register[operation.name] = row
        return ops.WeddingResult(wedding=row)

    def _snapshots(self, operation: ops.ListSnapshots) -> ops.Result:
        self._wedding(operation.wedding)
        rows = tuple(
            ops.SnapshotSummary(
                id=row.snapshot, time=units.format_time(row.started_ns), host="ops-1", sources=("/card",), tags=(),
                priority="same-day", partial=False, parent="", files=200, bytes_source=row.bytes_read,
                bytes_stored=row.bytes_stored, files_unchanged=0, warnings=row.warnings, engine_version="0.1.0",
            )
            for row in self._snapshots_of(operation.wedding)
        )  # fmt: skip
        return ops.SnapshotList(wedding=operation.wedding, snapshots=rows)

    def _browse(self, operation: ops.Browse) -> ops.Result:
        self._wedding(operation.wedding)
        modified = units.format_time(samples.NOW_NS)
        return ops.EntryList(
            entries=(
                ops.EntryRow(path="/card/DCIM", type="folder", mode="0755", uid=1000, gid=1000, modified=modified),
                ops.EntryRow(
                    path="/card/DCIM/IMG_0001.CR3", type="file", mode="0644", uid=1000, gid=1000, modified=modified,
                    size=25_165_824, hash="ab" * 32,
                ),
                ops.EntryRow(
                    path="/card/DCIM/caf\\xe9.jpg", type="file", mode="0644", uid=1000, gid=1000, modified=modified,
                    size=1_234, hash="cd" * 32, path_base64="L2NhcmQvRENJTS9jYWbpLmpwZw==",
                ),
            )
        )  # fmt: skip

    def _find(self, operation: ops.Find) -> ops.Result:
        return self._browse(ops.Browse(wedding=operation.wedding))

    def _diff(self, operation: ops.Diff) -> ops.Result:
        self._wedding(operation.wedding)
        row = ops.DiffRow(path="/card/DCIM/IMG_0001.CR3", change="added", bytes_before=0, bytes_after=25_165_824)
        return ops.DiffResult(rows=(row,), added=1, removed=0, changed=0)

    def _jobs_of(self, wanted: Callable[[st.JobRow], bool]) -> ops.Result:
        rows = tuple(row for row in reversed(self._job_rows.values()) if wanted(row))
        return ops.JobList(jobs=rows, total=len(rows))

    def _jobs(self, operation: ops.ListJobs) -> ops.Result:
        known = self._shown.jobs if self._shown is not None else tuple(reversed(self._job_rows.values()))
        rows = tuple(
            row
            for row in known
            if operation.wedding in ("", row.wedding)
            and operation.state in (None, row.state)
            and operation.kind in (None, row.kind)
            and all(word in f"{row.id} {row.wedding} {row.kind} {row.state}" for word in operation.match.split())
        )
        at = next((index for index, row in enumerate(rows) if row.id == operation.around), None)
        return ops.JobPage(jobs=rows, total=len(rows), known=len(known), position=at)

    def _job(self, operation: steering.ReadJob) -> ops.Result:
        for name, row in self._job_rows.items():
            if name.startswith(operation.job):
                moment = steering.JobMoment(time_ns=row.queued_ns, what="accepted")
                return steering.JobDetail(
                    job=row, deadline_s=5.0, operation="start_backup", arguments='{"wedding":"smith-jones"}',
                    units_done=12, units_at_work=0, history=(moment,),
                )  # fmt: skip
        raise NotFound(f"no job is named {operation.job}", "jobs lists them")

    def _job_retry(self, operation: steering.RetryJob) -> ops.Result:
        return self._as(operation.job, "queued")

    def _jobs_steer(self, operation: steering.SteerJobs) -> ops.Result:
        return steering.SteerResult(action=operation.action, done=len(operation.jobs))

    def _wait(self, operation: ops.WaitForJobs) -> ops.Result:
        self.finish_jobs()
        return self._jobs_of(lambda row: row.id.startswith(operation.job))

    def _job_cancel(self, operation: ops.CancelJob) -> ops.Result:
        for name, row in self._job_rows.items():
            if name.startswith(operation.job) or name.lstrip("0") == operation.job:
                self._job_rows[name] = msgspec.structs.replace(row, state="cancelled")
                return ops.JobResult(job=self._job_rows[name])
        raise NotFound(f"no job is named {operation.job}", "jobs lists them")

    def _job_pause(self, operation: steering.PauseJob) -> ops.Result:
        return self._as(operation.job, "paused")

    def _job_resume(self, operation: steering.ResumeJob) -> ops.Result:
        return self._as(operation.job, "queued")

    def _job_prioritise(self, operation: steering.PrioritiseJob) -> ops.Result:
        return self._as(operation.job, "running")

    def _as(self, job: str, state: st.JobState) -> ops.Result:
        for name, row in self._job_rows.items():
            if name.startswith(job) or name.lstrip("0") == job:
                self._job_rows[name] = msgspec.structs.replace(row, state=state)
                return ops.JobResult(job=self._job_rows[name])
        raise NotFound(f"no job is named {job}", "jobs lists them")

    def _watch(self, operation: steering.WatchWedding) -> ops.Result:
        self._wedding(operation.wedding)
        row = steering.WatchRow(
            wedding=operation.wedding, paths=operation.paths, exclude=(), state="watching", folders=12,
            changes_waiting=0, lag_s=0.4,
        )  # fmt: skip
        return steering.WatchList(watches=(row,))

    def _unwatch(self, operation: steering.UnwatchWedding) -> ops.Result:
        self._wedding(operation.wedding)
        return steering.WatchList(watches=())

    def _watches(self, _: steering.ListWatches) -> ops.Result:
        return steering.WatchList(watches=())

    def _schedule_add(self, operation: steering.AddSchedule) -> ops.Result:
        row = steering.ScheduleRow(
            name=operation.name, when=operation.when, timezone=operation.timezone, command=operation.run, next=None,
            last=None,
        )  # fmt: skip
        return steering.ScheduleList(schedules=(row,))

    def _schedule_remove(self, _: steering.RemoveSchedule) -> ops.Result:
        return steering.ScheduleList(schedules=())

    def _schedules(self, _: steering.ListSchedules) -> ops.Result:
        return steering.ScheduleList(schedules=())

    def _verify(self, operation: ops.Verify) -> ops.Result:
        job = self._new_job("verify", operation.wedding).job
        return ops.VerifyReport(job=job, snapshots=1, packs=120, blobs=4_000, files=200, bytes_checked=4_000_000_000)

    def _tiers(self, _: placements.ListTiers) -> ops.Result:
        return placements.TierList(tiers=self.status().storage.tiers, copies=())

    def _recall(self, operation: placements.Recall) -> ops.Result:
        return placements.RecallReport(job=self._new_job("recall", operation.wedding).job)

    def _migrate(self, operation: placements.Migrate) -> ops.Result:
        if operation.dry_run:
            return placements.MigrationPlan(moves=(), stays=(), packs=0, bytes=0, saves_month=0.0, cost=0.0)
        return placements.MigrationReport(jobs=(self._new_job("migrate", operation.wedding or "smith-jones").job,))

    def _hold(self, operation: retention.HoldWedding) -> ops.Result:
        wedding = self._wedding(operation.wedding).name
        held = retention.HoldRow(snapshot=operation.snapshot, reason=operation.reason, since="2026-06-20T10:00:00Z")
        return retention.HoldList(wedding=wedding, holds=() if operation.release else (held,))

    def _prune(self, operation: retention.Prune) -> ops.Result:
        rows = tuple(
            retention.PrunedWedding(wedding=name, snapshots_gone=2, packs_freed=3, bytes_freed=90_000_000)
            for name in self._register
            if operation.wedding in ("", name)
        )
        return retention.PruneReport(
            weddings=rows, snapshots=(), jobs=(), dry_run=operation.dry_run, bytes_freed=90_000_000 * len(rows)
        )

    def _scale_infrastructure(self, operation: ops.ScaleInfrastructure) -> ops.Result:
        if operation.target == "auto":
            return ops.ScaleResult(before=9, streams=9, mode="default")
        if not operation.target.isdigit():
            raise UsageError(f"{operation.target!r} is neither a number of streams nor auto")
        return ops.ScaleResult(before=9, streams=int(operation.target), mode="manual")

    def _scaling(self, _: decisions.ReadScaling) -> ops.Result:
        return scaling_samples.scaling_report()

    def _simulate(self, _: simulations.Simulate) -> ops.Result:
        return samples.SIMULATED

    def _keys(self, _: ops.ListKeys) -> ops.Result:
        row = ops.KeySlotRow(id="a1" * 8, label="first", kdf="argon2id t=3 m=64MiB p=4", current=True)
        return ops.KeyList(keys=(row,))

    def _key_add(self, _: ops.AddKey) -> ops.Result:
        return self._keys(ops.ListKeys())

    def _recover(self, _: recovery.Recover) -> ops.Result:
        raise UsageError("nothing to recover", "give --from URL on an empty home, --to DIR to restore weddings")

    def _receipt(self, _: receipts.MakeReceipt) -> ops.Result:
        raise UsageError("a receipt of which wedding?", "name it, or give --verify FILE")

    def _key_remove(self, _: ops.RemoveKey) -> ops.Result:
        raise Conflict("this is the last key slot", "add another with key add, then remove this one")

    def _configuration(self, _: ops.ReadConfiguration) -> ops.Result:
        row = ops.SettingRow(key="engine.streams", value="9", default="", help="worker threads; unset: cores + 1")
        return ops.Configuration(settings=(row,))

    def _configure(self, operation: ops.Configure) -> ops.Result:
        return ops.ConfigureResult(key=operation.key, before="9", after=operation.value, applied="now")

    def _shutdown(self, operation: ops.Shutdown) -> ops.Result:
        self.closed_with = units.parse_span(operation.drain)
        return ops.Empty()
