"""A backtest looks at the past only, scores what it says, and knows what is chance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from engine.base.errors import UsageError
from engine.scaling.backtest import advantage, origins_of, poisson_ceiling, replay, seasonal_naive, study, winner
from engine.scaling.forecast import History, booked_and_pickup, same_slot
from tests.engine.scaling.test_forecast import BEGIN, platform
from tests.engine.scaling.test_months import months


@pytest.mark.parametrize("rate", [0.3, 1.0, 10.0, 400.0])
def test_the_ceiling_is_the_mean_deviation_of_poisson(rate: float) -> None:
    counts = np.arange(0, int(rate + 20 * math.sqrt(rate) + 20))
    chances = np.exp(counts * math.log(rate) - rate - [math.lgamma(count + 1) for count in counts])
    missed = float((np.abs(counts - rate) * chances).sum()) / rate
    assert poisson_ceiling(np.array([[rate]])) == pytest.approx(100 * (1 - missed), abs=1e-6)


def test_an_advantage_is_shown_where_there_is_one_and_not_where_there_is_none() -> None:
    chance = np.random.default_rng(7)
    actual = chance.poisson(100.0, (100, 7, 1)).astype(float)
    better, worse = np.full(actual.shape, 100.0), np.full(actual.shape, 106.0)
    points, low, high = advantage(actual, better, worse)
    assert 0 < low < points < high
    other = better + chance.normal(0, 0.5, actual.shape)
    _, low, high = advantage(actual, better, other)
    assert low < 0.1 < high + 0.1


def test_origins_lie_evenly_behind_enough_to_learn_from() -> None:
    history, _ = platform(800, hours=1)
    origins = origins_of(history, 7, 100)
    assert len(origins) == 100
    assert (origins[0], origins[-1]) == (400, 793)
    with pytest.raises(UsageError, match="too short a history"):
        origins_of(History(BEGIN, np.ones((65, 1))), 7, 100)


def test_a_study_scores_hours_and_days_beside_plain_rules() -> None:
    history, booked = platform(500)
    report = study(dataclasses.replace(history, booked=booked), ahead=2, origins=12)
    assert (report.model, report.grain, report.ahead, report.origins) == ("bookings and pickup", "hour", "48 hours", 12)
    by = {(score.grain, score.way): score for score in report.scores}
    ours, naive = by["hour", "bookings and pickup"], by["hour", "seasonal naive"]
    assert ours.accuracy > naive.accuracy
    assert naive.skill == 0.0
    assert ours.skill == pytest.approx(100 * (1 - (100 - ours.accuracy) / (100 - naive.accuracy)), abs=0.2)
    assert by["day", "bookings and pickup"].accuracy > ours.accuracy
    assert by["day", "bookings and pickup"].band_95 is None
    assert ours.band_95 is not None
    assert ours.band_95 > 85
    assert naive.ours_more_low > 0
    assert 0.3 < report.booked_share <= 1.0
    assert [row.grain for row in report.ceilings] == ["hour", "day"]
    assert sum(1 for _ in report.seasons) == 3  # the origins span three quarters


def test_a_study_of_months_forecasts_a_year() -> None:
    report = study(months(), ahead=12, origins=10)
    assert (report.grain, report.ahead, report.model) == ("month", "12 months", "bookings and pickup")


def test_the_challenger_takes_over_where_it_wins_on_the_users_own_data() -> None:
    history, _ = platform(300, hours=1)
    origins = list(range(150, 290, 14))
    actual = np.array([history.values[origin : origin + 7] for origin in origins])
    both = [replay(history, model, origins, 7) for model in (booked_and_pickup, same_slot)]
    perfect = dataclasses.replace(both[1], mean=actual)
    assert winner(actual, [both[0], perfect]) == 1
    assert winner(actual, [both[0], both[0]]) == 0


def test_seasonal_naive_is_the_newest_week_that_is_known() -> None:
    history = History(BEGIN, np.arange(100.0)[:, None])
    assert seasonal_naive(history, 7).mean.ravel().tolist() == [93, 94, 95, 96, 97, 98, 99]
    assert seasonal_naive(history, 9).mean.ravel().tolist()[:2] == [86, 87]


def test_a_series_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="all its amounts are 0"):
        study(History(BEGIN, np.zeros((200, 1))), ahead=7, origins=5)
