"""What was decided and what was so, kept in the home's journal: decisions with their reasons, a point a minute.

In: decisions and points, from the engine's loop; writing is handed to the journal's thread. Out: rows, newest first;
reading blocks. Both are bounded by age, decisions by their number too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import msgspec

from engine.base.shapes import msgpack_decoder
from engine.contract.scaling import DecisionRow, ScalingPoint

POINT_EVERY_NS = 60 * 10**9
POINTS_KEPT_NS = 8 * 86_400 * 10**9
DECISIONS_KEPT_NS = 90 * 86_400 * 10**9
DECISIONS_MAX = 5_000
TRIMMED_EVERY = 100  # rows written between two looks at the bounds

_MAKE = (
    "CREATE TABLE IF NOT EXISTS scaling "
    "(kind TEXT, time_ns INTEGER, body BLOB NOT NULL, PRIMARY KEY (kind, time_ns)) WITHOUT ROWID"
)
_PUT = "INSERT OR REPLACE INTO scaling (kind, time_ns, body) VALUES (?, ?, ?)"
_READ = "SELECT body FROM scaling WHERE kind = ? AND time_ns >= ? ORDER BY time_ns DESC LIMIT ?"
_TRIM = "DELETE FROM scaling WHERE kind = ? AND time_ns < ?"
_TRIM_COUNT = (
    "DELETE FROM scaling WHERE kind = 'decision' AND time_ns < "
    "(SELECT time_ns FROM scaling WHERE kind = 'decision' ORDER BY time_ns DESC LIMIT 1 OFFSET ?)"
)
Row = TypeVar("Row", DecisionRow, ScalingPoint)


class Book(Protocol):
    """Statements in, in order; rows out."""

    def write(self, sql: str, values: Sequence[str | int | bytes] = ...) -> Future[None]:
        """Carry out a statement later."""
        ...

    def read(self, sql: str, values: Sequence[str | int | bytes] = ...) -> list[tuple[Any, ...]]:
        """Rows, after every statement given before; blocks."""
        ...


class Decisions:
    """The scaler's memory. Engine loop only, but for reading."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._point: ScalingPoint | None = None
        self._written = 0
        self._is_made = False

    def keep(self, row: DecisionRow) -> None:
        """Remember a decision."""
        self._put("decision", row)

    def keep_point(self, point: ScalingPoint) -> None:
        """Remember how things stand, if that is another minute and they stand otherwise than before."""
        before = self._point
        if before is not None:
            same = msgspec.structs.replace(before, time_ns=point.time_ns) == point
            if same or point.time_ns - before.time_ns < POINT_EVERY_NS:
                return
        self._point = point
        self._put("point", point)

    def decisions(self, since_ns: int, limit: int) -> list[DecisionRow]:
        """Decisions since a moment, the newest first, so many at most. Blocks."""
        return self._rows("decision", DecisionRow, since_ns, limit)

    def points(self, since_ns: int, limit: int) -> list[ScalingPoint]:
        """The same of the timeline. Blocks."""
        return self._rows("point", ScalingPoint, since_ns, limit)

    def _rows(self, kind: str, body: type[Row], since_ns: int, limit: int) -> list[Row]:
        self._make()
        decoder = msgpack_decoder(body)
        return [decoder.decode(data) for (data,) in self._book.read(_READ, (kind, since_ns, limit))]

    def _put(self, kind: str, row: DecisionRow | ScalingPoint) -> None:
        self._make()
        self._book.write(_PUT, (kind, row.time_ns, msgspec.msgpack.encode(row)))
        self._written += 1
        if self._written % TRIMMED_EVERY == 1:
            self._book.write(_TRIM, ("decision", row.time_ns - DECISIONS_KEPT_NS))
            self._book.write(_TRIM, ("point", row.time_ns - POINTS_KEPT_NS))
            self._book.write(_TRIM_COUNT, (DECISIONS_MAX,))

    def _make(self) -> None:
        """Have a table, from the first use on: most homes never need one."""
        if not self._is_made:
            self._is_made = True
            self._book.write(_MAKE)
