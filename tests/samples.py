"""Sample documents for tests: a status with every part filled, built from values, deterministic.

Pure: no clock, no chance. `NOW_NS` is the moment the samples describe (Saturday 2026-06-20, 14:00 UTC).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from engine.contract import status as st
from engine.contract.simulations import SimulationReport
from engine.contract.steering import JobDetail, JobMoment
from engine.contract.weddings import JobClass, PriorityClass, Wedding

NOW_NS = 1_781_964_000_000_000_000
TODAY = dt.date(2026, 6, 20)
SECOND_NS = 10**9

_WEDDINGS: tuple[tuple[str, int, str, str], ...] = (
    ("smith-jones", 0, "Europe/London", "Bath, UK"),
    ("okafor-lind", 0, "Europe/Stockholm", "Visby, Sweden"),
    ("tanaka-mori", 1, "Asia/Tokyo", "Hakone, Japan"),
    ("garcia-ruiz", 1, "Europe/Madrid", "Ronda, Spain"),
    ("novak-dvorak", 7, "Europe/Prague", "Český Krumlov"),
    ("walker-hayes", -2, "America/New_York", "Hudson, NY"),
)


def job_id(number: int) -> str:
    """The id of the `number`-th sample job: 32 hex digits."""
    return f"{number:032x}"


def wedding(name: str = "smith-jones", *, day: int = 0, timezone: str = "UTC", venue: str = "") -> Wedding:
    """A wedding of the register, `day` days from `TODAY`."""
    return Wedding(
        id=name.encode().hex().ljust(32, "0")[:32],
        name=name,
        date=TODAY + dt.timedelta(days=day),
        timezone=timezone,
        venue=venue,
        created_ns=NOW_NS - 30 * 86_400 * SECOND_NS,
    )


def priority_of(day: int) -> PriorityClass:
    """The class of a wedding `day` days from today."""
    return "same-day" if day == 0 else "next-day" if day == 1 else "standard"


def wedding_row(name: str = "smith-jones", *, day: int = 0, protected: bool = True, jobs: int = 0) -> st.WeddingRow:
    """A row of the status document."""
    return st.WeddingRow(
        name=name,
        date=TODAY + dt.timedelta(days=day),
        timezone="UTC",
        venue="Bath, UK",
        priority=priority_of(day),
        protected_since_ns=NOW_NS - 90 * SECOND_NS if protected else None,
        snapshots=3 if protected else 0,
        bytes_source=48_500_000_000 if protected else None,
        running_jobs=jobs,
    )


def job_row(number: int = 1, *, state: st.JobState = "running", kind: st.JobKind = "backup") -> st.JobRow:
    """A job of smith-jones: half-way when it runs, whole when it has ended."""
    ended = state in st.JOB_STATES_ENDED
    done = 4_000_000_000 if ended else 2_000_000_000
    return st.JobRow(
        id=job_id(number),
        kind=kind,
        wedding="smith-jones",
        state=state,
        priority="same-day",
        queued_ns=NOW_NS - 42 * SECOND_NS,
        started_ns=0 if state == "queued" else NOW_NS - 40 * SECOND_NS,
        ended_ns=NOW_NS - SECOND_NS if ended else 0,
        files_done=0 if state == "queued" else done // 20_000_000,
        files_total=None if state == "queued" else 200,
        bytes_read=0 if state == "queued" else done,
        bytes_total=None if state == "queued" else 4_000_000_000,
        bytes_stored=0 if state == "queued" else done * 9 // 10,
        bytes_reused=0 if state == "queued" else done // 20,
        warnings=2 if state == "warnings" else 0,
        rate_bytes_per_s=240e6 if state == "running" else 0.0,
        eta_s=8.3 if state == "running" else None,
        initiation_s=None if state == "queued" else 0.12,
        current="/card/DCIM/IMG_0042.CR3" if state == "running" else "",
        message="the source cannot be read" if state == "failed" else "",
        code="failed" if state == "failed" else "",
        snapshot=job_id(number) if state in {"done", "warnings"} else "",
    )


def alert_row(number: int = 1) -> st.AlertRow:
    """Something that wants a person."""
    return st.AlertRow(
        id=f"alert-{number}",
        level="critical" if number == 1 else "warning",
        since_ns=NOW_NS - 300 * SECOND_NS,
        subject="tanaka-mori",
        message="not protected, and the wedding is tomorrow",
    )


def infrastructure() -> st.Infrastructure:
    """A modest machine at work."""
    return st.Infrastructure(
        host="ops-1",
        engine_version="0.1.0",
        started_ns=NOW_NS - 7_200 * SECOND_NS,
        cpu_share=0.42,
        cpu_cores=8,
        memory_used_bytes=6_100_000_000,
        memory_total_bytes=16_000_000_000,
        engine_memory_bytes=310_000_000,
        load_one_minute=3.1,
        disk_read_bytes_per_s=262e6,
        disk_write_bytes_per_s=231e6,
        network_sent_bytes_per_s=12_000.0,
        network_received_bytes_per_s=30_000.0,
        engine_lag_s=0.0012,
    )


def stage(name: str, thread_s: float, size_bytes: int) -> st.StageTime:
    """A stage of 18,480 units since the start, and of 1,540 in the last ten minutes."""
    mean_s = thread_s / 18_480
    unit = st.Percentiles(
        count=1_540, window_s=600.0, p50_s=mean_s * 0.9, p95_s=mean_s * 2, p99_s=mean_s * 5, max_s=mean_s * 9
    )
    return st.StageTime(stage=name, thread_s=thread_s, bytes=size_bytes, unit=unit)


def class_row(priority: JobClass, *, weight: int, share: float, queued: int, oldest_s: float) -> st.ClassRow:
    """A class that has done 200 jobs, and kept its deadline with all but a few."""
    deadline_s = {"same-day": 5.0, "retrieval": 5.0, "next-day": 30.0, "standard": 120.0}[priority]
    return st.ClassRow(
        priority=priority, weight=weight, entitled_share=weight / 150, share=share, limit_bytes_per_s=None,
        jobs_running=3 if share else 0, jobs_queued=queued, jobs_paused=0, oldest_queued_s=oldest_s,
        deadline_s=deadline_s, jobs_counted=200, jobs_in_time=188 if priority == "standard" else 200,
        took=st.Percentiles(
            count=200, window_s=600.0, p50_s=deadline_s / 4, p95_s=deadline_s / 2, p99_s=deadline_s, max_s=deadline_s
        ),
    )  # fmt: skip


def performance() -> st.Performance:
    """A minute of throughput, newest last."""
    history = tuple(
        st.RatePoint(
            time_ns=NOW_NS - (60 - i) * SECOND_NS,
            read_bytes_per_s=200e6 + (i * 37 % 11) * 8e6,
            stored_bytes_per_s=170e6 + (i * 53 % 13) * 6e6,
            restored_bytes_per_s=0.0,
        )
        for i in range(60)
    )
    return st.Performance(
        read_bytes_per_s=240e6,
        stored_bytes_per_s=205e6,
        restored_bytes_per_s=0.0,
        bytes_read_total=310_000_000_000,
        bytes_stored_total=254_000_000_000,
        bytes_restored_total=0,
        dedup_ratio=1.17,
        initiation=st.Percentiles(count=212, window_s=3600.0, p50_s=0.09, p95_s=0.31, p99_s=0.8, max_s=1.4),
        stages=(
            stage("read", 120.0, 310_000_000_000),
            stage("chunk", 155.0, 310_000_000_000),
            stage("compress", 88.0, 265_000_000_000),
            stage("seal", 70.0, 254_000_000_000),
            stage("write", 310.0, 254_000_000_000),
        ),
        bottleneck="write",
        classes=(
            class_row("same-day", weight=50, share=0.71, queued=1, oldest_s=2.0),
            class_row("retrieval", weight=50, share=0.08, queued=0, oldest_s=0.0),
            class_row("next-day", weight=30, share=0.0, queued=0, oldest_s=0.0),
            class_row("standard", weight=20, share=0.21, queued=340, oldest_s=312.0),
        ),
        history=history,
    )


def dashboard(jobs: tuple[st.JobRow, ...], weddings: tuple[st.WeddingRow, ...]) -> st.Dashboard:
    """The head's figures, counted from the rows."""
    today = [row for row in weddings if row.date == TODAY]
    return st.Dashboard(
        weddings_total=len(weddings),
        weddings_today=len(today),
        weddings_today_protected=sum(row.protected_since_ns is not None for row in today),
        jobs_running=sum(row.state == "running" for row in jobs),
        jobs_queued=sum(row.state == "queued" for row in jobs),
        jobs_done=sum(row.state in {"done", "warnings"} for row in jobs),
        jobs_failed=sum(row.state == "failed" for row in jobs),
        events_dropped=0,
    )


