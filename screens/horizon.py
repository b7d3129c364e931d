"""The chart of the Scaling screen: workers as they were and as they are forecast, the queue, and what stands below.

Pure. The columns of a chart are aligned to the clock, so that a curve moves as a whole. What is to the left of now was
recorded; what is to the right is a forecast. Drawing thread.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.base.units import format_count
from engine.contract.decisions import ScalingReport
from engine.contract.scaling import DecisionRow, ForecastPoint, ScalingPoint
from engine.contract.status import Status
from screens.text import Line, Role, Span, cut, fit
from screens.view import SECOND_NS, day_words, now_ns
from screens.widgets.plot import Frame, Series, Symbols, Values, label_cells

HOUR_NS = 3_600 * SECOND_NS


class Window(NamedTuple):
    """Hours that a chart shows."""

    back: int
    ahead: int

    def frame(self, format: Callable[[float], str], symbols: Symbols) -> Frame:
        """Of a chart of it."""
        return Frame(format, self.back * 3_600.0, symbols, self.ahead * 3_600.0)


WINDOWS = (Window(3, 3), Window(12, 24), Window(24, 48), Window(72, 48))
USUAL = 2  # of the windows


class Columns(NamedTuple):
    """The columns of a chart: when the first begins, how long each is, how many are over (the current one is)."""

    begin_ns: int
    step_ns: int
    cells: int
    past: int

    @classmethod
    def of(cls, window: Window, *, now: int, count: int) -> Columns:
        """So many columns of a window."""
        step = max(1, (window.back + window.ahead) * HOUR_NS // max(1, count))
        past = window.frame(str, "ascii").now_at(count)
        return cls((now // step + 1 - past) * step, step, count, past)

    def at(self, time_ns: int) -> int:
        """The column of a moment; it may lie outside."""
        return (time_ns - self.begin_ns) // self.step_ns


def whole(value: float) -> str:
    """A number of workers or jobs."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def workers(report: ScalingReport, columns: Columns) -> tuple[Series, ...]:
    """Workers (filled), the target (line), and the forecast with its band, where there is one."""
    recorded = (
        Series(report.of, "stored", "area", held(report.timeline, lambda point: point.workers, columns)),
        Series("target", "read", "line", held(report.timeline, lambda point: point.target, columns)),
    )
    if not report.forecast:
        return recorded
    return (
        *recorded,
        Series("band from", "dim", "dots", ahead(report.forecast, lambda point: point.low, columns)),
        Series("to", "dim", "dots", ahead(report.forecast, lambda point: point.high, columns)),
        Series("forecast", "restored", "line", ahead(report.forecast, lambda point: point.middle, columns)),
    )


def queue(report: ScalingReport, columns: Columns) -> tuple[Series, ...]:
    """Jobs that waited."""
    return (Series("jobs queued", "read", "area", held(report.timeline, lambda point: point.queued_jobs, columns)),)


Source = Callable[[ScalingReport, Columns], tuple[Series, ...]]


def held(points: Sequence[ScalingPoint], read: Callable[[ScalingPoint], float], columns: Columns) -> Values:
    """The most in each column that is over; a point holds until the next, and before the first nothing is known."""
    most: dict[int, float] = {}
    known: float | None = None
    last: dict[int, float] = {}
    for point in points:
        at = columns.at(point.time_ns)
        if at < 0:
            known = read(point)
        else:
            most[at] = max(most.get(at, 0.0), read(point))
            last[at] = read(point)
    values: list[float | None] = []
    for at in range(columns.past):
        before, known = known, last.get(at, known)
        values.append(max(most[at], before or 0.0) if at in most else known)
    return values + [None] * (columns.cells - columns.past)


def ahead(points: Sequence[ForecastPoint], read: Callable[[ForecastPoint], float], columns: Columns) -> Values:
    """What is forecast for each column to come; beyond the last step nothing is."""
    values: list[float | None] = [None] * columns.cells
    step = points[1].time_ns - points[0].time_ns if len(points) > 1 else HOUR_NS
    for point in points:
        first = max(columns.past, columns.at(point.time_ns))
        for at in range(first, min(columns.cells, columns.at(point.time_ns + step - 1) + 1)):
            values[at] = read(point)
    return values


# --- what stands below the charts ---------------------------------------------------------------------


def mark_lines(status: Status, decisions: Sequence[DecisionRow], window: Window, width: int) -> tuple[Line, ...]:
    """Two lines in step with the charts above: where the number was changed, and the weddings of each day."""
    label = label_cells(width)
    columns = Columns.of(window, now=now_ns(status), count=max(1, width - label))
    changes = [(columns.at(row.time_ns), *decision_mark(row)) for row in decisions]
    return (
        fit((Span(_labelled("changes", label), "dim"), *_placed(changes, columns.cells)), width),
        fit((Span(_labelled("weddings", label), "dim"), *_placed(_days(status, columns), columns.cells)), width),
    )


def decision_mark(row: DecisionRow) -> tuple[str, Role]:
    """Up, down or as it was; a bound that was reached, or an emergency, stands out."""
    mark = "↑" if row.target > row.workers else "↓" if row.target < row.workers else "·"
    return mark, "warning" if row.emergency or row.ceiling_reached or row.budget_reached else "accent"


def _labelled(words: str, width: int) -> str:
    return f"{words[: width - 1]:>{width - 1}} " if width else ""


def _days(status: Status, columns: Columns) -> list[tuple[int, str, Role]]:
    """The weddings of each day, from where the day begins (UTC), in as many words as there is room for."""
    today = dt.datetime.fromtimestamp(now_ns(status) // SECOND_NS, tz=dt.UTC).date()
    counts = Counter(row.date for row in status.weddings if not row.archived)
    found: list[tuple[int, str, Role]] = []
    for day in sorted(counts):
        begin = round(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp()) * SECOND_NS
        first, end = columns.at(begin), columns.at(begin + 24 * HOUR_NS)
        room = min(end, columns.cells) - max(0, first) - 1
        if end <= 0 or first >= columns.cells or room < 1:
            continue
        name = day_words(day, (day - today).days)
        forms = (f"|{name}: {format_count(counts[day], 'wedding')}", f"|{name}: {counts[day]}", f"|{counts[day]}")
        words = next((form for form in forms if len(form) <= room), "|")
        found.append((max(0, first), words, "strong" if day == today else "plain"))
    return found


def _placed(words: Sequence[tuple[int, str, Role]], width: int) -> Line:
    """Words at their places; where two meet, the later goes over the earlier."""
    cells: list[tuple[str, Role]] = [(" ", "dim")] * width
    for at, text, role in words:
        if 0 <= at < width:
            for offset, letter in enumerate(cut(text, width - at)):
                cells[at + offset] = (letter, role)
    return tuple(Span(letter, role) for letter, role in cells)
