"""SIMULATED replays: how well rules of scaling follow demand, at several start-up times, on good weeks and bad ones.

    python -m benchmarks.elasticity FOLDER [--series DIR] [--short] [--json FILE]

In: drawn platforms, and with `--series` the public series that docs/forecasting.md names. Out: in FOLDER
`elasticity.md`, the tables of docs/scaling.md; one line a target with what was measured and the verdict; exit code 1
on a miss.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.replay import BUSY_MINUTES, TOLERATED_MINUTES, WARM_UP, WEEK, Fixed, Ours, Outcome, Reactive, Rule, Week
from benchmarks.replay import replay as replayed
from benchmarks.report import Report
from benchmarks.traces import bad_weeks, platforms, public, weeks_of
from engine.scaling.baselines import Counts
from engine.scaling.elasticity import Difference, paired, speedup

STARTUPS = (5, 10, 30, 60)
BAD_STARTUP = 30
RULES: dict[str, str] = {
    "peak": "static peak",
    "mean": "static mean",
    "reactive": "reactive (HPA)",
    "saturday": "Saturday rule",
    "aws": "predictive, 14 days",
    "without": "ours, no calendar",
    "with": "ours",
    "perfect": "ours, perfect forecast",
}
PEERS = ("reactive", "saturday", "aws")
QUANTILES = (0.5, 0.7, 0.8, 0.9, 0.95)
COST_MARGIN = 1.05
CHEAPER = 0.35


def rule_of(name: str, weeks: Sequence[Week], startups: Counts) -> Rule:
    """The rule called `name`, for these lanes."""
    if name == "peak":
        return Fixed(np.array([week.peak_workers for week in weeks]))
    if name == "mean":
        return Fixed(np.array([max(1, round(week.mean_workers)) for week in weeks]))
    if name in PEERS:
        return Reactive(weeks, startups, "" if name == "reactive" else name)
    name, _, quantile = name.partition("@")
    return Ours(weeks, startups, name, quantile=float(quantile or 0))


@dataclass(frozen=True, slots=True)
class Cell:
    """One rule on the weeks of one trace, kind and start-up time."""

    weeks: list[Week]
    outcomes: list[Outcome]

    @property
    def costs(self) -> list[float]:
        """Worker-hours over the fewest that the work takes, week by week."""
        return [outcome.worker_hours / _least(week) for week, outcome in zip(self.weeks, self.outcomes, strict=True)]

    @property
    def lates(self) -> list[float]:
        """Percent of the jobs that began late, week by week."""
        return [100 * outcome.waits.late_share for outcome in self.outcomes]

    @property
    def cost(self) -> float:
        """The same over all weeks."""
        return sum(each.worker_hours for each in self.outcomes) / sum(_least(week) for week in self.weeks)

    @property
    def late(self) -> float:
        """The same over all weeks."""
        return 100 * sum(each.waits.late for each in self.outcomes) / sum(each.waits.jobs for each in self.outcomes)

    def mean(self, what: Callable[[Outcome], float]) -> float:
        """A figure, in the mean of the weeks."""
        return float(np.mean([what(each) for each in self.outcomes]))


def _least(week: Week) -> float:
    return float(week.arrivals[WARM_UP : WARM_UP + WEEK].sum()) * BUSY_MINUTES / 60


Cells = dict[tuple[str, str, int, str], Cell]  # trace, kind of week, start-up, rule


def measured(weeks: Sequence[Week], startups: Sequence[int], names: Sequence[str]) -> Cells:
    """Every rule on every lane."""
    lanes = [(week, startup) for week in weeks for startup in startups]
    found: Cells = {}
    for name in names:
        held, spans = [week for week, _ in lanes], [startup for _, startup in lanes]
        outcomes = replayed(held, spans, rule_of(name, held, np.array(spans)))
        for (week, startup), outcome in zip(lanes, outcomes, strict=True):
            cell = found.setdefault((week.trace, week.label, startup, name), Cell([], []))
            cell.weeks.append(week)
            cell.outcomes.append(outcome)
    return found


# --- tables -----------------------------------------------------------------------------------------


def table(cells: Cells, kind: str, startup: int, traces: Sequence[str]) -> Iterator[str]:
    """One table: a row a trace and rule."""
    heads = (
        "trace | rule | cost | late % | p99 wait min | worker-hours | θ_U % | θ_O % | τ_U % | τ_O % | υ % | changes | ε"
    )
    yield f"| {heads} |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for trace, name in itertools.product(traces, RULES):
        cell = cells.get((trace, kind, startup, name))
        if cell is None:
            continue
        e = [outcome.elasticity for outcome in cell.outcomes]
        base = [outcome.elasticity for outcome in cells[trace, kind, startup, "reactive"].outcomes]
        figures = [np.mean([getattr(x, key) for x in e]) for key in ("under", "over", "under_time", "over_time")]
        epsilon = float(np.exp(np.mean([np.log(speedup(b, x)) for b, x in zip(base, e, strict=True)])))
        hours = cell.mean(lambda outcome: outcome.worker_hours)
        yield (
            f"| {trace} | {RULES[name]} | {cell.cost:.2f} | {cell.late:.2f} | {cell.mean(lambda o: o.waits.p99):.0f} "
            f"| {hours:,.0f} | " + " | ".join(f"{figure:,.1f}" for figure in figures) + f" | "
            f"{np.mean([x.instability for x in e]):.0f} | {np.mean([x.adaptations for x in e]):,.0f} | {epsilon:.2f} |"
        )


def short_table(cells: Cells, kind: str, trace: str) -> Iterator[str]:
    """Cost and late jobs, a row a start-up time, a column a rule."""
    names = [name for name in RULES if (trace, kind, STARTUPS[-1], name) in cells]
    yield f"| start-up | {' | '.join(RULES[name] for name in names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for startup in STARTUPS:
        found = [cells[trace, kind, startup, name] for name in names]
        yield f"| {startup} min | " + " | ".join(f"{cell.cost:.2f} · {cell.late:.2f}" for cell in found) + " |"


def against(cells: Cells, key: tuple[str, str, int], ours: str, peer: str) -> tuple[Difference, Difference]:
    """Cost and late jobs of ours less a peer's, paired over the weeks."""
    one, other = cells[(*key, ours)], cells[(*key, peer)]
    return paired(one.costs, other.costs), paired(one.lates, other.lates)


