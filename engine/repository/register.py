"""The register of weddings: a numbered log of full states and changes (docs/format.md, section 6.3). Any thread.

A wedding that stands in the store though no readable number names it is *lost*: it is handed in, and has a name of its
own making until it is given one again.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.base.ids import WEDDING_ID_BYTES
from engine.contract.weddings import Hold, Wedding
from engine.repository import codec, crypto, layout, numbered

_CHANGES_MAX = 64
_REPEATED_CHANGES = 2  # so many changes before it are said again by each, so that one lost object loses nothing
_REPEATED_WEDDINGS_MAX = 64


_NINE_VALUES, _TEN_VALUES = b"\x99", b"\x9a"  # heads of MessagePack arrays
_LOST = "lost-"
_LOST_DIGITS = 8


class StoredWedding(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A wedding as stored; on disk, never change the order."""

    id: bytes
    name: str
    date: dt.date
    timezone: str
    venue: str
    position: tuple[float, float] | None
    archived: bool
    created_ns: int


class PlacedWedding(StoredWedding, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One that names the regions it may lie in, which is none of the others' business."""

    regions: tuple[str, ...]


class StoredHold(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Why a snapshot, or with "" the whole wedding, may not be deleted."""

    snapshot: str
    reason: str
    since_ns: int


class HeldWedding(PlacedWedding, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One that is held, in whole or in part; its regions may be none."""

    holds: tuple[StoredHold, ...]


class RegisterObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One number of the register."""

    full: bool
    weddings: tuple[StoredWedding, ...]


class _RawRegister(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The same with its weddings as they are stored: of each eight values, nine or ten."""

    full: bool
    weddings: tuple[msgspec.Raw, ...]


def decode(payload: bytes, what: str) -> RegisterObject:
    """A number's payload. Raises IntegrityError."""
    found = codec.decode(payload, _RawRegister, what)
    return RegisterObject(found.full, tuple(_decode_wedding(bytes(raw), what) for raw in found.weddings))


def _decode_wedding(raw: bytes, what: str) -> StoredWedding:
    if raw[:1] == _TEN_VALUES:
        held = codec.decode(raw, HeldWedding, what)
        if not held.holds:
            raise IntegrityError(f"{what} holds a wedding that names nothing held in its place")
        return held
    if raw[:1] != _NINE_VALUES:
        return codec.decode(raw, StoredWedding, what)
    placed = codec.decode(raw, PlacedWedding, what)
    if not placed.regions:
        raise IntegrityError(f"{what} holds a wedding that names no regions in their place")
    return placed


def _stored(wedding: Wedding) -> StoredWedding:
    position = None
    if wedding.latitude is not None and wedding.longitude is not None:
        position = (float(wedding.latitude), float(wedding.longitude))
    stored = StoredWedding(
        bytes.fromhex(wedding.id),
        wedding.name,
        wedding.date,
        wedding.timezone,
        wedding.venue,
        position,
        wedding.archived,
        wedding.created_ns,
    )
    if wedding.holds:
        holds = tuple(StoredHold(hold.snapshot, hold.reason, hold.since_ns) for hold in wedding.holds)
        return HeldWedding(**msgspec.structs.asdict(stored), regions=wedding.regions, holds=holds)
    return PlacedWedding(**msgspec.structs.asdict(stored), regions=wedding.regions) if wedding.regions else stored


def _wedding(stored: StoredWedding) -> Wedding:
    latitude, longitude = stored.position or (None, None)
    return Wedding(
        id=stored.id.hex(),
        name=stored.name,
        date=stored.date,
        timezone=stored.timezone,
        venue=stored.venue,
        latitude=latitude,
        longitude=longitude,
        archived=stored.archived,
        created_ns=stored.created_ns,
        regions=stored.regions if isinstance(stored, PlacedWedding) else (),
        holds=tuple(map(_hold, stored.holds)) if isinstance(stored, HeldWedding) else (),
    )


def _hold(stored: StoredHold) -> Hold:
    return Hold(snapshot=stored.snapshot, reason=stored.reason, since_ns=stored.since_ns)


class Register:
    """All weddings in memory, each change written through."""

    def __init__(self, sealed: numbered.MasterSealed) -> None:
        self._sealed = sealed
        self._lock = threading.Lock()
        self._weddings: dict[bytes, Wedding] = {}
        self._names: dict[str, bytes] = {}
        self._number = 0  # the highest applied
        self._changes = 0  # since the last full state
        self._lost: dict[bytes, Wedding] = {}  # none of `_weddings`
        self._problems: list[str] = []  # of numbers that count
        self._told: tuple[str, ...] = ()
        # What the last changes changed, each the one after the one before, by number. Of a number that could not be
        # read nothing is known, so from before it nothing may be repeated: that could undo what it said.
        self._recent: deque[tuple[int, tuple[bytes, ...]]] = deque(maxlen=_REPEATED_CHANGES)

    @property
    def problems(self) -> list[str]:
        """What of it cannot be read, and which weddings lost their names by that: a sentence each. Waits for nobody."""
        return list(self._told)

    def refresh(self) -> None:
        """Read what others have written since. What cannot be read is a problem. Raises IntegrityError if set back."""
        with self._lock:
            self._refresh()
            self._tell()

    def unnamed(self, standing: Iterable[bytes]) -> list[bytes]:
        """Those of these ids that nothing names yet."""
        with self._lock:
            return [wedding for wedding in standing if wedding not in self._weddings and wedding not in self._lost]

    def bring_back(self, wedding: bytes, date: dt.date) -> None:
        """Show a wedding that stands in the store and that nothing names, as `lost-` and digits of its id."""
        with self._lock:
            if wedding in self._weddings or wedding in self._lost:
                return
            names = (_LOST + wedding.hex()[:digits] for digits in range(_LOST_DIGITS, 2 * WEDDING_ID_BYTES + 1))
            name = next((name for name in names if self._owner(name) is None), wedding.hex())
            self._lost[wedding] = Wedding(id=wedding.hex(), name=name, date=date)
            self._tell()

    def all(self) -> tuple[Wedding, ...]:
        """Every wedding, by date, then name; the lost ones too."""
        with self._lock:
            weddings = [*self._weddings.values(), *self._lost.values()]
        return tuple(sorted(weddings, key=lambda wedding: (wedding.date, wedding.name)))

    def get(self, name: str) -> Wedding:
        """The wedding of that name. Raises NotFound."""
        with self._lock:
            key = self._owner(name)
            if key is None:
                raise NotFound(f"there is no wedding {name!r}", "weddings lists them; wedding add registers one")
            return self._weddings.get(key) or self._lost[key]

    def by_id(self, wedding_id: str) -> Wedding:
        """The wedding of that id. Raises NotFound."""
        with self._lock:
            return self._standing(bytes.fromhex(wedding_id))

    def change(self, wedding_id: str, changed: Callable[[Wedding], Wedding]) -> Wedding:
        """Replace a wedding by what `changed` makes of it as it stands when that is written; what it is then.

        So nothing is undone that another writer changed meanwhile. Raises NotFound, Conflict as `put`, and whatever
        `changed` raises.
        """
        key = bytes.fromhex(wedding_id)
        with self._lock:
            for _ in numbered.attempts():
                self._refresh()
                after = changed(self._standing(key))
                self._refuse_taken_names((after,))
                if self._try_put({key: after}):
                    return after
        raise numbered.give_up("the register")

    def _standing(self, key: bytes) -> Wedding:
        found = self._weddings.get(key) or self._lost.get(key)
        if found is None:
            raise NotFound("the wedding is not in the register any more")
        return found

    def put(self, *weddings: Wedding) -> None:
        """Add or replace weddings by id, in one change. Raises Conflict when a name is another wedding's.

        No number is ever removed, so whoever can create the next one has missed none: only a conflict lists them.
        """
        with self._lock:
            if self._taken_name(weddings):
                self._refresh()  # it may be free by now
            for _ in numbered.attempts():
                self._refuse_taken_names(weddings)
                if self._try_put({bytes.fromhex(wedding.id): wedding for wedding in weddings}):
                    return
                self._refresh()
        raise numbered.give_up("the register")

    def _try_put(self, weddings: dict[bytes, Wedding]) -> bool:
        """Write weddings as the next number; False when another writer took it."""
        # A full state would bury a damaged number, which may yet be brought back from a copy: `heal` does.
        full = self._changes >= _CHANGES_MAX and not self._problems
        before = self._weddings if full else self._repeated()
        return self._write(full, {**before, **weddings}.values())

    def heal(self) -> tuple[Wedding, ...]:
        """Write all that is known as a full state, lost weddings too, so that what is damaged no longer counts.

        Returns the weddings that were lost. Does nothing where there is no problem.
        """
        with self._lock:
            for _ in numbered.attempts():
                self._refresh()
                lost = tuple(self._lost.values())
                if not self._problems and not lost:
                    return ()
                if self._write(True, (*self._weddings.values(), *lost)):
                    self._problems.clear()
                    self._tell()
                    return lost
        raise numbered.give_up("the register")

    def _write(self, full: bool, weddings: Iterable[Wedding]) -> bool:
        """Create the next number; False when another writer took it."""
        entry = RegisterObject(full, tuple(_stored(wedding) for wedding in weddings))
        try:
            self._sealed.create(layout.REGISTER, self._number + 1, crypto.REGISTER, codec.encode(entry))
        except Conflict:
            return False
        self._apply(self._number + 1, entry)
        self._tell()
        return True

    def _tell(self) -> None:
        self._told = (*self._problems, *map(_lost_line, self._lost.values()))

    def _repeated(self) -> dict[bytes, Wedding]:
        """What the last changes changed, as it now stands: as much as is little, and as is sure to be the newest."""
        repeated: dict[bytes, Wedding] = {}
        if self._recent and self._recent[-1][0] == self._number:
            for _, changed in reversed(self._recent):
                if len(repeated) + len(changed) > _REPEATED_WEDDINGS_MAX:
                    break
                repeated |= {wedding: self._weddings[wedding] for wedding in changed}
        return repeated

    def _owner(self, name: str) -> bytes | None:
        """The id of the wedding of that name."""
        if name in self._names:
            return self._names[name]
        return next((wedding for wedding, lost in self._lost.items() if lost.name == name), None)

    def _refuse_taken_names(self, weddings: tuple[Wedding, ...]) -> None:
        taken = self._taken_name(weddings)
        if taken:
            raise Conflict(f"there is a wedding {taken!r} already", "choose another name")

    def _taken_name(self, weddings: tuple[Wedding, ...]) -> str:
        """The first name that another wedding has, also among `weddings` themselves; empty when there is none."""
        names: dict[str, bytes] = {}
        for wedding in weddings:
            key = bytes.fromhex(wedding.id)
            if names.get(wedding.name, self._owner(wedding.name) or key) != key:
                return wedding.name
            names[wedding.name] = key
        return ""

    def _refresh(self) -> None:
        numbers = [number for number in self._sealed.numbers(layout.REGISTER) if number > self._number]
        if not numbers:
            self._sealed.refuse_less(layout.REGISTER, self._number)
            return
        readable: list[tuple[int, RegisterObject]] = []
        problems: list[str] = []
        for number in reversed(numbers):  # newest first, back to the newest full state
            try:
                entry = self._read(number)
            except (IntegrityError, NotFound) as error:
                problems.append(error.message)
                continue
            readable.append((number, entry))
            if entry.full:
                self._problems.clear()  # of what came before
                break
        self._problems += [*problems, *self._gaps(numbers, readable)]
        for number, entry in reversed(readable):
            self._apply(number, entry)
        self._number = max(self._number, numbers[-1])
        self._sealed.refuse_less(layout.REGISTER, self._number)  # a damaged change is there, and is told of
        if readable:
            self._sealed.remember(layout.REGISTER, readable[0][0])

    def _gaps(self, numbers: list[int], readable: list[tuple[int, RegisterObject]]) -> list[str]:
        """Changes are numbered one by one, so one that is not there was taken away."""
        if not readable:
            return []
        first = readable[-1][0] if readable[-1][1].full else self._number + 1
        present = set(numbers)
        missing = [number for number in range(first, readable[0][0]) if number not in present]
        return [f"{layout.REGISTER}{number} is missing, and what it changed" for number in missing]

    def _read(self, number: int) -> RegisterObject:
        payload = self._sealed.read(layout.REGISTER, number, crypto.REGISTER)
        entry = decode(payload, f"register/{number}")
        if any(len(wedding.id) != WEDDING_ID_BYTES for wedding in entry.weddings):
            raise IntegrityError(f"register/{number} holds a wedding without an id")
        return entry

    def _apply(self, number: int, entry: RegisterObject) -> None:
        found = {stored.id: _wedding(stored) for stored in entry.weddings}
        changed = {key: wedding for key, wedding in found.items() if self._weddings.get(key) != wedding}
        self._note_change(number, changed if self._number or not entry.full else ())
        if entry.full:
            changed = found
            self._weddings.clear()
            self._names.clear()
            self._changes = 0
        else:
            self._changes += 1
        for key, wedding in changed.items():
            before = self._weddings.get(key)
            if before is not None and self._names.get(before.name) == key:
                del self._names[before.name]
            self._weddings[key] = wedding
            self._names[wedding.name] = key
            self._lost.pop(key, None)
        self._number = number

    def _note_change(self, number: int, changed: Iterable[bytes]) -> None:
        if self._recent and self._recent[-1][0] != number - 1:
            self._recent.clear()
        self._recent.append((number, tuple(changed)))


def _lost_line(wedding: Wedding) -> str:
    return (
        f"{wedding.name} is wedding {wedding.id}, whose name is lost: no readable entry of the register has it; "
        f"give it one with wedding edit {wedding.name} --rename NAME --date DAY"
    )
