"""Seasons, special dates, long weekends and freezes, day by day."""

from __future__ import annotations

import datetime as dt

import pytest

from engine.contract.scaling import ScalingSettings, check_scaling
from engine.scaling.seasons import season_at


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2026-04-30", "off season"),
        ("2026-06-19", "peak season × 5"),
        ("2026-06-20", "peak season, Saturday × 10, upkeep frozen"),
        ("2026-02-14", "off season, Valentine's Day, Saturday × 4, upkeep frozen"),
        ("2026-12-12", "off season, 12-12, Saturday × 4, upkeep frozen"),
        ("2026-12-31", "off season, New Year × 2"),
        ("2027-01-01", "off season, New Year × 2"),
        ("2027-01-03", "off season"),
        ("2026-05-22", "peak season × 5"),
        ("2026-05-24", "peak season, spring long weekend × 7.5"),
        ("2026-05-25", "peak season, spring long weekend × 7.5"),
        ("2026-05-26", "peak season × 5"),
        ("2026-09-07", "peak season, autumn long weekend × 7.5"),
    ],
)
def test_a_day_is_told_by_its_season_and_its_name(day: str, words: str) -> None:
    assert str(season_at(dt.datetime.fromisoformat(day), ScalingSettings())) == words


@pytest.mark.parametrize(
    ("day", "is_peak"), [("2026-10-31", False), ("2026-11-01", True), ("2027-02-28", True), ("2027-03-31", True),
                         ("2027-04-01", False), ("2026-08-31", False)],
)  # fmt: skip
def test_in_the_south_the_season_is_half_a_year_later(day: str, is_peak: bool) -> None:
    assert season_at(dt.datetime.fromisoformat(day), ScalingSettings(hemisphere="south")).is_peak == is_peak


def test_a_thursday_joins_the_weekend_after_it_also_over_new_year() -> None:
    settings = ScalingSettings(special_dates=("thanks: 4th thu nov 2", "kings: 1st mon jan 3"), saturday=1)
    factors = {
        day: season_at(dt.datetime.fromisoformat(day), settings).factor
        for day in ("2026-11-25", "2026-11-26", "2026-11-29", "2026-11-30", "2023-12-30", "2024-01-01", "2024-01-02")
    }
    assert list(factors.values()) == [1, 2, 2, 1, 3, 3, 1]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (ScalingSettings(seasons=("summer 5",)), "scaling.seasons: 'summer 5' is no season"),
        (ScalingSettings(seasons=("summer: 13-01..14-01 5",)), "names no days"),
        (ScalingSettings(special_dates=("x: 02-14 11",)), "the factor is from 1 to 10"),
        (ScalingSettings(freeze=("samedi",)), "scaling.freeze: 'samedi' is no day"),
        (ScalingSettings(lookahead="soon"), "scaling.lookahead"),
        (ScalingSettings(floor=5, ceiling=4), "scaling.ceiling: it is below the floor"),
    ],
)
def test_what_means_nothing_is_refused_in_words(settings: ScalingSettings, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        check_scaling(settings)


def test_a_freeze_may_reach_over_the_end_of_the_week() -> None:
    settings = ScalingSettings(freeze=("sat..mon",))
    frozen = [season_at(dt.datetime(2026, 6, day, tzinfo=dt.UTC), settings).is_frozen for day in range(19, 24)]
    assert frozen == [False, True, True, True, False]
