"""An engine's presence in a repository: its lease, the marks it has read, and who of its users still relies on what.

A user of a wedding may rely on any pack but those of the marks that were read when it began; whatever is marked later
stays until it is done, because the lease names no mark that concerns the wedding of a user which began before it. So a
lease that names a mark says: nobody here relies on these packs. Any thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator

from engine.base.clock import Clock
from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.repository import layout, marks, numbered
from engine.repository.leases import Lease, LeaseWatch

_LOG = logging.getLogger(__name__)


class Use:
    """Somebody at work on a wedding. `number`: of the newest mark that it has nothing to do with."""

    __slots__ = ("number", "wedding")

    def __init__(self, wedding: bytes, number: int) -> None:
        self.wedding = wedding
        self.number = number


class Presence:
    """One engine's."""

    def __init__(self, sealed: numbered.MasterSealed, *, host: str, process: int, started_ns: int) -> None:
        self._sealed = sealed
        self._who = (host, process, started_ns)
        self._renewing = threading.Lock()  # one at a time, as is reading
        self._reading = threading.Lock()
        self._lock = threading.Lock()  # of all below
        self._lease = self._new_lease()
        self._losses = 0
        self._known = 0  # all marks up to this number that stood were read
        self._standing: dict[int, marks.MarkObject] = {}
        self._uses: set[Use] = set()
        self._problem = ""

    @property
    def lease(self) -> Lease:
        """The lease in force."""
        with self._lock:
            return self._lease

    @property
    def losses(self) -> int:
        """How often a lease was lost so far. What began before the last time is not protected any more."""
        with self._lock:
            return self._losses

    @property
    def named(self) -> int:
        """The newest mark that nobody here has anything to do with."""
        with self._lock:
            return min((use.number for use in self._uses), default=self._known)

    @property
    def problems(self) -> list[str]:
        """What keeps this engine from naming marks, if anything."""
        return [self._problem] if self._problem else []

    def begin(self) -> None:
        """Show the lease, then read the marks: who begins to work after this has read all that were made before it."""
        self.read_marks()
        self.lease.renew(self.named)
        self.read_marks()
        if self.named > self.lease.named:
            self.lease.renew(self.named)

    def renew(self) -> None:
        """Read the marks, and show that this engine lives; with a new lease, if it was taken for dead."""
        with self._renewing:
            self.read_marks()
            if not self.lease.is_shown:
                self._begin_again()  # what began before it was shown was waited for by nobody
                return
            try:
                self.lease.renew(self.named)
            except Conflict as error:
                _LOG.warning("%s; it goes on with a new lease", error.message)
                self._begin_again()

    def _begin_again(self) -> None:
        with self._lock:
            self._lease = self._new_lease()
            self._losses += 1
        self.begin()

    def is_protected_since(self, losses: int) -> bool:
        """Whether the lease was never lost since there were `losses`; looks at it in the store."""
        if self.losses != losses:
            return False
        try:
            self.lease.check()
        except Conflict:
            return False
        return self.losses == losses

    def read_marks(self) -> None:
        """Read the marks that were made, up to one that is damaged, and forget those that are gone."""
        with self._reading:
            known, found, problem = self._known, dict[int, marks.MarkObject](), ""
            for number in self._sealed.numbers(layout.MARKS):
                try:
                    found[number] = self._standing.get(number) or marks.read(self._sealed, number)
                except NotFound:
                    pass  # done with since it was listed
                except IntegrityError as error:
                    problem = f"{error.message}; nothing that was marked since is deleted while this engine runs"
                    break
                known = max(known, number)
            with self._lock:
                self._standing, self._known, self._problem = found, known, problem
                for use in self._uses:
                    use.number = self._advanced(use)

    def marked(self, wedding: bytes) -> frozenset[bytes]:
        """The names of a wedding's packs that are marked: nobody who begins now may rely on them."""
        with self._lock:
            standing = [mark.of(wedding) for mark in self._standing.values()]
        return frozenset().union(*standing)

    @contextlib.contextmanager
    def using(self, wedding: bytes) -> Iterator[Use]:
        """Protect what a user of a wedding relies on, for the length of the block."""
        with self._lock:
            use = Use(wedding, self._known)
            self._uses.add(use)
        try:
            yield use
        finally:
            with self._lock:
                self._uses.discard(use)

    def waits_for(self, mark: int, own: Use) -> bool:
        """Whether somebody here, other than `own`, may rely on what the mark names of the same wedding."""
        with self._lock:
            return any(use is not own and use.wedding == own.wedding and use.number < mark for use in self._uses)

    def mark(self, wedding: bytes, packs: Iterable[bytes]) -> int:
        """Mark packs of a wedding for deletion, durably; the mark's number. Who asks is a user of the wedding."""
        number = marks.create(self._sealed, wedding, packs)
        self.read_marks()
        return number

    def watch(self, mark: int, clock: Clock) -> LeaseWatch:
        """The leases of other engines that are alive now that `mark` stands."""
        return LeaseWatch(self._sealed, mark=mark, own=self.lease.folder, clock=clock)

    def lift(self, mark: int) -> None:
        """Take away a mark whose packs are dropped or spared, or that nobody has acted on."""
        marks.remove(self._sealed, {mark})
        self.read_marks()

    def lift_older(self, wedding: bytes, mark: int) -> None:
        """Take away the marks of a wedding up to `mark`; no engine works on them any more."""
        self.read_marks()
        with self._lock:
            done = {number for number, each in self._standing.items() if each.weddings == {wedding} and number <= mark}
        marks.remove(self._sealed, done)
        self.read_marks()

    def _advanced(self, use: Use) -> int:
        """How far a user has nothing to do with the marks: up to the first that names packs of its wedding."""
        concerning = (number for number, mark in self._standing.items() if use.wedding in mark.weddings)
        return min((number - 1 for number in concerning if number > use.number), default=self._known)

    def _new_lease(self) -> Lease:
        host, process, started_ns = self._who
        return Lease(self._sealed, host=host, process=process, started_ns=started_ns)
