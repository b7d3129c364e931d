"""backtest: how well a series of the user's own could have been forecast.

numpy and the table of holidays are loaded when the first forecast is asked for.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import msgspec

from engine.base.clock import Clock
from engine.base.errors import LimitReached, NotFound, UsageError
from engine.base.units import MIB, format_bytes
from engine.contract import operations as ops
from engine.contract.forecasts import Backtest, BacktestReport
from engine.operations.context import Engine, Handler

FILE_BYTES_MAX = 256 * MIB
ORIGINS_MAX = 1000
_AHEAD = {"hourly": (2, 14), "daily": (7, 182), "monthly": (12, 24)}  # days or months: as a rule, and at most
_REFITS = 5


async def backtest(engine: Engine, operation: Backtest) -> ops.Result:
    """See `Backtest`."""
    return await engine.offload.run("forecast", lambda: _backtest(operation, engine.clock))


def _backtest(operation: Backtest, clock: Clock) -> BacktestReport:
    """On the executor: seconds of work."""
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # matrices of 700 rows: a pool of threads costs more than it gives
    from engine.scaling import backtest as past  # its libraries are loaded only where they are needed
    from engine.scaling.series import Columns, read_series

    columns = Columns(operation.time, operation.value, operation.known)
    try:
        with _readable(operation.file).open(newline="", encoding="utf-8-sig") as lines:
            series = read_series(lines, columns, country=operation.country)
    except UnicodeDecodeError:
        raise UsageError(f"{operation.file} is no text in UTF-8", "write it as CSV with a heading") from None
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


def _readable(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise NotFound(f"{file} is no file", "name a CSV file with a heading")
    if (size := path.stat().st_size) > FILE_BYTES_MAX:
        raise LimitReached(f"{file} has {format_bytes(size)}", f"sum it up to less than {format_bytes(FILE_BYTES_MAX)}")
    return path


HANDLERS: dict[str, Handler] = {"backtest": backtest}
