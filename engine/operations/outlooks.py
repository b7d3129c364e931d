"""What is to come, kept fresh: demand written down each minute, the calendar read, forecasts made anew off the loop.

In: jobs that ended, the register, a calendar's feed, the settings. Out: the newest `Ahead`, whose outlook the
autoscaler reads. The methods of `Forecasting` that block say so; the others are for the engine's loop.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.base.clock import Clock
from engine.base.errors import LimitReached, Unavailable, UsageError, WedSyncError
from engine.base.shapes import from_json
from engine.base.units import MIB, format_bytes, format_span, parse_span
from engine.contract.forecasts import BacktestReport, CalendarTaken
from engine.contract.settings import Settings
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.priority import local_day, zone_of
from engine.scaling.bookings import Amount, Booking, Held, merged
from engine.scaling.calendar import read_calendar
from engine.scaling.demand import Demand
from engine.scaling.gathered import HOUR_NS, Gathered

if TYPE_CHECKING:
    from engine.scaling.ahead import Ahead, Known

HISTORY_DAYS_MIN = 56  # as `engine.scaling.forecast` says, which is not loaded for less
FEED_BYTES_MAX = 64 * MIB
STUDIED_AGAIN_NS = 7 * 24 * HOUR_NS
STUDY_ORIGINS = 52
STUDY_AHEAD = 2  # days
COUNTED_KINDS = frozenset({"backup", "store", "retrieve"})
_STUDY = "study"
_IMPORT, _FEED, _HISTORY = "import:", "feed:", "history:"
_LOG = logging.getLogger(__name__)


class Forecasting:
    """Demand, calendar and forecasts of one engine."""

    def __init__(self, path: Path | None, clock: Clock, settings: Callable[[], Settings]) -> None:
        """`path`: of the database in the home; None where nothing is written."""
        self._path = path
        self._clock = clock
        self._settings = settings
        self._gathered = Gathered()
        self._use = threading.Lock()  # of the database
        self._demand: Demand | None = None  # under the lock, as the next
        self._is_closed = False
        self._feed_seen: tuple[str, int] = ("", 0)  # path and time of change of what was read last; under the lock
        self.ahead: Ahead | None = None  # the newest; replaced whole
        self.study: BacktestReport | None = None
        self.model = ""
        self.note = ""  # why there is no calendar to rely on
        self.note_since_ns = 0
        self.sources: tuple[str, ...] = ()  # names of the files that were taken in
        self.bookings = 0  # to come
        self.weddings_over = 0
        self.history_days = 0

    def take(self, job: Job) -> None:
        """A job has ended: it counts for the hour in which it was asked for."""
        if job.kind in COUNTED_KINDS and job.state in {"done", "warnings"}:
            self._gathered.add(job.queued_ns, job.priority, job.wedding_id, job.counts.bytes_read)

    def gathered(self) -> Gathered:
        """What ended since the last time; begins anew."""
        taken, self._gathered = self._gathered, Gathered()
        return taken

    def write_down(self, gathered: Gathered) -> None:
        """Keep what ended. Blocks. Raises NotPermitted, LimitReached, Unavailable."""
        if gathered.hours:
            with self._use:
                self._opened().add(gathered)

    def refresh(self, weddings: tuple[Wedding, ...]) -> None:
        """Make the forecasts anew, from all that is there. Blocks for a tenth of a second, once a week for seconds."""
        if self._path is None or not self._path.exists():
            return  # nothing ended yet, and nothing was taken in
        with self._use:
            demand = self._opened()
            hours = demand.hours()
            self.history_days = (max(hours) - min(hours)) // 24 if hours else 0
            sources, note = self._calendar(demand)
            held, bookings = self._weddings(demand, weddings, sources)
            taken = [*demand.facts(_HISTORY), *demand.facts(_IMPORT)]
            kept_study = demand.fact(_STUDY)
        self.sources = tuple(sorted(name.partition(":")[2] for name in taken))
        self.weddings_over, today = len(held), self._today()
        self.bookings = sum(each.date >= today and each.cancelled_on is None for each in bookings)
        if not note and not self.bookings:
            note = "no wedding to come is known: set calendar.feed, or take one in with calendar import"
        self.note_since_ns = (self.note_since_ns or self._clock.now_ns()) if note else 0
        self.note = note
        if self.history_days < HISTORY_DAYS_MIN:
            self.ahead = None
            return
        self._forecast(hours, held, None if note else bookings, kept_study)

    def _forecast(
        self, hours: dict[int, Amount], held: list[Held], bookings: list[Booking] | None, kept_study: str
    ) -> None:
        """What is to come, from what was read. The first time this loads numpy."""
        from engine.scaling.ahead import Known, look_ahead
        from engine.scaling.backtest import WAYS
        from engine.scaling.profiles import learned

        settings = self._settings()
        known = Known(
            now_ns=self._clock.now_ns(),
            zone=settings.scaling.timezone,
            country=settings.calendar.country,
            hours=hours,
            bookings=bookings,
            profiles=learned(held),
            note=self.note,
        )
        self.study = self._studied(known, kept_study)
        self.model = self.study.model if self.study else WAYS["day"][0][0]
        self.ahead = look_ahead(known, dict(WAYS["day"])[self.model])

    def take_calendar(self, path: Path) -> CalendarTaken:
        """Bookings of a file, kept until the next file of that name. Blocks. Raises UsageError, LimitReached."""
        bookings, problems = read_calendar(_text_of(path))
        today = self._today()
        with self._use:
            self._opened().take_bookings(f"{_IMPORT}{path.name}", bookings, today)
            self._opened().remember(f"{_IMPORT}{path.name}", str(self._clock.now_ns()))
        return CalendarTaken(
            bookings=len(bookings),
            to_come=sum(each.date >= today and each.cancelled_on is None for each in bookings),
            cancelled=sum(each.cancelled_on is not None for each in bookings),
            warnings=tuple(problems),
        )

    def take_history(self, hours: dict[int, Amount], name: str) -> None:
        """Demand from elsewhere, by hour since 1970, out of the file `name`. Blocks."""
        with self._use:
            self._opened().replace_hours(hours, "standard")
            self._opened().remember(f"{_HISTORY}{name}", str(self._clock.now_ns()))

    def close(self) -> None:
        """Write down what is left, then let go. Blocks."""
        try:
            self.write_down(self.gathered())
        finally:
            with self._use:
                self._is_closed = True
                if self._demand is not None:
                    self._demand.close()

    def _opened(self) -> Demand:
        if self._is_closed:
            raise Unavailable("the engine is stopping")
        if self._demand is None:
            self._demand = Demand(self._path)
        return self._demand

    def _today(self) -> dt.date:
        return local_day(self._settings().scaling.timezone, self._clock.now_ns())

    # --- the calendar -------------------------------------------------------------------------------

    def _calendar(self, demand: Demand) -> tuple[list[list[Booking]], str]:
        """The bookings of each source, and why they cannot be relied on; empty if they can."""
        settings = self._settings().calendar
        old_ns = round(parse_span(settings.stale_after) * 1e9)
        sources: list[list[Booking]] = []
        if settings.feed:
            path = Path(settings.feed).expanduser()
            try:
                changed_ns = self._read_feed(demand, path)
            except (OSError, WedSyncError) as error:
                words = error.line() if isinstance(error, WedSyncError) else error.strerror or str(error)
                return [], f"the calendar {path} cannot be read ({words}): forecast without it"
            if self._clock.now_ns() - changed_ns > old_ns:
                age = format_span((self._clock.now_ns() - changed_ns) / 1e9)
                return [], f"the calendar {path} has not changed for {age}: forecast without it"
            sources.append(demand.bookings(f"{_FEED}{path}"))
        imported = demand.facts(_IMPORT)
        fresh = [name for name, at in imported.items() if self._clock.now_ns() - int(at) <= old_ns]
        if imported and not fresh and not settings.feed:
            return [], f"no calendar was taken in for {settings.stale_after}: forecast without"
        return [*sources, *(demand.bookings(name) for name in fresh)], ""

    def _read_feed(self, demand: Demand, path: Path) -> int:
        """Take in what changed; when it did, in nanoseconds since 1970."""
        changed_ns = os.stat(path).st_mtime_ns
        if (str(path), changed_ns) != self._feed_seen:
            bookings, problems = read_calendar(_text_of(path))
            if not bookings:
                raise UsageError("there is no booking in it")
            for problem in problems[:5]:
                _LOG.warning("the calendar %s: %s", path, problem)
            demand.take_bookings(f"{_FEED}{path}", bookings, self._today())
            self._feed_seen = str(path), changed_ns
        return changed_ns

    def _weddings(
        self, demand: Demand, weddings: tuple[Wedding, ...], sources: list[list[Booking]]
    ) -> tuple[list[Held], list[Booking]]:
        """The weddings that are over, with what they asked for; and every booking, those of the register too."""
        zone = self._settings().scaling.timezone
        registered = [
            Booking(uid=each.id, name=each.name, date=each.date, timezone=each.timezone,
                    booked_on=local_day(zone, each.created_ns) if each.created_ns else None)
            for each in weddings
        ]  # fmt: skip
        bookings = merged([*sources, registered])
        traits = {(each.name.casefold(), each.date): each for source in sources for each in source}
        known = {
            each.uid: (_midnight_hour(each), traits.get((each.name.casefold(), each.date), each)) for each in registered
        }
        return demand.held(known, self._clock.now_ns() // HOUR_NS), bookings

    # --- champion and challenger --------------------------------------------------------------------

    def _studied(self, known: Known, kept: str) -> BacktestReport | None:
        """How the models did on the history here, at most a week old; None where it is too short to say."""
        from engine.scaling.ahead import histories, tables_of
        from engine.scaling.backtest import study

        at, _, text = kept.partition(" ")
        basis = "calendar" if known.bookings is not None else "no-calendar"
        if text.startswith(f"{basis} ") and known.now_ns - int(at) < STUDIED_AGAIN_NS:
            with suppress(msgspec.DecodeError):  # of a version that told other things
                return from_json(text.partition(" ")[2].encode(), BacktestReport)
        tables = tables_of(known)
        if tables is None:
            return None
        history = histories(known, tables, tables.jobs, known.profiles.jobs, STUDY_AHEAD)
        try:
            found = study(history, ahead=STUDY_AHEAD, origins=STUDY_ORIGINS)
        except UsageError:
            return None  # too short, or nothing ever happened
        with self._use:
            self._opened().remember(_STUDY, f"{known.now_ns} {basis} {msgspec.json.encode(found).decode()}")
        return found


def _midnight_hour(booking: Booking) -> int:
    """The hour since 1970 that its day begins with, where it is held."""
    midnight = dt.datetime.combine(booking.date, dt.time(), tzinfo=zone_of(booking.timezone or "UTC"))
    return int(midnight.timestamp()) // 3600


def _text_of(path: Path) -> str:
    """A calendar's text. Raises OSError, UsageError, LimitReached."""
    if (size := path.stat().st_size) > FEED_BYTES_MAX:
        raise LimitReached(f"{path} has {format_bytes(size)}", f"at most {format_bytes(FEED_BYTES_MAX)} are read")
    try:
        return path.read_text(encoding="utf-8-sig")  # a table out of Excel begins with a mark
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
