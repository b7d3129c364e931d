"""Text as values: cleaning, cutting, fitting, columns, bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screens.text import Column, Span, bar, cell_len, clean, columns_at, cut, fit, lay_out, line_of, percent, width_of

TEXTS = st.text(max_size=40)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("IMG_0042.CR3", "IMG_0042.CR3"),
        ("two\nlines", "two\\x0alines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("gpj.\u202ecod", "gpj.\\u202ecod"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
        ("Český Krumlov 結婚", "Český Krumlov 結婚"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(given: str, shown: str) -> None:
    assert clean(given) == shown


@given(TEXTS)
def test_clean_text_holds_nothing_to_obey(text: str) -> None:
    assert clean(text).isprintable()


@given(TEXTS, st.integers(0, 30), st.booleans())
def test_cut_text_never_takes_more_cells_than_it_may(text: str, width: int, keep_end: bool) -> None:
    assert cell_len(cut(clean(text), width, keep_end=keep_end)) <= width


def test_a_cut_path_keeps_its_end() -> None:
    assert cut("/card/DCIM/IMG_0042.CR3", 14, keep_end=True) == "…/IMG_0042.CR3"


def test_a_cut_name_keeps_its_start() -> None:
    assert cut("fitzgerald-macdonald", 12) == "fitzgerald-…"


@given(st.lists(TEXTS, max_size=4), st.integers(0, 40), st.booleans(), st.booleans())
def test_a_fitted_line_takes_exactly_its_cells(texts: list[str], width: int, right: bool, keep_end: bool) -> None:
    line = tuple(Span(clean(text)) for text in texts)
    assert width_of(fit(line, width, right=right, keep_end=keep_end)) == width


def test_roles_survive_fitting() -> None:
    line = fit(line_of(Span("▲ not yet", "warning"), "  and more words"), 14)
    assert line[0] == Span("▲ not yet", "warning")
    assert line[-1].text.endswith("…")


COLUMNS = (Column(10, 20), Column(8, from_width=40), Column(5, 60, from_width=60))


@pytest.mark.parametrize(("width", "sizes"), [(30, (20, 0, 0)), (40, (20, 8, 0)), (100, (20, 8, 60))])
def test_columns_come_and_grow_with_the_width(width: int, sizes: tuple[int, ...]) -> None:
    assert columns_at(COLUMNS, width) == sizes


@given(st.integers(0, 300))
def test_columns_fill_no_more_than_the_width_once_they_fit(width: int) -> None:
    sizes = columns_at(COLUMNS, width)
    line = lay_out([line_of("a"), line_of("b"), line_of("c")], COLUMNS, sizes)
    assert width_of(line) <= max(width, COLUMNS[0].width)


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "──────────"), (0.001, "╸─────────"), (0.5, "━━━━━─────"), (0.999, "━━━━━━━━━╸"), (1.0, "━━━━━━━━━━"),
     (None, "┄┄┄┄┄┄┄┄┄┄"), (7.0, "━━━━━━━━━━")],
)  # fmt: skip
def test_a_bar_shows_begun_as_begun_and_only_whole_as_whole(share: float | None, shown: str) -> None:
    assert "".join(span.text for span in bar(share, 10)) == shown


def test_a_percentage_is_never_rounded_up_to_done() -> None:
    assert [percent(share) for share in (0.0, 0.29, 0.9999, 1.0, 1.2)] == ["0 %", "29 %", "99 %", "100 %", "100 %"]
