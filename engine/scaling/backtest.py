"""How well a history could have been forecast: rolling origins, scores, and what of the difference is chance. Pure.

In: a history with its bookings. Out: scores of the champion, the challenger and two plain rules, at each grain. Each
origin sees what was there before it and nothing else. Any thread; seconds of work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.base.errors import UsageError
from engine.base.units import format_count
from engine.contract.forecasts import BacktestReport, CeilingRow, ForecastScore, Grain, SeasonScore
from engine.scaling.forecast import (
    HISTORY_DAYS_MIN,
    TRAIN_DAYS,
    History,
    Model,
    booked_and_pickup,
    same_slot,
)
from engine.scaling.months import HISTORY_MONTHS_MIN, by_month, same_month
from engine.scaling.regression import TINY, Floats, Prediction, banded

ORIGINS_MIN = 4
BOOTSTRAPS = 2000
CEILING_MIN = 25.0  # percent: that of one unit a step
_PEAK = 0.9  # quantile of the actual values above which a step is a peak
_SEASONS = ("Dec–Feb", "Mar–May", "Jun–Aug", "Sep–Nov")


def seasonal_naive(history: History, ahead: int) -> Prediction:
    """The same step a week before (a year, by month): the newest that is known."""
    return _mean_of_last(history, ahead, 1)


def four_seasons_mean(history: History, ahead: int) -> Prediction:
    """The mean of the same step of the last four weeks (of two years, by month)."""
    return _mean_of_last(history, ahead, 4 if history.row == "day" else 2)


def _mean_of_last(history: History, ahead: int, seasons: int) -> Prediction:
    count, period = history.row_count, 7 if history.row == "day" else 12
    back = period * -(-ahead // period)
    first = min(back + period * (seasons - 1), count - 2)
    padded = np.concatenate([history.values, np.zeros((ahead, history.values.shape[1]))])
    rows = np.arange(first, count + ahead)
    earlier = [padded[np.clip(rows - back - period * season, 0, count - 1)] for season in range(seasons)]
    known = np.mean(earlier, axis=0)
    return banded(known[count - first :], expected=known[: count - first], actual=history.values[first:])


WAYS: dict[str, tuple[tuple[str, Model], ...]] = {
    "day": (
        ("bookings and pickup", booked_and_pickup),
        ("same hours, newest weeks", same_slot),
        ("seasonal naive", seasonal_naive),
        ("four-week mean", four_seasons_mean),
    ),
    "month": (
        ("bookings and pickup", by_month),
        ("same month, newest year", same_month),
        ("seasonal naive", seasonal_naive),
        ("two-year mean", four_seasons_mean),
    ),
}
CANDIDATES = 2  # of the ways: the champion first, then who may take its place


@dataclass(frozen=True, slots=True)
class Replay:
    """What one way to forecast said from each origin: arrays by origin, row ahead and step."""

    mean: Floats
    bands: tuple[Floats, Floats, Floats, Floats]  # quantiles 0.025, 0.1, 0.9 and 0.975
    booked_share: float


def study(history: History, *, ahead: int, origins: int) -> BacktestReport:
    """Everything a backtest tells of `history`, from so many `origins`, so many rows ahead. Raises UsageError."""
    starts = origins_of(history, ahead, origins)
    ways = WAYS[history.row]
    replays = [replay(history, model, starts, ahead) for _, model in ways]
    names = [name for name, _ in ways]
    actual = actual_of(history, starts, ahead)
    if float(actual.sum()) <= 0.0:
        raise UsageError("nothing ever happens in this series: all its amounts are 0")
    ours = winner(actual, replays)
    steps = actual.shape[2]
    return BacktestReport(
        scores=tuple(scores_of(history.row, actual, names, replays)),
        ceilings=tuple(ceilings_of(history.row, replays[ours].mean)),
        seasons=tuple(seasons_of(history, starts, replays[ours], replays[names.index("seasonal naive")])),
        model=names[ours],
        grain="hour" if steps > 1 else history.row,
        ahead=format_count(ahead * steps, "hour" if steps > 1 else history.row),
        origins=len(starts),
        first=history.begin_of(starts[0]).isoformat(),
        last=history.begin_of(starts[-1]).isoformat(),
        booked_share=round(replays[ours].booked_share, 3),
    )


def origins_of(history: History, ahead: int, wanted: int) -> list[int]:
    """Rows of history before each origin: evenly over all that lies behind enough to learn from. Raises UsageError."""
    least, train = (HISTORY_DAYS_MIN, TRAIN_DAYS) if history.row == "day" else (HISTORY_MONTHS_MIN, 60)
    first, last = max(least, min(train, history.row_count // 2)), history.row_count - ahead
    if last - first + 1 < ORIGINS_MIN:
        raise UsageError(
            f"{history.row_count} {history.row}s are too short a history to forecast {ahead} ahead",
            f"bring at least {least + ahead + ORIGINS_MIN}",
        )
    return sorted({round(first + (last - first) * k / max(wanted - 1, 1)) for k in range(wanted)})


def replay(history: History, model: Model, origins: Sequence[int], ahead: int) -> Replay:
    """What `model` would have said from each origin."""
    said = [model(history.until(origin, ahead), ahead) for origin in origins]
    low, lower, upper, high = (np.array([p.quantile(level) for p in said]) for level in (0.025, 0.1, 0.9, 0.975))
    booked = float(np.mean([p.booked_share for p in said]))
    return Replay(np.array([p.mean for p in said]), (low, lower, upper, high), booked)


def actual_of(history: History, origins: Sequence[int], ahead: int) -> Floats:
    """What came, in the shape of a replay."""
    return np.array([history.values[origin : origin + ahead] for origin in origins])


def accuracy(actual: Floats, mean: Floats) -> float:
    """100 (1 - Σ|error| / Σ actual), percent."""
    return 100.0 * (1.0 - float(np.abs(actual - mean).sum()) / max(float(actual.sum()), TINY))


def winner(actual: Floats, replays: Sequence[Replay]) -> int:
    """Which candidate a forecast uses: the champion, unless another's error is smaller beyond what chance explains."""
    for number, replayed in enumerate(replays[1:CANDIDATES], 1):
        if advantage(actual, replayed.mean, replays[0].mean)[1] > 0.0:
            return number
    return 0


