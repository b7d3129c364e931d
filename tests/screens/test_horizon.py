"""The chart of workers: what was, what is forecast, and the marks below."""

from __future__ import annotations

import msgspec
import pytest

from screens import horizon
from screens.horizon import Columns, Window
from screens.text import width_of
from tests import samples, scaling_samples

NOW, HOUR = samples.NOW_NS, horizon.HOUR_NS
DAY = Window(24, 48)


def columns(cells: int = 72) -> Columns:
    return Columns.of(DAY, now=NOW, count=cells)


def test_now_is_in_the_last_column_that_is_over_and_columns_are_aligned_to_the_clock() -> None:
    found = columns()
    assert found.at(NOW) == found.past - 1 == 23
    assert found.begin_ns % found.step_ns == 0
    assert Columns.of(DAY, now=NOW + HOUR // 2, count=72) == found


def test_a_point_holds_until_the_next_and_before_the_first_nothing_is_known() -> None:
    report = scaling_samples.cluster_report()
    workers = horizon.held(report.timeline, lambda point: point.workers, columns())
    assert workers[:4] == [None, None, None, 4]
    assert workers[11] == 12  # from 13 hours ago on
    assert workers[23] == 6
    assert workers[24:] == [None] * 48


def test_a_column_shows_the_most_of_what_was_in_it() -> None:
    first = scaling_samples.cluster_report().timeline[0]
    points = [
        msgspec.structs.replace(first, time_ns=NOW - 2 * HOUR + minute * HOUR // 60, workers=workers)
        for minute, workers in ((0, 3), (1, 9), (2, 4))
    ]
    assert horizon.held(points, lambda point: point.workers, columns())[20:24] == [None, 9, 4, 4]


def test_the_forecast_begins_after_now_and_ends_where_it_does() -> None:
    points = scaling_samples.cluster_report().forecast[:5]
    values = horizon.ahead(points, lambda point: point.middle, columns())
    assert values[:24] == [None] * 24
    assert values[24:30] == [3, 4, 5, 6, None, None]


def test_without_a_forecast_the_legend_names_none() -> None:
    report = msgspec.structs.replace(scaling_samples.cluster_report(), forecast=())
    assert [one.name for one in horizon.workers(report, columns())] == ["nodes", "target"]


@pytest.mark.parametrize("width", [20, 40, 78, 198])
@pytest.mark.parametrize("window", horizon.WINDOWS)
def test_marks_take_exactly_their_width(width: int, window: Window) -> None:
    found = horizon.mark_lines(samples.status(), scaling_samples.cluster_report().decisions, window, width)
    assert {width_of(line) for line in found} == {width}


def test_changes_and_weddings_stand_under_their_time() -> None:
    decisions = scaling_samples.cluster_report().decisions
    changes, weddings = (
        "".join(span.text for span in line) for line in horizon.mark_lines(samples.status(), decisions, DAY, 82)
    )
    assert [changes[10 + at] for at in (9, 17, 22)] == ["↑", "↓", "↑"]  # 14, 6 and 1 hours ago, an hour a cell
    assert weddings[10 + 9 :].startswith("|today: 2 weddings")  # since midnight, 14 hours ago
    assert weddings[10 + 33 :].startswith("|tomorrow: 2 weddings")
