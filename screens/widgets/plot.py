"""Plots as text: series of numbers in, lines of cells out.

Three ways to draw, by what the terminal can show: braille (2 × 4 dots a cell), blocks, and ASCII. Series are
told apart without colour, too: the first is filled, the second a line, the third dotted. Pure; no numpy, and
one span a change of role, so that a frame costs a few milliseconds and few bytes over SSH. Drawing thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from screens.text import Line, Role, Span, cut, fit

Symbols = Literal["braille", "block", "ascii"]
Shape = Literal["area", "line", "dots"]
Values = Sequence[float | None]


class Series(NamedTuple):
    """One series. `values` are oldest first; None is a gap."""

    name: str
    role: Role
    shape: Shape
    values: Values


LABEL_WIDTH = 9  # "300 MB/s" and a blank

# Dots of a braille cell, from the bottom up, in the left and in the right column (Unicode 28xx).
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
_FILLS = tuple(tuple(sum(column[:count]) for count in range(5)) for column in _DOTS)
_ROUND = (1, 2, 3, 4, 5, 6, 8, 10)
_BLOCKS = " ▁▂▃▄▅▆▇█"
LEGEND_MARK: dict[Symbols, dict[Shape, str]] = {
    "braille": {"area": "⣿", "line": "⠒", "dots": "⠂"},
    "block": {"area": "█", "line": "━", "dots": "·"},
    "ascii": {"area": "#", "line": "-", "dots": "."},
}


def samples_per_cell(symbols: Symbols) -> int:
    """Values that stand side by side in one cell."""
    return 2 if symbols == "braille" else 1


def nice_top(peak: float) -> float:
    """The end of the axis: the least round figure that `peak` does not pass. 1 for nothing at all."""
    if peak <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(peak))
    return next(step * power for step in _ROUND if step * power >= peak * 0.999999)


def raster(series: Sequence[Series], width: int, height: int, *, top: float, symbols: Symbols) -> tuple[Line, ...]:
    """`height` lines of `width` cells, topmost first. A later series lies over an earlier one."""
    if width <= 0 or height <= 0:
        return ()
    if symbols == "braille":
        return _braille(series, width, height, top)
    return _cells(series, width, height, top, symbols)


def _braille(series: Sequence[Series], width: int, height: int, top: float) -> tuple[Line, ...]:
    bits = [[0] * width for _ in range(height)]
    roles: list[list[Role]] = [["plain"] * width for _ in range(height)]
    steps = height * 4
    for one in series:
        draw = _DRAW[one.shape]
        before: int | None = None
        for x, value in enumerate(one.values[-width * 2 :], start=max(0, width * 2 - len(one.values))):
            level = None if value is None else min(steps, math.ceil(value / top * steps - 1e-9))
            low, high = draw(level, before, x)
            before = level
            if high <= low:
                continue
            cell, side = divmod(x, 2)
            for row in range(low // 4, (high + 3) // 4):
                fills = _FILLS[side]
                mask = fills[min(4, high - row * 4)] & ~fills[max(0, low - row * 4)]
                bits[height - 1 - row][cell] |= mask
                roles[height - 1 - row][cell] = one.role
    return tuple(
        _runs([chr(0x2800 + mask) if mask else " " for mask in row], of) for row, of in zip(bits, roles, strict=True)
    )


def _area(level: int | None, before: int | None, x: int) -> tuple[int, int]:
    return (0, level or 0)


def _line(level: int | None, before: int | None, x: int) -> tuple[int, int]:
    if not level and not before:
        return (0, 0)
    if level is None:
        return (0, 0)
    top, start = max(level, 1), max(level if before is None else before, 1)
    return (min(top - 1, start), max(top, start - 1))


def _dots(level: int | None, before: int | None, x: int) -> tuple[int, int]:
    return (level - 1, level) if level and x % 2 == 0 else (0, 0)


_DRAW: dict[Shape, Callable[[int | None, int | None, int], tuple[int, int]]] = {
    "area": _area, "line": _line, "dots": _dots,
}  # fmt: skip


def _cells(series: Sequence[Series], width: int, height: int, top: float, symbols: Symbols) -> tuple[Line, ...]:
    rows = [[" "] * width for _ in range(height)]
    roles: list[list[Role]] = [["plain"] * width for _ in range(height)]
    for one in series:
        mark = LEGEND_MARK[symbols][one.shape]
        for x, value in enumerate(one.values[-width:], start=max(0, width - len(one.values))):
            if not value:
                continue
            eighths = min(height * 8, max(1, math.ceil(value / top * height * 8 - 1e-9)))
            head = (eighths - 1) // 8
            if one.shape == "area":
                for row in range(head):
                    rows[height - 1 - row][x], roles[height - 1 - row][x] = mark, one.role
                part = _BLOCKS[eighths - head * 8] if symbols == "block" else "#" if eighths - head * 8 > 4 else ":"
                rows[height - 1 - head][x], roles[height - 1 - head][x] = part, one.role
            elif one.shape == "line" or x % 2 == 0:
                rows[height - 1 - head][x], roles[height - 1 - head][x] = mark, one.role
    return tuple(_runs(row, of) for row, of in zip(rows, roles, strict=True))


def _runs(characters: Sequence[str], roles: Sequence[Role]) -> Line:
    """Neighbours of one role as one span; blanks join whatever they follow."""
    spans: list[Span] = []
    start = 0
    current: Role = roles[0]
    for index, character in enumerate(characters):
        if character != " " and roles[index] != current:
            if index > start:
                spans.append(Span("".join(characters[start:index]), current))
            start, current = index, roles[index]
    spans.append(Span("".join(characters[start:]), current))
    return tuple(spans)


# --- a whole chart: plot, axes, legend ----------------------------------------------------------------


class Frame(NamedTuple):
    """What a chart shows around its series."""

    format: Callable[[float], str]
    window_s: float
    symbols: Symbols = "braille"
    ahead_s: float = 0.0  # what it shows of the time to come

    def now_at(self, cells: int) -> int:
        """Where, among so many cells or samples, what is to come begins."""
        return round(cells * self.window_s / (self.window_s + self.ahead_s))


def label_cells(width: int) -> int:
    """Cells that the labels of the axis and the axis itself take of a chart; none of a narrow one."""
    return LABEL_WIDTH + 1 if width >= LABEL_WIDTH * 4 else 0


def window_words(seconds: float) -> str:
    """`2 min`, `2.5 min`, `30 s`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % (size // 2) == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:.0f} s"


def chart(series: Sequence[Series], frame: Frame, width: int, height: int) -> tuple[Line, ...]:
    """Plot with axes and a legend, in exactly `height` lines of `width` cells. Small ones lose axis, then legend."""
    legend_lines = 1 if height >= 3 else 0
    axis_lines = 1 if height >= 5 else 0
    rows = height - legend_lines - axis_lines
    label_width = max(0, label_cells(width) - 1)
    plot_width = max(0, width - label_cells(width))
    known = [value for one in series for value in one.values if value is not None]
    top = nice_top(max(known, default=0.0))
    plot = raster(series, plot_width, rows, top=top, symbols=frame.symbols)
    labels = {0: frame.format(top) if known and max(known) > 0 else "", rows - 1: "0"}
    if rows >= 4 and rows % 2 == 0 and labels[0]:
        labels[rows // 2] = frame.format(top / 2)
    lines = [fit(_beside(labels.get(index, ""), line, label_width), width) for index, line in enumerate(plot)]
    if axis_lines:
        lines.append(fit(_time_axis(plot_width, frame, label_width), width))
    if legend_lines:
        lines.append(fit(legend(series, frame, width), width))
    return tuple(lines)


def _beside(label: str, line: Line, label_width: int) -> Line:
    if not label_width:
        return line
    return (Span(f"{cut(label, label_width):>{label_width}}", "dim"), Span("│" if not label else "┤", "rail"), *line)


def _time_axis(width: int, frame: Frame, label_width: int) -> Line:
    """`-2 min`, half of it where there is room, `now`, and what lies ahead, each under its moment."""
    marks = [" "] * width
    now = frame.now_at(width)
    places = [("now", max(0, now - 3)), (f"-{window_words(frame.window_s)}", 0)]
    if frame.ahead_s:
        ahead = f"+{window_words(frame.ahead_s)}"
        places.append((ahead, width - len(ahead)))
    for begin, end, half in ((0, now, -frame.window_s / 2), (now, width, frame.ahead_s / 2)):
        if half and end - begin >= 44:
            words = f"{'-' if half < 0 else '+'}{window_words(abs(half))}"
            places.append((words, begin + (end - begin - len(words)) // 2))
    for words, start in places:
        if 0 <= start <= width - len(words):
            marks[start : start + len(words)] = words
    return (Span(" " * (label_width + (label_width > 0))), Span("".join(marks), "dim"))


def legend(series: Sequence[Series], frame: Frame, width: int) -> Line:
    """Each series with its mark, and now, average and peak of the window.

    Where room is short it loses the averages, then the peaks, then the series that are zero.
    """
    spans: list[Span] = []
    for detail in (2, 1, 0, -1):
        spans = []
        for one in series:
            known = [value for value in one.values if value is not None]
            if detail < 0 and not any(known):
                continue
            now = _value_now(one.values, frame)
            spans.append(Span(f"  {LEGEND_MARK[frame.symbols][one.shape]} {one.name} ", one.role))
            spans.append(Span(frame.format(now)))
            if detail == 2:
                spans.append(Span(f" avg {frame.format(sum(known) / len(known) if known else 0.0)}", "dim"))
            if detail >= 1:
                spans.append(Span(f" peak {frame.format(max(known, default=0.0))}", "dim"))
        if sum(len(span.text) for span in spans) - 2 <= width:
            break
    first = Span(spans[0].text[2:], spans[0].role) if spans else Span("")
    return (first, *spans[1:])


def _value_now(values: Values, frame: Frame) -> float:
    """The newest value that is not to come; of a series that is all to come, its first."""
    at = frame.now_at(len(values))
    past = next((value for value in reversed(values[:at]) if value is not None), None)
    return past if past is not None else next((value for value in values[at:] if value is not None), 0.0)
