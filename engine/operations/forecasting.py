"""forecast, backtest, calendar import, demand import: what is to come, and how good such forecasts have been.

numpy and the table of holidays are loaded when the first forecast is asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from engine.base.clock import Clock
from engine.base.errors import LimitReached, NotFound, UsageError, WedSyncError
from engine.base.units import MIB, format_bytes, format_count
from engine.contract import forecasts
from engine.contract import operations as ops
from engine.operations.context import Engine, Handler
from engine.operations.outlooks import HISTORY_DAYS_MIN
from engine.scaling.bookings import Amount

FILE_BYTES_MAX = 256 * MIB
ORIGINS_MAX = 1000
FIRST_S = 10.0  # after the start: what is run for one command is over by then
WRITE_S = 60.0
REFRESH_ROUNDS = 15
_AHEAD = {"hourly": (2, 14), "daily": (7, 182), "monthly": (12, 24)}  # days or months: as a rule, and at most
_REFITS = 5
_LOG = logging.getLogger(__name__)


async def keep_fresh(engine: Engine) -> None:
    """Write down what ended each minute, and make the forecasts anew each quarter of an hour, for ever."""
    wait_s, rounds = FIRST_S, 0
    while True:
        await engine.clock.sleep(wait_s)
        try:
            await write_down(engine)
            if rounds % REFRESH_ROUNDS == 0 and not engine.stopping:
                await refresh(engine)
        except WedSyncError as error:
            _LOG.warning("the forecast could not be made: %s", error.line())
        except Exception:
            _LOG.exception("the forecast met a bug")
        wait_s, rounds = WRITE_S, rounds + 1


async def write_down(engine: Engine) -> None:
    """Keep what ended since the last time."""
    gathered = engine.forecasting.gathered()
    await engine.offload.run("forecast", functools.partial(engine.forecasting.write_down, gathered))


async def refresh(engine: Engine) -> None:
    """Make the forecasts anew, for the autoscaler and whoever asks."""
    one_thread_each()
    await engine.offload.run("forecast", functools.partial(engine.forecasting.refresh, engine.facts.weddings))
    ahead = engine.forecasting.ahead
    engine.scaling.outlook = ahead.outlook if ahead is not None else None


async def make_first(engine: Engine) -> None:
    """A forecast where there is none yet: what is run for one command has not waited for one."""
    if engine.forecasting.ahead is None:
        try:
            await refresh(engine)
        except WedSyncError as error:
            _LOG.warning("the forecast could not be made: %s", error.line())


def one_thread_each() -> None:
    """Before numpy is loaded: matrices of 700 rows, for which a pool of threads costs more than it gives."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


async def forecast(engine: Engine, operation: forecasts.Forecast) -> ops.Result:
    """See `forecasts.Forecast`."""
    if operation.limit < 1:
        raise UsageError(f"at least one row is shown, not {operation.limit}")
    await write_down(engine)
    await refresh(engine)
    known = engine.forecasting
    if known.ahead is None:
        days = format_count(known.history_days, "day")
        raise NotFound(
            f"there are {days} of history, and a forecast stands on {HISTORY_DAYS_MIN}",
            "run backups for so long, or take a history in with demand import FILE",
        )
    outlook, study = known.ahead.outlook, known.study
    if operation.grain == "month" and outlook.basis != "history too short" and not known.ahead.rows["month"]:
        raise NotFound("there are less than 18 whole months of history", "take more in with demand import FILE")
    return forecasts.ForecastReport(
        rows=known.ahead.rows[operation.grain][: operation.limit],
        grain=operation.grain,
        basis=outlook.basis,
        model=known.model,
        booked_share=round(outlook.booked_share, 3),
        bookings=known.bookings,
        weddings_over=known.weddings_over,
        history_days=known.history_days,
        note=outlook.note,
        sources=known.sources,
        scores=study.scores if study else (),
        ceilings=study.ceilings if study else (),
    )


