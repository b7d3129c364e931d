"""What the Scaling screen says in words: workers now, why, what was decided, whether all is ready, what it costs.

Pure, like `stores`: a status document and the answers of the engine in, lines out. What is forecast or worked out ahead
says PROJECTED, what rests on set figures ESTIMATE; what is not known says why, and what would tell. Drawing thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.base.units import format_count, format_rate, format_span
from engine.contract.costs import CostLine, CostReport
from engine.contract.decisions import ScalingReport, WorkerGroup
from engine.contract.readying import ReadinessReport
from engine.contract.scaling import DecisionRow
from engine.contract.status import Status
from screens.gauges import Labelled, until_words
from screens.horizon import decision_mark
from screens.stores import Cell, heading, remark, table
from screens.text import Column, Line, Span, beside, clean, fit, line_of
from screens.view import SECOND_NS, clock, day_words, now_ns


class Answers(NamedTuple):
    """What the engine has answered; None until it has. `problems` says why not, by the name of the part."""

    scaling: ScalingReport | None = None
    cost: CostReport | None = None
    readiness: ReadinessReport | None = None
    problems: tuple[tuple[str, str], ...] = ()


Part = Callable[[Status, Answers, int], tuple[Line, ...]]

DECISIONS_SHOWN = 20
_LABEL = 9
_GROUPS = (
    Column(14), Column(5, right=True), Column(8, right=True), Column(7, right=True), Column(11, right=True),
    Column(8, 24, from_width=64), Column(9, right=True),
)  # fmt: skip
_GROUP_HEADS = ("class", "ready", "starting", "leaving", "at work", "", "an hour")
_DECISIONS = (
    Column(1), Column(14, 16), Column(9, right=True), Column(8, right=True, from_width=100),
    Column(8, right=True, from_width=100), Column(9, right=True, from_width=72), Column(24, 150),
)  # fmt: skip
_DECISION_HEADS = ("", "when, UTC", "workers", "reserved", "spot", "in force", "why")
_BILL = (Column(14, 26), Column(11, right=True), Column(20, 90))
_CHECKS = (Column(1), Column(10, 14), Column(30, 150))


def price(amount: float) -> str:
    """Money, small amounts to a tenth of a cent."""
    return f"{amount:,.2f}" if amount >= 1 or not amount else f"{amount:.3f}"


# --- now ------------------------------------------------------------------------------------------------


def now_lines(status: Status, answers: Answers, width: int) -> tuple[Line, ...]:
    """How many there are and are to be, by whose word and why; what is needed, and what comes next."""
    scaling, report = status.auto_scaling, answers.scaling
    if report is None:
        return (_waiting("Now", "scaling", answers, width),)
    how = {"manual": "by hand", "auto": "as the need is", "default": "by default"}[report.by]
    until = f" until {until_words(scaling.until_ns)} UTC" if scaling.until_ns is not None else ""
    going = f", going to {report.target:,}" if report.target != report.workers else ""
    lines = [heading("Now", f"{format_count(report.workers, report.of[:-1])}{going}, {how}{until}", width)]
    lines += _labelled("why", report.reason, width)
    need = f"{report.need_queue:,} for the queue, {report.need_forecast:,} for what is forecast"
    lines.append(
        Labelled(
            "need", line_of(need, Span(f"; never fewer than {report.floor:,} or more than {report.ceiling:,}", "dim"))
        ).at(width, _LABEL)
    )
    lines += _labelled("season", report.season, width)
    lines.append(Labelled("measured", line_of(_measured(report))).at(width, _LABEL))
    lines += _labelled("next", report.launch, width)
    lines += _labelled("upkeep", report.upkeep, width)
    lines += _labelled("forecast", report.forecast_basis if report.forecast else _no_forecast(report), width)
    if report.shortfall:
        lines.append(fit(line_of(Span(f"▲ {clean(report.shortfall)}", "warning")), width))
    return tuple(lines)


def _measured(report: ScalingReport) -> str:
    one = report.of[:-1]
    rate = f"{format_rate(report.rate_bytes_per_s)} a {one}" if report.rate_bytes_per_s else f"no rate of a {one} yet"
    if report.of == "streams":
        return rate
    return f"{rate}, {start_words(report)}"


def start_words(report: ScalingReport) -> str:
    """How long a node takes to start."""
    if not report.startup_p95_s:
        return "no start-up yet"
    return f"ready {format_span(report.startup_p95_s)} after it is asked for (p95)"


def _no_forecast(report: ScalingReport) -> str:
    if not report.forecast_basis:
        return "none yet: it is made from the demand that was seen here (docs/forecasting.md)"
    return f"{report.forecast_basis}; in workers once a rate was measured: back something up"


def _labelled(label: str, words: str, width: int) -> list[Line]:
    if not words:
        return []
    return list(beside((Span(label.ljust(_LABEL), "dim"),), Span(clean(words)), width))


# --- workers by class -----------------------------------------------------------------------------------


def group_lines(status: Status, answers: Answers, width: int) -> tuple[Line, ...]:
    """Own streams, reserved and spot nodes: ready, starting, leaving, at work, and what an hour of them costs."""
    report = answers.scaling
    if report is None:
        return ()
    priced = [(group.ready + group.starting + group.draining) * (group.price_hour or 0.0) for group in report.groups]
    more = f"{price(sum(priced))} an hour" if report.worker_hour is not None else "worker_hour has no price"
    rows = (_group_cells(group) for group in report.groups)
    return (heading("Workers", more, width), *table(_GROUPS, _GROUP_HEADS, rows, width))


_CLASS_WORDS = {"stream": "own streams", "reserved": "reserved nodes", "spot": "spot nodes"}


def _group_cells(group: WorkerGroup) -> tuple[Cell, ...]:
    there = group.ready + group.starting + group.draining
    return (
        Span(_CLASS_WORDS[group.worker_class], "strong" if there else "dim"),
        *(Span(f"{count:,}" if count else "–", "plain" if count else "dim")
          for count in (group.ready, group.starting, group.draining)),
        Span(f"{group.running:,} of {group.slots:,}" if group.slots else "–", "plain" if group.slots else "dim"),
        group.running / group.slots if group.slots else Span(""),
        Span(price(there * group.price_hour) if group.price_hour is not None and there else "–", "dim"),
    )  # fmt: skip


# --- decisions ------------------------------------------------------------------------------------------


def decision_lines(status: Status, answers: Answers, width: int) -> tuple[Line, ...]:
    """What was decided and why, newest first."""
    report = answers.scaling
    if report is None:
        return ()
    if not report.decisions:
        words = "None in this time: config set scaling.mode auto decides, or c sets the number by hand."
        return (heading("Decisions", "", width), remark(words, width))
    shown = report.decisions[:DECISIONS_SHOWN]
    head = heading("Decisions", f"the newest {len(shown)}, marked above", width)
    today = _date(now_ns(status))
    return (head, *table(_DECISIONS, _DECISION_HEADS, (_decision_cells(row, today) for row in shown), width))


def _decision_cells(row: DecisionRow, today: dt.date) -> tuple[Cell, ...]:
    mark, role = decision_mark(row)
    day = _date(row.time_ns)
    when = clock(row.time_ns) if day == today else f"{day_words(day, (day - today).days)} {clock(row.time_ns)[:5]}"
    wait_s = max(0, row.effective_ns - row.time_ns) / SECOND_NS
    return (
        Span(mark, role),
        Span(when, "dim"),
        Span(f"{row.workers:,} → {row.target:,}"),
        Span(f"{row.reserved:,}", "dim"),
        Span(f"{row.spot:,}", "dim"),
        Span(f"in {format_span(wait_s)}" if wait_s >= 1 else "at once", "dim"),
        Span(clean(row.reason), role if role == "warning" else "plain"),
    )


def _date(ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(ns // SECOND_NS, tz=dt.UTC).date()


# --- ready ----------------------------------------------------------------------------------------------


def readiness_lines(status: Status, answers: Answers, width: int) -> tuple[Line, ...]:
    """Go or no-go for the next day with weddings, and each check that is not well."""
    found = answers.readiness
    if found is None:
        return (_waiting("Ready", "readiness", answers, width),)
    lines = [
        heading("Ready", f"for the next day with weddings, {found.day}", width),
        *beside((), Span(clean(found.line), "ok" if found.go else "critical"), width),
    ]
    if found.frozen_until:
        lines.append(remark(f"prune and migrate wait until {found.frozen_until}", width))
    if unwell := [check for check in found.checks if check.verdict != "ok"]:
        rows = [
            (
                Span("✗", "critical") if check.verdict == "stop" else Span("▲", "warning"),
                Span(clean(check.check)),
                Span(clean(check.message), "dim"),
            )
            for check in unwell
        ]
        lines += table(_CHECKS, ("", "", ""), rows, width)[1:]
    return tuple(lines)


# --- cost -----------------------------------------------------------------------------------------------


def cost_lines(status: Status, answers: Answers, width: int) -> tuple[Line, ...]:
    """This month's bill so far, what it will come to, what was saved; what has no price says so."""
    found = answers.cost
    if found is None:
        return (_waiting("Cost", "cost", answers, width),)
    counted = f", counted for {format_span(found.counted_hours * 3_600)}" if found.counted_hours else ""
    lines = [heading("Cost", f"{found.month}: {price(found.total)} so far{counted}", width)]
    for month in found.ahead:
        words = f"PROJECTED {price(month.amount)} for all of {month.month}"
        lines.append(fit((Span(words, "strong"), Span(f"  {clean(month.arithmetic)}", "dim")), width))
    lines += _bill("", found.lines_of_bill, width)
    if found.saved:
        total = sum(line.amount for line in found.saved)
        lines.append(fit((Span(f"saved {price(total)}", "ok"), Span("  each against doing without", "dim")), width))
        lines += _bill("", found.saved, width)
    if found.estimated_kwh is not None:
        carbon = f", {found.estimated_gco2e / 1000:,.1f} kg CO2e" if found.estimated_gco2e is not None else ""
        words = f"ESTIMATE {found.estimated_kwh:,.1f} kWh{carbon}, by the watts and grid that are set"
        lines.append(remark(words, width))
    for note in found.notes:
        lines += beside((), Span(clean(note), "dim"), width)
    return tuple(lines)


