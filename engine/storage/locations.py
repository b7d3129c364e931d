"""The copy catalog: which copy of which pack lies in which place, whether it is good, when that was last seen.

SQLite in the home (`copies.db`), made for a petabyte: 31 million packs with three copies are 93 million rows, held by
a page cache of a stated size. Rows are clustered by wedding, so that writing one wedding's packs touches few pages and
its listing is one range; the oldest-verified order needs no index of that size, only a bound for each wedding.

It is a hint that is kept, never the truth: the stores are. What it lost is rebuilt from their listings, and a pack it
does not know is looked for. So it is written without waiting for the disk (WAL, synchronous=NORMAL): after a power
failure it is whole, and may lack its last moments. Times are kept in whole seconds. Any thread but an event loop's.
"""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.base.invariants import check
from engine.storage.catalogfile import catalog_of
from engine.storage.stores.store import ObjectInfo

CACHE_BYTES = 32 * 1024 * 1024  # of SQLite's pages, for the whole catalog
PAGE_ROWS = 4096  # read or written at once, between two others who want the connection
_NS = 10**9
_INT32_MAX = 2**31 - 1

CopyState = Literal["good", "writing", "bad", "missing"]
_STATES: tuple[CopyState, ...] = ("good", "writing", "bad", "missing")  # by their numbers in the table
_NUMBERS: dict[CopyState, int] = {state: number for number, state in enumerate(_STATES)}

_PUT = (
    "INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (wedding, pack, place) DO UPDATE SET "
    "size = excluded.size, state = excluded.state, written = excluded.written, verified = excluded.verified"
)
_COLUMNS = "pack, place, size, state, written, verified"
Row = tuple[Any, ...]  # of `_COLUMNS`


class Copy(msgspec.Struct, frozen=True):
    """One copy of a pack. `verified_ns`: when all its bytes were last read and were what its name says; 0: never."""

    place: str  # as warm/eu-west
    size_bytes: int
    state: CopyState = "good"  # writing: begun, and not known to be whole; bad, missing: found so
    written_ns: int = 0
    verified_ns: int = 0


class Total(msgspec.Struct, frozen=True):
    """Good copies in a place."""

    packs: int = 0
    size_bytes: int = 0


class Rebuilt(msgspec.Struct, frozen=True):
    """What a listing told that the catalog did not know."""

    listed: int = 0
    added: int = 0
    missing: int = 0


