"""Days are weekdays, holidays and dates that are chosen."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from engine.base.errors import UsageError
from engine.scaling.dates import HOLIDAY, Days


def test_a_holiday_is_a_type_of_its_own_with_its_eve_and_morrow() -> None:
    days = Days(dt.date(2024, 7, 3), 4, "US")  # Wednesday to Saturday
    assert days.type.tolist() == [2, HOLIDAY, 4, 5]
    assert days.is_eve.tolist() == [True, False, False, False]
    assert days.is_morrow.tolist() == [False, False, True, False]


def test_neighbours_outside_the_days_count() -> None:
    days = Days(dt.date(2024, 7, 5), 1, "US")
    assert days.is_morrow.tolist() == [True]
    assert Days(dt.date(2024, 7, 3), 1, "US").is_eve.tolist() == [True]


def test_without_a_country_there_are_weekdays_and_liked_dates() -> None:
    days = Days(dt.date(2024, 12, 11), 2, "")
    assert days.type.tolist() == [2, 3]
    assert np.sum(days.named, axis=0).tolist() == [0.0, 1.0]  # the twelfth of the twelfth


def test_a_leap_day_does_not_move_the_year() -> None:
    leap = Days(dt.date(2023, 1, 1), 1096, "").year_part  # 2023, 2024, 2025
    assert leap[0] == leap[365] == leap[731] == 0.0
    assert leap[1095] == pytest.approx(364 / 365)


@pytest.mark.parametrize(("country", "is_known"), [("gb-SCT", True), ("XX", False), ("GB-NOWHERE", False)])
def test_a_country_is_known_by_its_code(country: str, *, is_known: bool) -> None:
    if is_known:
        assert (Days(dt.date(2024, 11, 30), 4, country).type == HOLIDAY).any()  # St Andrew's, moved to Monday
    else:
        with pytest.raises(UsageError, match="no holidays are known"):
            Days(dt.date(2024, 1, 1), 10, country)