def _bill(title: str, rows: Sequence[CostLine], width: int) -> tuple[Line, ...]:
    cells = [(Span(clean(row.what)), Span(price(row.amount)), Span(clean(row.arithmetic), "dim")) for row in rows]
    return table(_BILL, (title, "", ""), cells, width)[1:]


def _waiting(name: str, part: str, answers: Answers, width: int) -> Line:
    problem = dict(answers.problems).get(part, "")
    if problem:
        return fit((*heading(name, "", len(name)), Span(f"  ✗ {clean(problem)}", "critical")), width)
    return heading(name, "asking …", width)


# --- before a number is sent ----------------------------------------------------------------------------


def change_lines(report: ScalingReport | None, target: str, until: str) -> tuple[Line, ...]:
    """What another number costs and when it takes effect, in two lines; empty words where no number is written yet."""
    if report is None:
        return (line_of(Span("asking what a change costs …", "dim")), ())
    ends = "until that is over" if until else "until it is changed again"
    if target == "auto":
        mode = "as the need is (scaling.mode auto)" if report.mode == "auto" else "by default (scaling.mode manual)"
        return (line_of(f"The number goes back: {mode}."), line_of(Span("In force at once.", "dim")))
    if not (target.isascii() and target.isdigit()):
        now = format_count(report.workers, report.of[:-1])
        return (line_of(Span(f"{now} now; write a number, or auto.", "dim")), ())
    more, one = int(target) - report.workers, report.worker_hour
    if one is None:
        cost = line_of(Span("What it costs is not known: worker_hour has no price (docs/costs.md).", "dim"))
    else:
        words = f"{price(abs(more) * one)} {'more' if more >= 0 else 'less'} an hour"
        whole = f": {price(int(target) * one)} for all, at {price(one)} each; {ends}"
        cost = line_of(Span(words, "strong"), Span(whole, "dim"))
    return (cost, line_of(Span(_effect(report, more), "dim")))


def _effect(report: ScalingReport, more: int) -> str:
    words = f"{format_count(abs(more), report.of[:-1])} {'more' if more > 0 else 'fewer'} than now"
    if not more:
        return f"There are {report.workers:,} now: it stays so."
    if more < 0:
        return f"{words}: each ends what it has begun, and no job is disturbed."
    if report.of == "streams":
        return f"{words}, at work within a second."
    if report.startup_p95_s:
        return f"{words}, ready in about {format_span(report.startup_p95_s)} (p95, measured)."
    return f"{words}; how long one takes to start was not measured yet."