def sample_weddings() -> tuple[Wedding, ...]:
    """The sample register, by date and name."""
    rows = [wedding(name, day=day, timezone=zone, venue=venue) for name, day, zone, venue in _WEDDINGS]
    return tuple(sorted(rows, key=lambda row: (row.date, row.name)))


def sample_wedding_rows() -> tuple[st.WeddingRow, ...]:
    """The same weddings as status rows: tanaka-mori is not protected, smith-jones has a job running."""
    rows = [
        msgspec.structs.replace(
            wedding_row(name, day=day, protected=name != "tanaka-mori", jobs=int(name == "smith-jones")),
            timezone=zone,
            venue=venue,
        )
        for name, day, zone, venue in _WEDDINGS
    ]
    return tuple(sorted(rows, key=lambda row: (row.date, row.name)))


def sample_jobs() -> tuple[st.JobRow, ...]:
    """One job of every state that matters on a screen, newest first."""
    return (
        job_row(5),
        job_row(4, state="queued"),
        job_row(3, state="failed"),
        job_row(2, state="warnings"),
        job_row(1, state="done"),
    )


def many_jobs() -> tuple[st.JobRow, ...]:
    """Jobs as a list of them has to show: of several weddings, one that waits for its next attempt, odd names."""
    rows = sample_jobs()
    retry = msgspec.structs.replace(
        job_row(6, state="queued"), wedding="okafor-lind", priority="next-day", attempts=2,
        message="the store does not answer; tried again in 40 s", retry_ns=NOW_NS + 31 * SECOND_NS,
    )  # fmt: skip
    scan = msgspec.structs.replace(
        job_row(7), wedding="novak-dvořák", priority="standard", bytes_total=None, files_total=None, eta_s=None,
        warnings=3, queued_ns=NOW_NS - 400 * SECOND_NS,
    )  # fmt: skip
    paused = msgspec.structs.replace(
        job_row(8, state="paused", kind="verify"), wedding="garcia-ruiz", message="resume lets it go on",
        rate_bytes_per_s=0.0, queued_ns=NOW_NS - 7_900 * SECOND_NS,
    )  # fmt: skip
    return (rows[0], scan, retry, rows[1], paused, *rows[2:])


