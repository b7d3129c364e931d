"""What the engine remembers of weddings: the register as last read, and how safe each of them is.

The repository is the truth; this is its copy for the loop, so that nothing that is shown reads a store. It is
filled by jobs that commit and, in the background, by listing snapshots. Engine loop only.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Sequence

import msgspec

from engine.base.errors import IntegrityError, NotFound
from engine.contract.status import WeddingRow, WeddingWatch
from engine.contract.weddings import PriorityClass, Wedding
from engine.jobs.priority import class_on, local_day
from engine.storage.distance import Whereabouts

_MINUTE_NS = 60 * 10**9
_COMPARED_MAX = 400


def whereabouts_of(wedding: Wedding) -> Whereabouts:
    """Where a wedding is, and where it may lie."""
    position = None
    if wedding.latitude is not None and wedding.longitude is not None:
        position = (wedding.latitude, wedding.longitude)
    return Whereabouts(position, wedding.regions)


class Safety(msgspec.Struct, frozen=True):
    """How safe a wedding is. `snapshots` None: not counted since this engine started."""

    protected_since_ns: int | None = None
    snapshots: int | None = None
    bytes_source: int | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known."""
        return self.snapshots is None and self.protected_since_ns is None


UNKNOWN = Safety()


class Recovery(msgspec.Struct, frozen=True):
    """What of a snapshot matters here."""

    time_ns: int
    bytes_source: int


class Listing(msgspec.Struct, frozen=True):
    """The weddings that are not archived: those of today, those to come, then the past from the newest on."""

    weddings: tuple[tuple[Wedding, PriorityClass], ...] = ()
    today: int = 0
    today_protected: int = 0
    today_unknown: int = 0  # not counted since the start
    unknown: int = 0


