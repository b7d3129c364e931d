"""SIMULATED fleet: from 48 to 480 nodes on a Saturday, and 1 to 100 times the load.

    python -m benchmarks.fleet FOLDER [--short] [--json FILE]

In: nothing; everything is drawn from one seed, by the distributions that docs/scaling.md names. Forecaster, autoscaler
and queue are the engine's own. Out: one line a target with what was measured and the verdict; in FOLDER `fleet.md`, the
tables of docs/scaling.md; exit code 1 on a miss.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.report import Report, at_share, carry_out, parser_of
from engine.contract.scaling import ScalingSettings
from engine.contract.simulations import Simulate, SimulationReport
from engine.contract.weddings import JobClass
from engine.operations.simulating import Line, simulated
from engine.scaling.fleet import Control, Fleet, placed_jobs
from engine.scaling.pool import Target
from engine.scaling.world import World

NODES, NODES_PEAK = 48, 480
WEDDINGS = 500  # a day in the mean: a Saturday in July then wants all 480 nodes
READY_P95_S = 60.0
LOADS = (1, 2, 5, 10, 20, 50, 100)
LOADS_SHORT = (1, 10)
WEDDINGS_AT_ONE = 8
LINEAR_COST = 1.05  # of the cost a wedding at 1 ×
HEAD = "| load | jobs | failed | late | nodes at most | jobs an hour of the peak | p99 wait | cost a job | of linear |"


def step(report: Report) -> None:
    """48 → 480 nodes by one decision, while a job a second comes."""
    world = World(hours=1, nodes_begin=NODES)
    came: list[tuple[float, str, JobClass, float]] = [
        (float(second), f"w{second % 40}", "same-day", 24e7) for second in range(3_600)
    ]
    target: Target = {"reserved": NODES_PEAK * 3 // 10, "spot": NODES_PEAK * 7 // 10}
    found = Fleet(world, list(placed_jobs(came, world)), Control(lambda _: target, Line())).run()
    grown, p95_s = max(sample.ready for sample in found.samples), at_share(found.ready_after_s, 0.95)
    report.add("SIMULATED 48 → 480 at once: nodes", NODES_PEAK, grown, "nodes", at_least=True)
    report.add("SIMULATED 48 → 480 at once: decision to ready, p95", READY_P95_S, p95_s, "s")
    report.add("SIMULATED 48 → 480 at once: failed operations", 0, found.failed, "jobs")


def saturday(report: Report) -> list[str]:
    """48 → 480 nodes as a day goes on."""
    asked = Simulate(weddings=WEDDINGS, floor=NODES, ceiling=NODES_PEAK)
    found, again = (simulated(asked, ScalingSettings()) for _ in range(2))
    report.add("SIMULATED 48 → 480: nodes at most", NODES_PEAK, found.nodes_most, "nodes", at_least=True)
    report.add("SIMULATED 48 → 480: decision to ready, p95", READY_P95_S, found.ready_p95_s, "s")
    report.add("SIMULATED 48 → 480: failed operations", 0, found.failed, "jobs")
    report.add("SIMULATED 48 → 480: late jobs", None, found.late, "jobs")
    report.add("SIMULATED 48 → 480: the same seed, another trace", 0, int(found.trace != again.trace), "traces")
    rows = ["| day | rule | jobs | failed | late | p99 wait s | nodes at most | node-hours | USD | lost | put back |"]
    rows.append("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, changes in DAYS.items():
        rows += [_row(name, played(**changes, rule=rule)) for rule in ("autoscaler", "reactive", "fixed")]
    return rows


DAYS: dict[str, dict[str, object]] = {
    "as forecast": {},
    "three times the weddings": {"times": 3, "ceiling": 3 * NODES_PEAK},
    "the calendar dead": {"calendar": False},
    "half the spot nodes taken at 21:00": {"losses": 50},
    "nodes that start in 20 minutes": {"boot": "20m"},
}


def played(**changes: object) -> SimulationReport:
    """A Saturday with something changed."""
    arguments: dict[str, object] = {"weddings": WEDDINGS, "floor": NODES, "ceiling": NODES_PEAK, **changes}
    return simulated(Simulate(**arguments), ScalingSettings())  # type: ignore[arg-type]


def _row(name: str, found: SimulationReport) -> str:
    return (
        f"| {name} | {found.rule} | {found.jobs:,} | {found.failed} | {found.late:,} | {found.wait_p99_s:,.0f} "
        f"| {found.nodes_most:,} | {found.node_hours:,.0f} | {found.cost:,.0f} "
        f"| {found.nodes_lost} | {found.put_back} |"
    )


def loads(report: Report, *, short: bool) -> list[str]:
    """1 × to 100 × the load, with as many more nodes."""
    rows, first = [HEAD, "|---" * 9 + "|"], 0.0
    for load in LOADS_SHORT if short else LOADS:
        found = simulated(Simulate(weddings=WEDDINGS_AT_ONE * load, floor=load, ceiling=10 * load), ScalingSettings())
        busiest = max(hour.jobs for hour in found.hours)
        each = found.cost / found.jobs
        first = first or each
        report.add(f"SIMULATED {load} ×: failed operations", 0, found.failed, "jobs")
        report.add(f"SIMULATED {load} ×: cost a job, of that at 1 ×", LINEAR_COST, each / first, "×")
        rows.append(
            f"| {load} × | {found.jobs:,} | {found.failed} | {found.late:,} | {found.nodes_most:,} | {busiest:,} "
            f"| {found.wait_p99_s:,.0f} s | {each:.4f} USD | {each / first:.2f} |"
        )
    return rows


def main(arguments: list[str]) -> int:
    """Simulate, print, write."""
    options = parser_of("benchmarks.fleet", __doc__, short="two loads: a sample").parse_args(arguments)
    lines = ["SIMULATED", ""]

    def day(_: Path, report: Report) -> None:
        step(report)
        lines.extend([*saturday(report), ""])

    def load(_: Path, report: Report) -> None:
        lines.extend(loads(report, short=options.short))

    code = carry_out(options, {"saturday": day, "loads": load})
    (options.folder / "fleet.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
