"""Health: each area, at its limits."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract.status import Infrastructure, TierRow
from engine.monitor.health import JobFacts, health_of

IDLE = JobFacts(running=0, queued=0, limit=100)
MACHINE = Infrastructure(
    host="h", engine_version="1", started_ns=0, cpu_share=0.2, cpu_cores=4, memory_used_bytes=20,
    memory_total_bytes=100, engine_memory_bytes=5, load_one_minute=0.5, disk_read_bytes_per_s=0,
    disk_write_bytes_per_s=0, network_sent_bytes_per_s=0, network_received_bytes_per_s=0, engine_lag_s=0.002,
)  # fmt: skip


def tier(free: int | None) -> TierRow:
    return TierRow(tier="hot", url="file:///r", used_bytes=None, free_bytes=free, capacity_bytes=1000)


def areas(
    *, free: int | None = 500, jobs: JobFacts = IDLE, problem: str = "", **changes: float
) -> dict[str, tuple[str, str]]:
    seen = msgspec.structs.replace(MACHINE, **changes)
    found = health_of(seen, [tier(free)], jobs, repository_problem=problem)
    return {area.area: (area.health, area.reason) for area in found}


def test_a_quiet_machine_is_well_everywhere() -> None:
    assert {health for health, _ in areas().values()} == {"ok"}
    assert list(areas()) == ["compute", "memory", "storage", "jobs", "engine"]


@pytest.mark.parametrize(
    ("changes", "area", "health"),
    [
        ({"cpu_share": 0.95}, "compute", "warning"),
        ({"memory_used_bytes": 90}, "memory", "warning"),
        ({"memory_used_bytes": 97}, "memory", "critical"),
        ({"memory_total_bytes": 0}, "memory", "unknown"),
        ({"free": 99}, "storage", "warning"),
        ({"free": 29}, "storage", "critical"),
        ({"free": None}, "storage", "unknown"),
        ({"jobs": JobFacts(10, 80, 100)}, "jobs", "warning"),
        ({"jobs": JobFacts(10, 90, 100)}, "jobs", "critical"),
        ({"engine_lag_s": 0.1}, "engine", "warning"),
        ({"engine_lag_s": 1.0}, "engine", "critical"),
    ],
)
def test_an_area_at_its_limit_says_so(changes: dict[str, float], area: str, health: str) -> None:
    found = areas(**changes)  # type: ignore[arg-type]
    assert found[area][0] == health
    assert {other[0] for name, other in found.items() if name != area} == {"ok"}


def test_a_repository_that_does_not_open_is_critical_with_its_reason() -> None:
    assert areas(problem="wrong passphrase")["storage"] == ("critical", "wrong passphrase")