async def import_calendar(engine: Engine, operation: forecasts.ImportCalendar) -> ops.Result:
    """See `forecasts.ImportCalendar`."""
    path = _readable(operation.file)
    return await engine.offload.run("forecast", functools.partial(engine.forecasting.take_calendar, path))


async def import_demand(engine: Engine, operation: forecasts.ImportDemand) -> ops.Result:
    """See `forecasts.ImportDemand`."""
    one_thread_each()
    return await engine.offload.run("forecast", lambda: _take_history(engine, operation))


def _take_history(engine: Engine, operation: forecasts.ImportDemand) -> forecasts.DemandTaken:
    """On the executor."""
    from engine.scaling.series import Columns, read_series  # its libraries are loaded only where they are needed

    path, series = _readable(operation.file), []
    for column in (operation.jobs, operation.bytes):
        with _text_of(path) as lines:
            series.append(read_series(lines, Columns(operation.time, column)))
    if series[0].grain != "hourly":
        raise UsageError(f"{path} is {series[0].grain}", "a history of demand has a row an hour")
    first = int(dt.datetime.combine(series[0].history.begin, dt.time(), tzinfo=dt.UTC).timestamp()) // 3600
    pairs = zip(*(each.history.values.ravel().tolist() for each in series), strict=True)
    hours = {first + step: Amount(jobs, size) for step, (jobs, size) in enumerate(pairs)}
    engine.forecasting.take_history(hours, path.name)
    return forecasts.DemandTaken(
        hours=len(hours),
        jobs=round(sum(each.jobs for each in hours.values())),
        bytes=round(sum(each.size_bytes for each in hours.values())),
        warnings=series[0].notes,
    )


async def backtest(engine: Engine, operation: forecasts.Backtest) -> ops.Result:
    """See `forecasts.Backtest`."""
    one_thread_each()
    return await engine.offload.run("backtest", lambda: _backtest(operation, engine.clock))


def _backtest(operation: forecasts.Backtest, clock: Clock) -> forecasts.BacktestReport:
    """On the executor: seconds of work."""
    from engine.scaling import backtest as past  # its libraries are loaded only where they are needed
    from engine.scaling.series import Columns, read_series

    columns = Columns(operation.time, operation.value, operation.known)
    with _text_of(_readable(operation.file)) as lines:
        series = read_series(lines, columns, country=operation.country)
    usual, most = _AHEAD[series.grain]
    ahead = usual if operation.ahead is None else operation.ahead
    if not 1 <= ahead <= most:
        raise UsageError(f"{series.grain} series are forecast 1 to {most} {series.history.row}s ahead, not {ahead}")
    if not 1 < operation.origins <= ORIGINS_MAX:
        raise UsageError(f"a backtest has 2 to {ORIGINS_MAX} origins, not {operation.origins}")
    report = past.study(series.history, ahead=ahead, origins=operation.origins)
    model = dict(past.WAYS[series.history.row])[report.model]
    newest = series.history.until(series.history.row_count - ahead, ahead)
    took = []
    for _ in range(_REFITS):
        begun_s = clock.monotonic_s()
        model(newest, ahead)
        took.append((clock.monotonic_s() - begun_s) * 1000.0)
    return msgspec.structs.replace(report, warnings=series.notes, refit_ms=round(statistics.median(took), 1))


@contextmanager
def _text_of(path: Path) -> Iterator[TextIO]:
    """The lines of a CSV file. Raises UsageError for what is none, as they are read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            yield lines
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8", "write it as CSV with a heading") from None


def _readable(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise NotFound(f"{file} is no file", "name a CSV file with a heading")
    if (size := path.stat().st_size) > FILE_BYTES_MAX:
        raise LimitReached(f"{file} has {format_bytes(size)}", f"sum it up to less than {format_bytes(FILE_BYTES_MAX)}")
    return path


HANDLERS: dict[str, Handler] = {
    "backtest": backtest,
    "forecast": forecast,
    "calendar_import": import_calendar,
    "demand_import": import_demand,
}
