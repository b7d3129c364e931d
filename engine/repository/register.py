"""The register of weddings: a numbered log of full states and changes (docs/format.md, section 6.3). Any thread."""

from __future__ import annotations

import datetime as dt
import threading

import msgspec

from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.base.ids import WEDDING_ID_BYTES
from engine.contract.weddings import Wedding
from engine.repository import codec, crypto, layout, numbered

_CHANGES_MAX = 64


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


class RegisterObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One number of the register."""

    full: bool
    weddings: tuple[StoredWedding, ...]


def _stored(wedding: Wedding) -> StoredWedding:
    position = None
    if wedding.latitude is not None and wedding.longitude is not None:
        position = (float(wedding.latitude), float(wedding.longitude))
    return StoredWedding(
        bytes.fromhex(wedding.id),
        wedding.name,
        wedding.date,
        wedding.timezone,
        wedding.venue,
        position,
        wedding.archived,
        wedding.created_ns,
    )


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
    )


class Register:
    """All weddings in memory, each change written through."""

    def __init__(self, sealed: numbered.MasterSealed) -> None:
        self._sealed = sealed
        self._lock = threading.Lock()
        self._weddings: dict[bytes, Wedding] = {}
        self._names: dict[str, bytes] = {}
        self._number = 0  # the highest applied
        self._changes = 0  # since the last full state
        self.problems: list[str] = []

    def refresh(self) -> None:
        """Read what others have written since. Raises IntegrityError when the whole register is unreadable."""
        with self._lock:
            self._refresh()

    def all(self) -> tuple[Wedding, ...]:
        """Every wedding, by date, then name."""
        with self._lock:
            weddings = list(self._weddings.values())
        return tuple(sorted(weddings, key=lambda wedding: (wedding.date, wedding.name)))

    def get(self, name: str) -> Wedding:
        """The wedding of that name. Raises NotFound."""
        with self._lock:
            key = self._names.get(name)
            if key is None:
                raise NotFound(f"there is no wedding {name!r}", "weddings lists them; wedding add registers one")
            return self._weddings[key]

    def put(self, *weddings: Wedding) -> None:
        """Add or replace weddings by id, in one change. Raises Conflict when a name is another wedding's.

        No number is ever removed, so whoever can create the next one has missed none: only a conflict lists them.
        """
        with self._lock:
            if self._taken_name(weddings):
                self._refresh()  # it may be free by now
            for _ in numbered.attempts():
                self._refuse_taken_names(weddings)
                number, full = self._number + 1, self._changes >= _CHANGES_MAX
                changed = tuple(_stored(wedding) for wedding in weddings)
                if full:
                    merged = {**self._weddings, **{bytes.fromhex(w.id): w for w in weddings}}
                    changed = tuple(_stored(wedding) for wedding in merged.values())
                payload = codec.encode(RegisterObject(full, changed))
                try:
                    self._sealed.create(layout.REGISTER, number, crypto.REGISTER, payload)
                except Conflict:
                    self._refresh()
                    continue
                self._apply(number, RegisterObject(full, changed))
                return
        raise numbered.give_up("the register")

    def _refuse_taken_names(self, weddings: tuple[Wedding, ...]) -> None:
        taken = self._taken_name(weddings)
        if taken:
            raise Conflict(f"there is a wedding {taken!r} already", "choose another name")

    def _taken_name(self, weddings: tuple[Wedding, ...]) -> str:
        """The first name that another wedding has, also among `weddings` themselves; empty when there is none."""
        names: dict[str, bytes] = {}
        for wedding in weddings:
            key = bytes.fromhex(wedding.id)
            if names.get(wedding.name, self._names.get(wedding.name, key)) != key:
                return wedding.name
            names[wedding.name] = key
        return ""

    def _refresh(self) -> None:
        numbers = [number for number in self._sealed.numbers(layout.REGISTER) if number > self._number]
        if not numbers:
            self._sealed.refuse_less(layout.REGISTER, self._number)
            return
        readable: list[tuple[int, RegisterObject]] = []
        for number in reversed(numbers):  # newest first, back to the newest full state
            try:
                entry = self._read(number)
            except (IntegrityError, NotFound) as error:
                self.problems.append(error.message)
                continue
            readable.append((number, entry))
            if entry.full:
                break
        if not readable and not self._number:
            raise IntegrityError(self.problems[-1])
        self._note_gaps(numbers, readable)
        for number, entry in reversed(readable):
            self._apply(number, entry)
        self._number = max(self._number, numbers[-1])
        self._sealed.refuse_less(layout.REGISTER, self._number)  # a damaged change is there, and is told of
        if readable:
            self._sealed.remember(layout.REGISTER, readable[0][0])

    def _note_gaps(self, numbers: list[int], readable: list[tuple[int, RegisterObject]]) -> None:
        """Changes are numbered one by one, so one that is not there was taken away."""
        if not readable:
            return
        first = readable[-1][0] if readable[-1][1].full else self._number + 1
        present = set(numbers)
        missing = [number for number in range(first, readable[0][0]) if number not in present]
        self.problems += [f"{layout.REGISTER}{number} is missing, and what it changed" for number in missing]

    def _read(self, number: int) -> RegisterObject:
        payload = self._sealed.read(layout.REGISTER, number, crypto.REGISTER)
        entry = codec.decode(payload, RegisterObject, f"register/{number}")
        if any(len(wedding.id) != WEDDING_ID_BYTES for wedding in entry.weddings):
            raise IntegrityError(f"register/{number} holds a wedding without an id")
        return entry

    def _apply(self, number: int, entry: RegisterObject) -> None:
        if entry.full:
            self._weddings.clear()
            self._names.clear()
            self._changes = 0
        else:
            self._changes += 1
        for stored in entry.weddings:
            before = self._weddings.get(stored.id)
            if before is not None and self._names.get(before.name) == stored.id:
                del self._names[before.name]
            self._weddings[stored.id] = _wedding(stored)
            self._names[stored.name] = stored.id
        self._number = number