# --- verdicts ---------------------------------------------------------------------------------------


def judge(cells: Cells, report: Report, calendar: set[str]) -> None:
    """The lines of the proof, each trace and start-up time by itself; then how often ours was shown to be better."""
    better = {"cheaper": 0, "fewer late": 0, "worse": 0, "all": 0}
    for trace, kind, startup in sorted({key[:3] for key in cells if key[1] == "peak"}):
        ours = "with" if trace in calendar else "without"
        key, place = (trace, kind, startup), f"{trace}, {startup} min"
        is_slow = startup > TOLERATED_MINUTES
        for peer in PEERS if is_slow and trace in calendar else ("reactive",):
            cost, late = against(cells, key, ours, peer)
            better["all"] += 1
            better["cheaper"] += cost.high < 0
            better["fewer late"] += late.high < 0
            better["worse"] += cost.low > 0 or late.low > 0
            report.add(f"{place}: cost less {RULES[peer]}, low end", 0.0, cost.low, "× least")
            report.add(f"{place}: late less {RULES[peer]}, low end", 0.0, late.low, "points")
        if trace in calendar:
            perfect = cells[(*key, "perfect")].cost
            report.add(f"{place}: cost over perfect forecast", COST_MARGIN, cells[(*key, ours)].cost / perfect, "×")
        saved = 1 - cells[(*key, ours)].cost / cells[(*key, "peak")].cost
        report.add(f"{place}: cheaper than static peak", 100 * CHEAPER, 100 * saved, "%", at_least=True)
    report.say(
        f"of {better['all']} comparisons beyond noise: cheaper in {better['cheaper']}, fewer late in "
        f"{better['fewer late']}, dearer or more late in {better['worse']}"
    )


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.elasticity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--series", type=Path, help="a folder with the public series")
    parser.add_argument("--short", action="store_true", help="few weeks: a sample")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    report = Report()
    report.say("SIMULATED replays: minutes of jobs, workers that take time to start")
    found = list(platforms())
    if options.series:
        found += public(Path(options.series))
    else:
        report.say("without --series: the public series are left out")
    cells: Cells = {}
    lines, calendar = ["SIMULATED", ""], set[str]()
    for trace in found:
        weeks = weeks_of(trace, short=options.short)
        has_calendar = trace.booked is not None
        names = [name for name in RULES if has_calendar or name != "with"]
        peak = [week for week in weeks if week.label == "peak"]
        cells |= measured(peak, STARTUPS, names)
        cells |= measured([week for week in weeks if week.label == "quiet"], STARTUPS[-1:], names)
        if has_calendar:
            calendar.add(trace.name)
            bad = bad_weeks(peak, short=options.short)
            cells |= measured(bad, [BAD_STARTUP], [name for name in names if name not in ("mean", "perfect")])
            cells |= measured(peak, STARTUPS[-1:], [f"with@{quantile}" for quantile in QUANTILES])
        lines += [f"### {trace.name}, busy weeks", "", *short_table(cells, "peak", trace.name), ""]
        report.say(f"{trace.name}: replayed")
    lines += document(cells, [trace.name for trace in found], calendar)
    judge(cells, report, calendar)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "elasticity.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"rows": report.rows}, indent=2) + "\n", encoding="utf-8")
    return 0 if report.is_met else 1


def document(cells: Cells, traces: Sequence[str], calendar: set[str]) -> Iterator[str]:
    """The rest of the tables."""
    for kind, startup in (("peak", STARTUPS[-1]), ("quiet", STARTUPS[-1])):
        yield from (f"### All metrics, {kind} weeks, start-up {startup} minutes", "")
        yield from (*table(cells, kind, startup, traces), "")
    for kind in ("cancelled", "nobody booked", "burst × 3", "calendar dead", "spot wave"):
        yield from (f"### {kind}, start-up {BAD_STARTUP} minutes", "")
        yield from (*table(cells, kind, BAD_STARTUP, [name for name in traces if name in calendar]), "")
    yield from ("### What a higher quantile buys, start-up 60 minutes: cost · late %", "")
    yield f"| trace | {' | '.join(f'p{100 * quantile:.0f}' for quantile in QUANTILES)} |"
    yield "|---" * (len(QUANTILES) + 1) + "|"
    for trace in (name for name in traces if name in calendar):
        row = [cells[trace, "peak", STARTUPS[-1], f"with@{quantile}"] for quantile in QUANTILES]
        yield f"| {trace} | " + " | ".join(f"{cell.cost:.2f} · {cell.late:.2f}" for cell in row) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
