"""Leases: proof that a writer or reader lives, without comparing clocks (docs/format.md, section 6.7).

Creating `leases/ID/N+1` each minute is the heartbeat; the owner of a lease is one engine. Deleting data
(prune, later) waits until each lease alive has read its mark or has died.
"""

from __future__ import annotations

import contextlib
import threading

import msgspec

from engine.base.errors import Conflict, IntegrityError, NotFound, WedSyncError
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

    @property
    def folder(self) -> str:
        """Where this lease's numbers stand."""
        return self._folder

    def renew(self) -> None:
        """Create the next number, naming the newest mark. Raises Conflict when this lease was fenced."""
        with self._lock:
            marks = self._sealed.numbers(layout.MARKS)
            lease = msgspec.structs.replace(self._first, mark=marks[-1] if marks else 0)
            if not self._create(lease):  # what was there is of an earlier renewal, so this one is still to be shown
                self._create(lease)

    def check(self) -> None:
        """Raise Conflict when this lease was fenced: asked by a writer after its commit."""
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
        sealed = crypto.seal_object(
            codec.encode(lease),
            crypto.Binding.named(crypto.LEASE, name),
            secret=self._sealed.master,
            epoch=0,
            entropy=self._sealed.entropy,
        )
        is_new = True
        try:
            self._sealed.store.put(name, sealed)
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


def _fenced() -> Conflict:
    return Conflict("this engine was taken for dead and fenced off", "start it again")
