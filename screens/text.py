"""Text as values: spans with a role, cut and padded to terminal cells.

In: strings of any kind (paths included). Out: `Line`s that widgets draw without ever parsing them, so that a
file name can neither be read as markup nor send the terminal a control character. A role is a meaning, not a
colour; the theme colours it, and a word or glyph always says the same. No screen library is loaded, for people
without a screen are served from here, too. Pure; any thread.
"""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

Role = Literal[
    "plain", "strong", "dim", "ok", "warning", "critical", "accent", "bar", "rail",
    "read", "stored", "restored", "p50", "p95", "p99",
]  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)

GAP = 2  # cells between columns


class Span(NamedTuple):
    """A piece of text and what it means."""

    text: str
    role: Role = "plain"


Line = tuple[Span, ...]


class Row(NamedTuple):
    """A line of a list, with the key of the thing it shows."""

    key: str
    line: Line


class Column(NamedTuple):
    """One column: at least `width` cells, growing up to `most`, shown when the whole has `from_width` cells."""

    width: int
    most: int = 0
    from_width: int = 0
    right: bool = False
    keep_end: bool = False


def clean(text: str) -> str:
    """`text` with everything a terminal would obey or hide written out: newline as `\\x0a`, a lone byte as `\\xe9`."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(ord(character)) for character in text)


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode carries it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cell_len(text: str) -> int:
    """Cells a terminal gives `text`: two for a wide letter, none for a mark over another."""
    return len(text) if text.isascii() else _measured(text)


@functools.lru_cache(4096)
def _measured(text: str) -> int:
    return sum(_cells_of(letter) for letter in text)


@functools.lru_cache(4096)
def _cells_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int, *, keep_end: bool = False) -> str:
    """`text` in at most `width` cells; what is lost shows as `…`, at the end or, with `keep_end`, at the start."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[: max(0, width)]
    if not keep_end:
        head = text[: width - 1]
        while cell_len(head) > width - 1:
            head = head[:-1]
        return head.rstrip() + "…"
    tail = text
    while cell_len(tail) > width - 1:
        tail = tail[max(1, (cell_len(tail) - width + 1) // 2) :]
    return f"…{tail}"


def line_of(*parts: Span | str) -> Line:
    """A line from spans and plain strings."""
    return tuple(part if isinstance(part, Span) else Span(part) for part in parts)


def width_of(line: Iterable[Span]) -> int:
    """Cells the line takes."""
    return sum(cell_len(span.text) for span in line)


def fit(line: Line, width: int, *, right: bool = False, keep_end: bool = False) -> Line:
    """The line in exactly `width` cells: cut, or padded with spaces."""
    spare = width - width_of(line)
    if spare > 0:
        padding = Span(" " * spare)
        return (padding, *line) if right else (*line, padding)
    if spare == 0:
        return line
    if keep_end and len(line) == 1:
        span = line[0]
        short = cut(span.text, width, keep_end=True)
        return fit((Span(short, span.role),), width) if cell_len(short) < width else (Span(short, span.role),)
    kept: list[Span] = []
    for span in line:
        size = cell_len(span.text)
        if size < width or (size == width and span is line[-1]):
            kept.append(span)
            width -= size
            continue
        short = cut(span.text + " ", width) if size == width else cut(span.text, width)
        kept.append(Span(short + " " * (width - cell_len(short)), span.role))
        break
    return tuple(kept)


def beside(first: Line, words: Span, width: int) -> tuple[Line, ...]:
    """`words` to the right of `first`, in as many lines of `width` cells as they need, so that none is lost."""
    indent = width_of(first)
    lines = textwrap.wrap(words.text, max(16, width - indent)) or [""]
    below = Span(" " * indent)
    return tuple(
        fit((*(first if index == 0 else (below,)), Span(line, words.role)), width) for index, line in enumerate(lines)
    )


def columns_at(columns: Sequence[Column], width: int) -> tuple[int, ...]:
    """Cells of each column in a whole of `width`; 0 for one that is not shown. What does not fit goes, last first."""
    sizes = [column.width if width >= column.from_width else 0 for column in columns]
    spare = width - sum(sizes) - GAP * max(0, sum(size > 0 for size in sizes) - 1)
    for index in range(len(sizes) - 1, 0, -1):
        if spare < 0 and sizes[index]:
            spare += sizes[index] + GAP
            sizes[index] = 0
    growing = [index for index, column in enumerate(columns) if sizes[index] and column.most > column.width]
    while spare > 0 and growing:
        share = max(1, spare // len(growing))
        for index in tuple(growing):
            step = min(share, columns[index].most - sizes[index], spare)
            sizes[index] += step
            spare -= step
            if sizes[index] >= columns[index].most:
                growing.remove(index)
    return tuple(sizes)


def lay_out(cells: Sequence[Line], columns: Sequence[Column], sizes: Sequence[int]) -> Line:
    """One line of cells at the sizes that `columns_at` gave."""
    spans: list[Span] = []
    for cell, column, size in zip(cells, columns, sizes, strict=True):
        if not size:
            continue
        if spans:
            spans.append(Span(" " * GAP))
        spans.extend(fit(cell, size, right=column.right, keep_end=column.keep_end))
    return tuple(spans)


def bar(share: float | None, width: int) -> Line:
    """A progress bar, exact to half a cell; of an unknown share, an open rail."""
    if width <= 0:
        return ()
    if share is None:
        return (Span("┄" * width, "rail"),)
    halves = round(min(1.0, max(0.0, share)) * width * 2)
    if 0 < share < 1:  # begun must show as begun, and only what is whole may look whole
        halves = min(max(halves, 1), width * 2 - 1)
    whole, half = divmod(halves, 2)
    done = "━" * whole + "╸" * half
    rest = "─" * (width - whole - half)
    return tuple(span for span in (Span(done, "bar"), Span(rest, "rail")) if span.text)


def rail_with(words: str, width: int) -> Line:
    """The open rail of an unknown share, with what is known in it."""
    if width < cell_len(words) + 4:
        return bar(None, width)
    return (Span("┄ ", "rail"), Span(words), Span(f" {'┄' * (width - cell_len(words) - 3)}", "rail"))


def percent(share: float) -> str:
    """`0.426` → `"42 %"`; never `100 %` before it is whole."""
    return f"{min(100, int(max(0.0, share) * 100 + 1e-9))} %"