def advantage(actual: Floats, ours: Floats, other: Floats) -> tuple[float, float, float]:
    """Points of accuracy that `ours` has over `other`, and the 95 % interval: a paired bootstrap over the origins."""
    count = len(actual)
    gained = (np.abs(actual - other) - np.abs(actual - ours)).reshape(count, -1).sum(axis=1)
    volume = actual.reshape(count, -1).sum(axis=1)
    drawn = np.random.default_rng(1).integers(0, count, (BOOTSTRAPS, count))
    points = 100.0 * gained[drawn].sum(axis=1) / np.maximum(volume[drawn].sum(axis=1), TINY)
    low, high = np.percentile(points, [2.5, 97.5])
    return 100.0 * float(gained.sum()) / max(float(volume.sum()), TINY), float(low), float(high)


def scores_of(row: Grain, actual: Floats, names: Sequence[str], replays: Sequence[Replay]) -> list[ForecastScore]:
    """Each way's scores, by step and, where a row has several, by row; the advantage is that of the winner."""
    ours, naive = winner(actual, replays), names.index("seasonal naive")
    grains: list[tuple[Grain, bool]] = [("hour", False), ("day", True)] if actual.shape[2] > 1 else [(row, False)]
    scores = []
    for grain, is_sum in grains:
        truth = actual.sum(axis=2, keepdims=True) if is_sum else actual
        means = [each.mean.sum(axis=2, keepdims=True) if is_sum else each.mean for each in replays]
        best, missed = poisson_ceiling(means[ours]), 100.0 - accuracy(truth, means[naive])
        for name, mean, each in zip(names, means, replays, strict=True):
            reached = accuracy(truth, mean)
            within, recall, precision = _peaks(truth, mean)
            more, low, high = advantage(truth, means[ours], mean)
            scores.append(
                ForecastScore(
                    grain=grain,
                    way=name,
                    accuracy=round(reached, 2),
                    skill=round(100.0 * (1.0 - (100.0 - reached) / max(missed, TINY)), 1),
                    share_of_ceiling=round(100.0 * reached / best, 1) if best >= CEILING_MIN else None,
                    peaks_within_20=within,
                    peak_recall=recall,
                    peak_precision=precision,
                    ours_more=round(more, 2),
                    ours_more_low=round(low, 2),
                    ours_more_high=round(high, 2),
                    band_80=None if is_sum else _inside(truth, each.bands[1], each.bands[2]),
                    band_95=None if is_sum else _inside(truth, each.bands[0], each.bands[3]),
                )
            )
    return scores