class Locations:
    """One catalog. Names are those of packs: `weddings/ID/packs/HASH`; others are nobody's business here."""

    def __init__(self, path: Path | None, *, cache_bytes: int = CACHE_BYTES) -> None:
        """Open or make it; blocks. One that is damaged is made anew: the listings tell the rest (`listed_ns`).

        None: in memory. Raises NotPermitted, LimitReached, Unavailable; IntegrityError for one of a newer program.
        """
        self._path = path
        self._lock = threading.RLock()  # of the connection and the two tables of ids
        self._database = catalog_of(cache_bytes)
        self._connection = self._database.opened(path)
        self._places: dict[str, int] = {}
        self._place_names: dict[int, str] = {}
        for number, name in self._connection.execute("SELECT id, name FROM places"):
            self._places[name], self._place_names[number] = number, name
        self._weddings: dict[bytes, int] = {}  # those asked for lately; at most PAGE_ROWS
        self._changes = 0  # transactions so far

    def close(self) -> None:
        """Let go; also twice."""
        with self._lock:
            self._connection.close()

    # --- one pack ---------------------------------------------------------------------------------------

    def record(self, name: str, *copies: Copy) -> None:
        """Know these copies of a pack, each in place of what was known of its place."""
        self.record_all((name, copy) for copy in copies)

    def copies(self, name: str) -> tuple[Copy, ...]:
        """All that is known of a pack's copies, by place."""
        parts = pack_of(name)
        if parts is None:
            return ()
        token, pack = parts
        with self._use() as connection:
            wedding = self._wedding(token)
            if wedding is None:
                return ()
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM copies WHERE wedding = ? AND pack = ?", (wedding, pack)
            ).fetchall()
            return tuple(sorted((self._copy(row) for row in rows), key=lambda copy: copy.place))

    def forget(self, name: str, place: str | None = None) -> None:
        """Know a copy no more, or (None) no copy of a pack."""
        parts = pack_of(name)
        if parts is None:
            return
        token, pack = parts
        with self._use() as connection, self._transaction():
            key = self._wedding(token), pack
            if place is None:
                connection.execute("DELETE FROM copies WHERE wedding = ? AND pack = ?", key)
            else:
                values = *key, self._places.get(place)
                connection.execute("DELETE FROM copies WHERE wedding = ? AND pack = ? AND place = ?", values)

    # --- many -------------------------------------------------------------------------------------------

    def record_all(self, rows: Iterable[tuple[str, Copy]]) -> None:
        """As `record`, for many packs, some thousand a transaction."""
        ahead = iter(rows)
        while page := list(islice(ahead, PAGE_ROWS)):
            with self._use() as connection, self._transaction():
                connection.executemany(_PUT, [self._row(name, copy) for name, copy in page])

    def of_wedding(self, wedding_id: str) -> Iterator[tuple[str, tuple[Copy, ...]]]:
        """The packs of a wedding that the catalog knows, by name, each with its copies; read page by page."""
        with self._use():
            wedding = self._wedding(bytes.fromhex(wedding_id))
        if wedding is None:
            return
        rows = self._rows_of(wedding)
        for pack, found in groupby(rows, key=itemgetter(0)):
            yield pack_name(wedding_id, pack), tuple(sorted(map(self._copy, found), key=lambda copy: copy.place))

    def in_state(self, state: CopyState, n: int) -> list[tuple[str, Copy]]:
        """Up to `n` copies in a state that is not `good`."""
        check(state != "good", "what is good is not kept apart")
        sql = (
            f"SELECT token, {_COLUMNS} FROM copies JOIN weddings ON weddings.id = copies.wedding "
            f"WHERE state = {_NUMBERS[state]} AND state <> 0 LIMIT ?"
        )
        with self._use() as connection:
            rows = connection.execute(sql, (n,)).fetchall()
            return [(pack_name(row[0].hex(), row[1]), self._copy(row[1:])) for row in rows]

    def oldest_verified(self, place: str, n: int) -> list[tuple[str, Copy]]:
        """The `n` good copies of a place that were verified longest ago, those never verified first."""
        number = self._places.get(place)
        if number is None:
            return []
        best: list[tuple[int, int, bytes, Row]] = []
        for wedding, bound in self._bounds(number):
            if len(best) >= n and best[-1][0] <= bound:
                break
            changes = self._changes
            with self._use() as connection:
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM copies WHERE wedding = ? AND place = ? AND state = 0 "
                    "ORDER BY verified, pack LIMIT ?",
                    (wedding, number, n),
                ).fetchall()
            oldest = rows[0][5] if rows else _INT32_MAX
            if oldest != bound:
                self._tighten(number, wedding, oldest, changes)
            found = [(row[5], wedding, row[0], row) for row in rows]
            best = heapq.nsmallest(n, best + found)
        with self._use() as connection:
            tokens = {row[1] for row in best}
            named = {
                wedding: connection.execute("SELECT token FROM weddings WHERE id = ?", (wedding,)).fetchone()[0].hex()
                for wedding in tokens
            }
            return [(pack_name(named[wedding], pack), self._copy(row)) for _, wedding, pack, row in best]

    def totals(self, wedding_id: str | None = None) -> dict[str, Total]:
        """Good copies by place: of all weddings, or of one."""
        with self._use() as connection:
            if wedding_id is None:
                rows = connection.execute("SELECT place, sum(packs), sum(bytes) FROM totals GROUP BY place").fetchall()
            else:
                key = self._wedding(bytes.fromhex(wedding_id))
                sql = "SELECT place, packs, bytes FROM totals WHERE place = ? AND wedding = ?"
                rows = [row for place in self._place_names for row in connection.execute(sql, (place, key))]
            return {self._place_names[place]: Total(packs, size) for place, packs, size in rows if packs}

    def weddings(self) -> list[str]:
        """The ids of the weddings that have packs here."""
        with self._use() as connection:
            rows = connection.execute(
                "SELECT token FROM weddings WHERE id IN (SELECT wedding FROM totals WHERE packs > 0)"
            ).fetchall()
            return [token.hex() for (token,) in rows]

    def ages(self, now_ns: int, bounds_s: Sequence[int]) -> dict[str, list[int]]:
        """By place: how many good copies were verified within each of these spans, then longer ago, then never.

        Each wedding's copies count as the one that was verified longest ago.
        """
        found: dict[str, list[int]] = {}
        with self._use() as connection:
            rows = connection.execute("SELECT place, oldest, packs FROM totals WHERE packs > 0").fetchall()
            for place, oldest, packs in rows:
                counts = found.setdefault(self._place_names[place], [0] * (len(bounds_s) + 2))
                age_s = now_ns // _NS - oldest
                at = next((at for at, bound_s in enumerate(bounds_s) if age_s <= bound_s), len(bounds_s))
                counts[at if oldest else -1] += packs
        return found

    def rebuild(self, place: str, listing: Iterable[ObjectInfo], *, begun_ns: int) -> Rebuilt:
        """Learn from a listing of a place (whole, sorted by name, begun at `begun_ns`) what lies there.

        What is known of copies that are listed stays, but for their size; those that are not listed are missing,
        unless they were written since. Objects that are no packs are passed over.
        """
        listed = added = missing = 0
        with self._use(), self._transaction():
            number = self._place(place)
        unseen = {wedding for wedding, _ in self._bounds(number)}
        packs = ((parts, info) for info in listing if (parts := pack_of(info.name)) is not None)
        for token, group in groupby(packs, key=lambda found: found[0][0]):
            with self._use(), self._transaction():
                wedding = self._new_wedding(token)
            unseen.discard(wedding)
            fresh = {parts[1]: info for parts, info in group}
            listed += len(fresh)
            new, gone = self._take_in(wedding, number, fresh, begun_ns)
            added += new
            missing += gone
        for wedding in unseen:
            missing += self._miss(wedding, [row for row in self._rows_of(wedding) if row[1] == number], begun_ns)
        with self._use() as connection, self._transaction():
            connection.execute("UPDATE places SET listed = ? WHERE id = ?", (begun_ns // _NS, number))
        return Rebuilt(listed, added, missing)

    def rebuild_wedding(self, place: str, wedding_id: str, listing: Iterable[ObjectInfo], *, begun_ns: int) -> None:
        """As `rebuild`, from the listing of one wedding's packs in a place."""
        with self._use(), self._transaction():
            number, wedding = self._place(place), self._new_wedding(bytes.fromhex(wedding_id))
        fresh = {parts[1]: info for info in listing if (parts := pack_of(info.name)) is not None}
        self._take_in(wedding, number, fresh, begun_ns)

    def listed_ns(self, place: str) -> int:
        """When the last listing of a place that was taken in whole had begun; 0: never, so the catalog lacks some."""
        with self._use() as connection:
            found = connection.execute("SELECT listed FROM places WHERE name = ?", (place,)).fetchone()
            return found[0] * _NS if found else 0

    # --- inside -----------------------------------------------------------------------------------------

    def _take_in(self, wedding: int, place: int, fresh: dict[bytes, ObjectInfo], begun_ns: int) -> tuple[int, int]:
        """Learn all that a place holds of a wedding; how many copies are new, and how many missing."""
        known = {row[0]: row for row in self._rows_of(wedding) if row[1] == place}
        new = [info for pack, info in fresh.items() if _tells_something(known.get(pack), info)]
        name = self._place_names[place]
        self.record_all((info.name, Copy(name, info.size_bytes, written_ns=info.modified_ns)) for info in new)
        return len(new), self._miss(wedding, [row for pack, row in known.items() if pack not in fresh], begun_ns)

    def _miss(self, wedding: int, rows: Sequence[Row], begun_ns: int) -> int:
        """Note that copies are not where they should be; how many were not known to be so."""
        gone = [row for row in rows if row[4] < begun_ns // _NS and _STATES[row[3]] in ("good", "bad")]
        with self._use() as connection, self._transaction():
            connection.executemany(
                f"UPDATE copies SET state = {_NUMBERS['missing']} WHERE wedding = ? AND pack = ? AND place = ?",
                [(wedding, row[0], row[1]) for row in gone],
            )
        return len(gone)

    def _rows_of(self, wedding: int) -> Iterator[Row]:
        """All rows of a wedding in order, a page at a time: others use the connection in between."""
        after: tuple[bytes, int] = (b"", -1)
        while True:
            with self._use() as connection:
                page = connection.execute(
                    f"SELECT {_COLUMNS} FROM copies WHERE wedding = ? AND (pack, place) > (?, ?) "
                    f"ORDER BY pack, place LIMIT {PAGE_ROWS}",
                    (wedding, *after),
                ).fetchall()
            yield from page
            if len(page) < PAGE_ROWS:
                return
            after = page[-1][0], page[-1][1]

    def _bounds(self, place: int) -> list[tuple[int, int]]:
        """Weddings with copies in a place, each with a time before which none of them was verified; oldest first."""
        with self._use() as connection:
            return connection.execute(
                "SELECT wedding, oldest FROM totals WHERE place = ? AND packs > 0 ORDER BY oldest, wedding", (place,)
            ).fetchall()

    def _tighten(self, place: int, wedding: int, oldest: int, changes: int) -> None:
        """Keep a better bound, unless anything was written since there were `changes`."""
        with self._use() as connection:
            if self._changes == changes:
                with self._transaction():
                    connection.execute(
                        "UPDATE totals SET oldest = ? WHERE place = ? AND wedding = ?", (oldest, place, wedding)
                    )

    def _row(self, name: str, copy: Copy) -> tuple[object, ...]:
        parts = pack_of(name)
        check(parts is not None, f"{name!r} names no pack")
        assert parts is not None
        return (
            self._new_wedding(parts[0]), parts[1], self._place(copy.place), copy.size_bytes,
            _NUMBERS[copy.state], copy.written_ns // _NS, copy.verified_ns // _NS,
        )  # fmt: skip

    def _copy(self, row: Row) -> Copy:
        _, place, size, state, written, verified = row
        return Copy(self._place_names[place], size, _STATES[state], written * _NS, verified * _NS)

    def _place(self, name: str) -> int:
        number = self._places.get(name)
        if number is None:
            number = self._added("INSERT INTO places (name) VALUES (?)", name)
            self._places[name], self._place_names[number] = number, name
        return number

    def _wedding(self, token: bytes) -> int | None:
        number = self._weddings.get(token)
        if number is None:
            found = self._connection.execute("SELECT id FROM weddings WHERE token = ?", (token,)).fetchone()
            if found is None:
                return None
            if len(self._weddings) >= PAGE_ROWS:
                self._weddings.clear()
            number = self._weddings[token] = int(found[0])
        return number

    def _new_wedding(self, token: bytes) -> int:
        number = self._wedding(token)
        return self._added("INSERT INTO weddings (token) VALUES (?)", token) if number is None else number

    def _added(self, sql: str, value: str | bytes) -> int:
        number = self._connection.execute(sql, (value,)).lastrowid
        assert number is not None
        return number

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._database.explained(error, self._path) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, also of the ids that were given meanwhile. Under the lock."""
        self._changes += 1
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            self._weddings.clear()
            self._places = {
                name: number for number, name in self._connection.execute("SELECT id, name FROM places").fetchall()
            }
            raise


# --- names ----------------------------------------------------------------------------------------------


def pack_of(name: str) -> tuple[bytes, bytes] | None:
    """`weddings/ID/packs/HASH` → the bytes of both; None for what is no pack."""
    if len(name) != 112 or not name.startswith("weddings/") or name[41:48] != "/packs/":
        return None
    try:
        return bytes.fromhex(name[9:41]), bytes.fromhex(name[48:])
    except ValueError:
        return None


def pack_name(wedding_id: str, pack: bytes) -> str:
    """The name of a wedding's pack."""
    return packs_of(wedding_id) + pack.hex()


def packs_of(wedding_id: str) -> str:
    """The folder of a wedding's packs."""
    return f"weddings/{wedding_id}/packs/"


def _tells_something(known: Row | None, info: ObjectInfo) -> bool:
    """Whether a listed object is news: not known, known as missing, or of another size."""
    return known is None or _STATES[known[3]] == "missing" or (known[2] != info.size_bytes and known[3] == 0)
