"""Leases: proof that a writer or reader lives, without comparing clocks (docs/format.md, section 6.7).

Creating `leases/ID/N+1` each minute is the heartbeat; the owner of a lease is one engine. Who deletes data waits
(`LeaseWatch`) until each lease alive has named its mark or has died, by its own clock, and fences off the dead.
"""

from __future__ import annotations

import contextlib
import threading

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Conflict, IntegrityError, NotFound, WedSyncError
from engine.base.units import format_span
from engine.contract.settings import LEASE_DEATH_S
from engine.repository import codec, crypto, layout, numbered

ENGINE, FENCED = "engine", "fenced"  # roles; on disk, never change


class LeaseObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One number of a lease."""

    role: str
    host: str
    process: int
    started_ns: int
    mark: int


class Lease:
    """An engine's lease. Any thread."""

    def __init__(self, sealed: numbered.MasterSealed, *, host: str, process: int, started_ns: int) -> None:
        self._sealed = sealed
        self._lock = threading.Lock()
        self._folder = layout.lease(sealed.entropy.token(16).hex())
        self._first = LeaseObject(ENGINE, host, process, started_ns, 0)
        self._number = 0
        self._named = 0

    @property
    def folder(self) -> str:
        """Where this lease's numbers stand."""
        return self._folder

    @property
    def is_shown(self) -> bool:
        """Whether it was ever created: not where nothing can be written, or the disk was full."""
        return self._number > 0

    @property
    def named(self) -> int:
        """The mark that it names."""
        return self._named

    def renew(self, mark: int = 0) -> None:
        """Create the next number, naming `mark`. Raises Conflict when this lease was fenced."""
        with self._lock:
            lease = msgspec.structs.replace(self._first, mark=mark)
            if not self._create(lease):  # what was there is of an earlier renewal, so this one is still to be shown
                self._create(lease)
            self._named = mark

    def check(self) -> None:
        """Raise Conflict when this lease was fenced: asked by a writer after its commit."""
        number = self._number
        if self._sealed.numbers(self._folder)[-1:] == [number]:
            return  # without the lock, which a renewal may hold for long
        with self._lock:
            numbers = self._sealed.numbers(self._folder)
            if numbers and numbers[-1] == self._number + 1 and self._is_ours(numbers[-1]):
                return  # a renewal of ours, though it was reported as failed
            if not numbers or numbers[-1] != self._number:
                raise _fenced()

    def release(self) -> None:
        """End the lease; errors are of no consequence, since it will be seen to be dead."""
        with self._lock:
            for number in self._sealed.numbers(self._folder):
                with contextlib.suppress(WedSyncError):
                    self._sealed.store.delete(f"{self._folder}{number}")

    def _create(self, lease: LeaseObject) -> bool:
        """Take the next number; False when a renewal of ours, stored and yet reported as failed, has it already."""
        number = self._number + 1
        name = f"{self._folder}{number}"
        is_new = True
        try:
            self._sealed.store.put(name, _sealed_lease(self._sealed, name, lease))
        except Conflict:
            is_new = False
            if not self._is_ours(number):
                raise _fenced() from None
        self._number = number
        if number > 1:
            with contextlib.suppress(NotFound):
                self._sealed.store.delete(f"{self._folder}{number - 1}")
        return is_new

    def _is_ours(self, number: int) -> bool:
        """Whether a number says what this lease writes, and not that it is fenced."""
        name = f"{self._folder}{number}"
        try:
            found = codec.decode(self._sealed.read(self._folder, number, crypto.LEASE), LeaseObject, name)
        except (IntegrityError, NotFound):
            return False
        return msgspec.structs.replace(found, mark=0) == self._first


class _Seen(msgspec.Struct):
    """How a lease stood when it was last seen to grow."""

    number: int
    since_s: float
    owner: LeaseObject | None = None


class LeaseWatch:
    """The leases alive when a mark was made, until each has named it or is dead. One thread at a time."""

    def __init__(self, sealed: numbered.MasterSealed, *, mark: int, own: str, clock: Clock) -> None:
        """`own`: the folder of the lease that is not waited for. The mark stands already."""
        self._sealed = sealed
        self._mark = mark
        self._clock = clock
        self._waited = {folder: _Seen(0, 0.0) for folder in self._newest() if folder != own}

    def look(self) -> list[str]:
        """Who is still waited for, in words. A lease that has not grown for long enough is fenced off on the way."""
        newest, now_s = self._newest(), self._clock.boottime_s()
        for folder, seen in list(self._waited.items()):
            if self._is_done(folder, seen, newest.get(folder, 0), now_s):
                del self._waited[folder]
        return [_told(seen, now_s) for seen in self._waited.values()]

    def _newest(self) -> dict[str, int]:
        """The folders of all leases, and the highest number in each."""
        newest: dict[str, int] = {}
        for info in self._sealed.store.list(layout.LEASES):
            folder = info.name[: info.name.rindex("/") + 1]
            number = layout.number_of(info.name, folder)
            if number is not None:
                newest[folder] = max(number, newest.get(folder, 0))
        return newest

    def _is_done(self, folder: str, seen: _Seen, number: int, now_s: float) -> bool:
        if not number:
            return True  # released
        if number == seen.number:
            return now_s - seen.since_s >= LEASE_DEATH_S and self._fence(f"{folder}{number + 1}")
        seen.number, seen.since_s = number, now_s
        try:
            payload = self._sealed.read(folder, number, crypto.LEASE)
            seen.owner = codec.decode(payload, LeaseObject, f"{folder}{number}")
        except (IntegrityError, NotFound):
            return False  # damaged, or renewed since it was listed
        return seen.owner.role == FENCED or seen.owner.mark >= self._mark

    def _fence(self, name: str) -> bool:
        """Take a dead lease's next number; False when it has grown at last."""
        fenced = LeaseObject(FENCED, "", 0, 0, self._mark)
        with contextlib.suppress(Conflict):
            self._sealed.store.put(name, _sealed_lease(self._sealed, name, fenced))
            return True
        return False


def _told(seen: _Seen, now_s: float) -> str:
    who = f"the engine on {seen.owner.host} (process {seen.owner.process})" if seen.owner else "an engine"
    left_s = LEASE_DEATH_S - (now_s - seen.since_s)
    return f"{who}, which is taken for dead in {format_span(max(0.0, left_s))} unless it answers"


def _sealed_lease(sealed: numbered.MasterSealed, name: str, lease: LeaseObject) -> bytes:
    binding = crypto.Binding.named(crypto.LEASE, name)
    return crypto.seal_object(codec.encode(lease), binding, secret=sealed.master, epoch=0, entropy=sealed.entropy)


def _fenced() -> Conflict:
    return Conflict("this engine was taken for dead and fenced off", "start it again")