def ceilings_of(row: Grain, mean: Floats) -> list[CeilingRow]:
    """How well counts with these means can be forecast, at each grain."""
    grains: list[tuple[Grain, Floats]] = [(row, mean)]
    if mean.shape[2] > 1:
        grains = [("hour", mean), ("day", mean.sum(axis=2, keepdims=True))]
    return [
        CeilingRow(grain=grain, mean=round(float(each.mean()), 2), ceiling=round(max(0.0, poisson_ceiling(each)), 1))
        for grain, each in grains
    ]


def seasons_of(history: History, origins: Sequence[int], ours: Replay, naive: Replay) -> list[SeasonScore]:
    """The accuracy in each quarter of the year that has origins."""
    actual = actual_of(history, origins, ours.mean.shape[1])
    quarters = np.array([history.begin_of(origin).month % 12 // 3 for origin in origins])
    return [
        SeasonScore(
            season=name,
            accuracy=round(accuracy(actual[quarters == number], ours.mean[quarters == number]), 2),
            naive=round(accuracy(actual[quarters == number], naive.mean[quarters == number]), 2),
        )
        for number, name in enumerate(_SEASONS)
        if (quarters == number).any()
    ]


def poisson_ceiling(means: Floats) -> float:
    """The accuracy, in percent, of knowing the true means of Poisson counts: 100 (1 - Σ E|X - λ| / Σ λ).

    The mean deviation is 2 λ^(⌊λ⌋+1) e^-λ / ⌊λ⌋! (De Moivre 1730; Johnson, Kotz & Kemp, Univariate Discrete
    Distributions, 4.3).
    """
    rates = means.ravel()
    rates = rates[rates > TINY]
    whole = np.floor(rates)
    factorials = np.array([math.lgamma(each + 1.0) for each in whole.tolist()])
    deviation = 2.0 * np.exp((whole + 1.0) * np.log(rates) - rates - factorials)
    return 100.0 * (1.0 - float(deviation.sum()) / max(float(rates.sum()), TINY))


def _peaks(actual: Floats, mean: Floats) -> tuple[float, float, float]:
    """Of the highest tenth of the actual values, in percent: forecast within 20 %, recall, precision."""
    edge = float(np.quantile(actual, _PEAK))
    is_peak, is_said = actual >= edge, mean >= edge
    within = np.abs(mean - actual)[is_peak] <= 0.2 * actual[is_peak]
    both = float((is_peak & is_said).sum())
    recall, precision = both / max(float(is_peak.sum()), 1.0), both / max(float(is_said.sum()), 1.0)
    return round(100.0 * float(within.mean()), 1), round(100.0 * recall, 1), round(100.0 * precision, 1)


def _inside(actual: Floats, low: Floats, high: Floats) -> float:
    return round(100.0 * float(((actual >= low) & (actual <= high)).mean()), 1)