def job_detail() -> JobDetail:
    """A backup that runs for the second time, with what it has warned of."""
    row = msgspec.structs.replace(job_row(5), warnings=1_204, attempts=2, snapshot="")
    turns: tuple[tuple[int, st.JobTurn, str], ...] = (
        (42, "accepted", ""), (41, "started", ""),
        (30, "attempt-failed", "the store does not answer; tried again in 4.2 s"), (26, "started", ""),
        (12, "class-changed", "standard → same-day"),
    )  # fmt: skip
    return JobDetail(
        job=row, deadline_s=5.0, operation="start_backup",
        arguments='{"wedding":"smith-jones","sources":["/card"],"tags":["second-shooter"]}',
        units_done=118, units_at_work=3,
        history=tuple(JobMoment(time_ns=NOW_NS - ago * SECOND_NS, what=what, words=why) for ago, what, why in turns),
        lines=tuple(f"/card/DCIM/IMG_{number:04}.CR3: it changed while it was read" for number in range(40)),
        lines_total=40,
    )  # fmt: skip


def storage() -> st.Storage:
    """Three tiers, four regions of which one is away, packs on the move, a recall, the scrub and the cache."""
    now, day = NOW_NS, 86_400 * SECOND_NS
    spread = st.Percentiles(count=900, window_s=600.0, p50_s=0.000_006, p95_s=0.000_02, p99_s=0.000_1, max_s=0.001)
    slow = msgspec.structs.replace(spread, p50_s=0.042, p95_s=0.2, p99_s=0.4, max_s=1.1)

    def tier(name: st.Tier, used: int, room: int, **more: Any) -> st.TierRow:
        url = {"hot": "file:///srv/wedsync/repository"}.get(name, f"s3://wedsync-{name}/vault")
        return st.TierRow(
            tier=name, url=url, used_bytes=used, free_bytes=room - used, capacity_bytes=room,
            packs=used // 33_000_000, packs_bytes=used, **more,
        )  # fmt: skip

    def region(name: str, at: str, **more: Any) -> st.RegionRow:
        return st.RegionRow(region=name, at=at, tiers=("hot", "warm"), packs=7_690, bytes_stored=254 * 10**9, **more)

    return st.Storage(
        tiers=(
            tier("hot", 1_760 * 10**9, 2_000 * 10**9, price_gb_month=0.08, moved_bytes_per_s=84e6,
                 full_ns=now + 19 * day),
            tier("warm", 8_400 * 10**9, 20_000 * 10**9, price_gb_month=0.0125),
            tier("cold", 61_000 * 10**9, 400_000 * 10**9, price_gb_month=0.00099, recall="s3-restore"),
        ),
        endpoints=(
            st.EndpointRow(url="https://s3.eu-west-1.example", bytes_per_s=212e6, bytes_moved=91 * 10**9, failures=0,
                           is_resting=False, congestion="bbr", place="warm/dublin"),
            st.EndpointRow(url="https://s3-b.eu-west-1.example", bytes_per_s=31e6, bytes_moved=2 * 10**9, failures=7,
                           is_resting=True, congestion="cubic", place="warm/dublin"),
        ),
        cache=st.CacheStatus(
            memory_bytes=201 * 2**20, memory_capacity_bytes=256 * 2**20, disk_bytes=11 * 2**30,
            disk_capacity_bytes=20 * 2**30,
            tiers=(
                st.CachedTierRow(tier="warm", memory_hits=81_000, disk_hits=9_000, misses=2_100, hit_rate=0.977,
                                 memory=spread, disk=msgspec.structs.replace(spread, p50_s=0.000_4), store=slow),
                st.CachedTierRow(tier="cold", memory_hits=0, disk_hits=0, misses=0, hit_rate=0.0,
                                 memory=st.Percentiles(count=0, window_s=600.0),
                                 disk=st.Percentiles(count=0, window_s=600.0),
                                 store=st.Percentiles(count=0, window_s=600.0)),
            ),
        ),
        replication=st.Replication(
            copies=3, quorum=2, weddings_not_safe=2,
            regions=(
                region("dublin", "53.35,-6.26"),
                region("london", "51.51,-0.13", owed=212, owed_since_ns=now - 95 * 10**9),
                region("frankfurt", "50.11,8.68", answers=False, failure="no answer", failing_since_ns=now - day // 12,
                       owed=1_904, owed_since_ns=now - day // 12),
                region("oregon", "45.52,-122.68", append_only=True, bad=1),
            ),
        ),
        scrub=st.Scrub(
            enabled=True, limit_bytes_per_s=20e6, copies_read=4_112, bytes_read=128 * 10**9, bad_found=1, problem="",
            ages=tuple(
                st.ScrubAges(place=f"hot/{name}", within_day=610, within_week=3_900, within_month=2_800,
                             within_quarter=300 * bool(number), longer_ago=80 * (number == 3), never=number)
                for number, name in enumerate(("dublin", "london", "frankfurt", "oregon"))
            ),
        ),
        repository="5f0c7c1e9b7d4a2f8e6b3d1a0c9f8e7d",
        moving=(
            st.MovingRow(job="31" * 16, wedding="okafor-lind", source="hot", target="warm", packs_done=180,
                         packs_total=412, bytes_done=6 * 10**9, bytes_total=13_300_000_000,
                         reason="30 days after the wedding, unused"),
        ),
        recalls=(
            st.RecallRow(wedding="lee-park", tier="cold", speed="standard", packs_ready=12, packs_total=96,
                         bytes_total=3_100_000_000, begun_ns=now - 3_600 * 10**9, eta_ns=now + 7_900 * 10**9),
        ),
    )  # fmt: skip


def status(**changes: object) -> st.Status:
    """A whole status document; `changes` replace parts by field name. `dashboard` is counted from the rows."""
    jobs: tuple[st.JobRow, ...] = changes.pop("jobs", sample_jobs())  # type: ignore[assignment]
    weddings: tuple[st.WeddingRow, ...] = changes.pop("weddings", sample_wedding_rows())  # type: ignore[assignment]
    document = st.Status(
        version=st.STATUS_VERSION,
        seq=1,
        timestamp="2026-06-20T14:00:00.000Z",
        status="ready",
        infrastructure=infrastructure(),
        performance=performance(),
        auto_scaling=st.AutoScaling(
            streams=9,
            streams_busy=6,
            target=9,
            mode="default",
            timeline=(st.StreamChange(time_ns=NOW_NS - 7_200 * SECOND_NS, streams=9, reason="start: cores + 1"),),
        ),
        storage=st.Storage(
            tiers=(
                st.TierRow(
                    tier="hot",
                    url="file:///srv/wedsync/repository",
                    used_bytes=254_000_000_000,
                    free_bytes=1_600_000_000_000,
                    capacity_bytes=2_000_000_000_000,
                ),
            ),
            repository="5f0c7c1e9b7d4a2f8e6b3d1a0c9f8e7d",
        ),
        health=(
            st.HealthArea(area="compute", health="ok", reason="42 % of 8 cores"),
            st.HealthArea(area="memory", health="ok", reason="6.10 GB of 16.0 GB"),
            st.HealthArea(area="storage", health="ok", reason="1.60 TB free"),
            st.HealthArea(area="jobs", health="warning", reason="1 job failed in the last hour"),
            st.HealthArea(area="engine", health="ok", reason="lag 1 ms"),
        ),
        dashboard=dashboard(jobs, weddings),
        jobs=jobs,
        jobs_total=len(jobs),
        weddings=weddings,
        weddings_total=len(weddings),
        alerts=(alert_row(),),
        alerts_total=1,
    )
    return msgspec.structs.replace(document, **changes)


def empty_status() -> st.Status:
    """What an engine on an empty home says."""
    return status(
        status="no-repository",
        jobs=(),
        weddings=(),
        alerts=(),
        alerts_total=0,
        storage=st.Storage(
            tiers=(
                st.TierRow(
                    tier="hot",
                    url="file:///srv/wedsync/repository",
                    used_bytes=None,
                    free_bytes=1_600_000_000_000,
                    capacity_bytes=2_000_000_000_000,
                ),
            ),
            repository="",
        ),
    )


SIMULATED = SimulationReport(
    rule="autoscaler",
    jobs=19_332,
    failed=0,
    late=0,
    wait_p50_s=0.0,
    wait_p99_s=116.2,
    nodes_most=314,
    node_hours=9_341.1,
    spot_share=0.84,
    cost=1_641.99,
    ready_p95_s=42.0,
    changes=42,
    nodes_lost=14,
    put_back=12,
    under=0.4,
    over=84.6,
    under_time=7.0,
    over_time=81.9,
    instability=76.0,
    assumed="nodes start in 28 s",
    trace="c0d0dd35" * 8,
)
