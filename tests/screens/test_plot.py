"""Plots as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.units import format_rate
from screens.text import Line, width_of
from screens.widgets.plot import Frame, Series, Shape, Symbols, chart, legend, nice_top, raster, samples_per_cell

VALUES = st.lists(st.none() | st.floats(0, 1e12, allow_nan=False), max_size=120)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def drawn(
    values: list[float | None], *, shape: Shape = "area", symbols: Symbols = "braille", height: int = 1
) -> list[str]:
    series = Series("read", "read", shape, values)
    width = -(-len(values) // samples_per_cell(symbols))
    return [text_of(line) for line in raster([series], width, height, top=4.0, symbols=symbols)]


def test_an_area_is_filled_from_the_ground() -> None:
    assert drawn([0, 1, 2, 3, 4, 4]) == ["⢀⣴⣿"]


def test_a_line_joins_its_neighbours() -> None:
    assert drawn([4, 4, 1, 1, 4, 4], shape="line") == ["⠉⣆⠏"]


def test_dots_leave_every_other_column_out() -> None:
    assert drawn([4, 4, 4, 4], shape="dots") == ["⠁⠁"]


def test_a_gap_is_left_empty() -> None:
    assert drawn([4, 4, None, None, 4, 4]) == ["⣿ ⣿"]


def test_values_grow_into_the_rows_above() -> None:
    assert drawn([1, 2, 3, 4], symbols="ascii", height=2) == ["  :#", ":###"]


def test_blocks_are_exact_to_an_eighth_of_a_row() -> None:
    assert drawn([0.5, 2, 4], symbols="block") == ["▁▄█"]


def test_series_are_told_apart_without_colour() -> None:
    values: list[float | None] = [3.0] * 8
    shapes: tuple[Shape, ...] = ("area", "line", "dots")
    assert len({"".join(drawn(values, shape=shape, height=2)) for shape in shapes}) == 3


@given(VALUES, st.integers(0, 60), st.integers(0, 12), st.sampled_from(["braille", "block", "ascii"]))
def test_a_plot_has_exactly_its_size(values: list[float | None], width: int, height: int, symbols: Symbols) -> None:
    series = [Series("a", "read", "area", values), Series("b", "stored", "line", values)]
    lines = raster(series, width, height, top=nice_top(1e12), symbols=symbols)
    assert len(lines) == (height if width else 0)
    assert all(width_of(line) == width for line in lines)


@given(VALUES, st.integers(1, 90), st.integers(1, 14))
def test_a_chart_has_exactly_its_size(values: list[float | None], width: int, height: int) -> None:
    lines = chart([Series("read", "read", "area", values)], Frame(format_rate, 120.0), width, height)
    assert len(lines) == height
    assert all(width_of(line) == width for line in lines)


def test_one_span_stands_for_neighbours_of_one_colour() -> None:
    series = [Series("a", "stored", "area", [4.0] * 100), Series("b", "read", "area", [None] * 60 + [4.0] * 40)]
    line = raster(series, 50, 1, top=4.0, symbols="braille")[0]
    assert [(len(span.text), span.role) for span in line if span.text] == [(30, "stored"), (20, "read")]


@pytest.mark.parametrize(("peak", "top"), [(0, 1), (3, 3), (2.4e8, 3e8), (9.1e8, 1e9), (0.0007, 0.0008)])
def test_the_axis_ends_at_a_round_figure(peak: float, top: float) -> None:
    assert nice_top(peak) == pytest.approx(top)


def test_axes_tell_units_and_time() -> None:
    series = [Series("read", "read", "area", [240e6] * 100)]
    shown = [text_of(line) for line in chart(series, Frame(format_rate, 300.0), 70, 8)]
    assert shown[0].startswith(" 300 MB/s┤")
    assert shown[3].startswith(" 150 MB/s┤")
    assert shown[5].startswith("        0┤")
    assert shown[6].split() == ["-5", "min", "-2.5", "min", "now"]
    assert shown[7].startswith("⣿ read 240 MB/s avg 240 MB/s peak 240 MB/s")


def test_an_axis_goes_on_beyond_now_and_the_legend_tells_what_is_now() -> None:
    series = [
        Series("workers", "stored", "area", [4.0] * 30 + [None] * 60),
        Series("forecast", "read", "line", [None] * 30 + [5.0] + [9.0] * 59),
    ]
    frame = Frame(lambda value: f"{value:.0f}", 24 * 3600.0, ahead_s=48 * 3600.0)
    shown = [text_of(line) for line in chart(series, frame, 100, 8)]
    assert shown[6].split() == ["-24", "h", "now", "+24", "h", "+48", "h"]
    assert shown[6].index("now") + 3 == 10 + 30  # of 90 cells beside the labels
    assert "workers 4 " in shown[7]
    assert "forecast 5 " in shown[7]


def test_a_legend_without_room_leaves_out_what_is_zero() -> None:
    series = [Series("stored", "stored", "area", [9e6]), Series("restored", "restored", "dots", [0.0])]
    frame = Frame(format_rate, 120.0)
    assert "restored" in text_of(legend(series, frame, 80))
    assert text_of(legend(series, frame, 24)) == "⣿ stored 9.00 MB/s"


def test_a_chart_of_nothing_is_an_empty_frame() -> None:
    shown = [text_of(line) for line in chart([Series("read", "read", "area", [])], Frame(format_rate, 60.0), 60, 6)]
    assert shown[0].startswith("         │")
    assert shown[-1].startswith("⣿ read 0 B/s")