class Facts:
    """The weddings as this engine knows them."""

    def __init__(self) -> None:
        self.weddings: tuple[Wedding, ...] = ()  # by date, then name; archived ones too
        self.register_problems: tuple[str, ...] = ()  # what of the register cannot be read
        self.fresh: dict[str, int] = {}  # weddings that committed and are not known to be safe → the snapshot's time
        self._by_name: dict[str, Wedding] = {}
        self._by_id: dict[str, Wedding] = {}
        self._safety: dict[str, Safety] = {}
        self._damaged: dict[str, tuple[str, ...]] = {}
        self._listing = Listing()
        self._today: frozenset[str] = frozenset()  # ids of the weddings of today
        self._listed_minute = -1  # -1: the register changed since

    def take_register(self, weddings: Iterable[Wedding], problems: Sequence[str] = ()) -> None:
        """Replace the copy of the register; `problems` say what of it cannot be read."""
        self.register_problems = tuple(problems)
        in_order = tuple(sorted(weddings, key=lambda wedding: (wedding.date, wedding.name)))
        if in_order == self.weddings:
            return  # ten thousand are not gone through again because somebody has looked
        self.weddings = in_order
        self._by_name = {wedding.name: wedding for wedding in self.weddings}
        self._by_id = {wedding.id: wedding for wedding in self.weddings}
        self._safety = {key: safety for key, safety in self._safety.items() if key in self._by_id}
        self._damaged = {key: damaged for key, damaged in self._damaged.items() if key in self._by_id}
        self._listed_minute = -1

    def find(self, name: str) -> Wedding:
        """The wedding of that name. Raises NotFound, naming the nearest ones; IntegrityError when it may be lost."""
        wedding = self._by_name.get(name)
        if wedding is not None:
            return wedding
        if self.register_problems:
            what = f"there is no wedding {name!r} in what can be read of the register: {self.register_problems[0]}"
            hint = "weddings lists what is there; those that lost their names are called lost- and digits of their ids"
            raise IntegrityError(what, hint)
        # Comparing costs some 20 µs a name: of a large register only names with the same first letter are.
        known = list(self._by_name)
        if len(known) > _COMPARED_MAX:
            known = [other for other in known if other[:1] == name[:1]][:_COMPARED_MAX]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "weddings lists them; wedding add registers one"
        raise NotFound(f"there is no wedding {name!r}", hint)

    def by_id(self, wedding_id: str) -> Wedding | None:
        """The wedding with this id, if it is in the register."""
        return self._by_id.get(wedding_id)

    def whereabouts(self, wedding_id: str) -> Whereabouts:
        """What placement asks of a wedding; nothing is known of one that is not in the register. Any thread."""
        wedding = self._by_id.get(wedding_id)  # the dict is only ever replaced whole
        return Whereabouts() if wedding is None else whereabouts_of(wedding)

    def safety(self, wedding_id: str) -> Safety:
        """How safe a wedding is, as far as known."""
        return self._safety.get(wedding_id, UNKNOWN)

    def counted(self, wedding_id: str, snapshots: Sequence[Recovery], damaged: Sequence[str] = ()) -> None:
        """Take in all complete snapshots of a wedding; `damaged` says which others cannot be read."""
        self._damaged[wedding_id] = tuple(damaged)
        newest = max(snapshots, key=lambda snapshot: snapshot.time_ns, default=None)
        if newest is None:
            self._set(wedding_id, Safety(snapshots=0))
        else:
            self._set(wedding_id, Safety(newest.time_ns, len(snapshots), newest.bytes_source))

    def damaged(self, weddings: Iterable[Wedding]) -> tuple[str, ...]:
        """Which snapshots of these weddings cannot be read, a sentence each."""
        return tuple(f"{each.name}: {problem}" for each in weddings for problem in self._damaged.get(each.id, ()))

    def committed(self, wedding_id: str, snapshot: Recovery) -> None:
        """Take in one more complete snapshot."""
        self.fresh[wedding_id] = snapshot.time_ns
        before = self.safety(wedding_id)
        count = None if before.snapshots is None else before.snapshots + 1
        if before.protected_since_ns is not None and before.protected_since_ns > snapshot.time_ns:
            self._set(wedding_id, Safety(before.protected_since_ns, count, before.bytes_source))
        else:
            self._set(wedding_id, Safety(snapshot.time_ns, count, snapshot.bytes_source))

    def listing(self, now_ns: int) -> Listing:
        """The weddings in the order they are shown. Made anew when the register changed, or a minute has passed."""
        minute = now_ns // _MINUTE_NS
        if minute != self._listed_minute:
            self._listing = self._make_listing(now_ns)
            self._listed_minute = minute
        return self._listing

    def row(
        self, wedding: Wedding, priority: PriorityClass, running_jobs: int, watch: WeddingWatch | None = None
    ) -> WeddingRow:
        """A wedding as the status document has it."""
        safety = self.safety(wedding.id)
        return WeddingRow(
            name=wedding.name,
            date=wedding.date,
            timezone=wedding.timezone,
            venue=wedding.venue,
            priority=priority,
            archived=wedding.archived,
            protected_since_ns=safety.protected_since_ns,
            snapshots=safety.snapshots,
            bytes_source=safety.bytes_source,
            running_jobs=running_jobs,
            watch=watch,
        )

    def _set(self, wedding_id: str, safety: Safety) -> None:
        before, self._safety[wedding_id] = self.safety(wedding_id), safety
        wedding, listing = self._by_id.get(wedding_id), self._listing
        if wedding is None or wedding.archived:
            return
        unknown = safety.is_unknown - before.is_unknown
        is_today = wedding_id in self._today
        protected = (safety.protected_since_ns is not None) - (before.protected_since_ns is not None)
        if unknown or (is_today and protected):  # the order stays, and ten thousand are not counted again
            self._listing = msgspec.structs.replace(
                listing,
                today_protected=listing.today_protected + is_today * protected,
                today_unknown=listing.today_unknown + is_today * unknown,
                unknown=listing.unknown + unknown,
            )

    def _make_listing(self, now_ns: int) -> Listing:
        days: dict[str, dt.date] = {}
        coming: list[tuple[Wedding, PriorityClass]] = []
        past: list[tuple[Wedding, PriorityClass]] = []
        today: set[str] = set()
        protected = today_unknown = unknown = 0
        for wedding in self.weddings:
            if wedding.archived:
                continue
            day = days.get(wedding.timezone)
            if day is None:
                day = days[wedding.timezone] = local_day(wedding.timezone, now_ns)
            priority = class_on(wedding.date, day)
            (past if wedding.date < day else coming).append((wedding, priority))
            safety = self.safety(wedding.id)
            unknown += safety.is_unknown
            if priority == "same-day":
                today.add(wedding.id)
                protected += safety.protected_since_ns is not None
                today_unknown += safety.is_unknown
        coming.sort(key=lambda row: row[1] != "same-day")  # stable: else by date and name
        past.reverse()
        self._today = frozenset(today)
        return Listing(tuple(coming + past), len(today), protected, today_unknown, unknown)
