"""Every copy of a wedding's packs as a run: each is read where it lies, in its own region and tier, and hashed.

A unit is one copy. While a tier has moved more than it may, copies in others go first. No key is needed for this.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from engine.base.errors import WedSyncError
from engine.base.units import format_count
from engine.contract.tiers import Tier, tier_of
from engine.pipeline.run import Buffers, Run, Unit
from engine.pipeline.verify import PROBLEMS_KEPT, VerifyOutcome
from engine.storage.copycheck import CopyChecker
from engine.storage.locations import Copy
from engine.storage.stores.metered import Meter


class ToRead(msgspec.Struct, frozen=True):
    """What of a wedding is to be read, and what counts without it."""

    copies: tuple[tuple[str, Copy], ...]  # object, and one copy of it as it is known
    archived: Mapping[str, tuple[str, ...]] = {}  # object → places whose copy was read back, and has to be recalled now
    missing: tuple[tuple[str, Copy], ...] = ()  # copies that were known and are not where they should be
    lost: tuple[str, ...] = ()  # objects that no place lists
    silent: Mapping[str, str] = {}  # places that do not answer, and what they say
    copies_wanted: int = 1  # of each pack, in as many regions


class CopiesRun(Run[VerifyOutcome]):
    """Reads copies. What is bad or missing is healed by others; a pack without any good copy is a problem."""

    def __init__(self, to_read: ToRead, checker: CopyChecker, meters: Mapping[Tier, Meter]) -> None:
        super().__init__()
        self._wanted = to_read
        self._checker = checker
        self._meters = meters
        self._ahead: dict[Tier, deque[tuple[str, Copy]]] = {}
        for name, copy in to_read.copies:
            self._ahead.setdefault(tier_of(copy.place), deque()).append((name, copy))
        self._lock = threading.Lock()  # of all below
        self._good: dict[str, set[str]] = {name: set() for name, _ in (*to_read.copies, *to_read.missing)}
        self._bad: dict[str, list[Copy]] = {}
        self._silent: dict[str, list[str]] = {place: [why] for place, why in to_read.silent.items()}
        self._read = 0
        for name, places in to_read.archived.items():
            self._good.setdefault(name, set()).update(map(_region, places))
        for name, copy in to_read.missing:
            self._bad.setdefault(name, []).append(copy)
        self.progress.files_total = len(to_read.copies)
        self.progress.bytes_total = sum(copy.size_bytes for _, copy in to_read.copies)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`. What a copy moves counts against its tier's limit when it is begun."""
        for tier, copies in self._ahead.items():
            if copies and self._meters[tier].wait_s() == 0.0:
                name, copy = copies.popleft()
                self._meters[tier].read(copy.size_bytes)
                self.cost = copy.size_bytes
                self.progress.current = copy.place
                return partial(self._check, name, copy)
        return None

    @property
    def is_waiting(self) -> bool:
        """See `Run.is_waiting`: for the limit of a tier."""
        return any(self._ahead.values())

    def _check(self, name: str, copy: Copy, buffers: Buffers) -> None:
        begin_s = buffers.now_s()
        try:
            found = self._checker.check(name, copy)
        except WedSyncError as error:
            with self._lock:
                self._silent.setdefault(copy.place, []).append(error.message)
            return
        buffers.spent("read", buffers.now_s() - begin_s, copy.size_bytes)
        with self._lock:
            self._read += 1
            if found.state == "good":
                self._good[name].add(_region(copy.place))
            else:
                self._bad.setdefault(name, []).append(found)
            self.progress.files_done += 1
            self.progress.bytes_read += copy.size_bytes

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        with self._lock:
            return tuple(f"a copy of {name} is {_where(copies)}" for name, copies in self._bad.items())

    def conclude(self, buffers: Buffers) -> VerifyOutcome:
        """See `Run.conclude`."""
        with self._lock:
            packs = len(self._good) + len(self._wanted.lost)
            problems = [f"no copy of {name} lies anywhere" for name in self._wanted.lost]
            healed: list[str] = []
            for name, copies in self._bad.items():
                if self._good[name]:
                    healed.append(
                        f"a copy of {name} is {_where(copies)}; a good one is read, and heals it where that can be"
                    )
                else:
                    problems.append(f"no good copy of {name} was found: {_where(copies)}")
            return VerifyOutcome(
                packs=packs,
                copies=self._read,
                bytes_checked=self.progress.bytes_read,
                problems=problems[:PROBLEMS_KEPT],
                problems_total=len(problems),
                healed=healed[:PROBLEMS_KEPT] + self._told(),
            )

    def _told(self) -> list[str]:
        """What was not read, and what has too few copies. Under the lock."""
        told = [f"{place} was not read: {', '.join(sorted(set(why)))}" for place, why in sorted(self._silent.items())]
        if self._wanted.archived:
            packs = format_count(len(self._wanted.archived), "archived pack")
            told.append(f"not read again: {packs}, read back before being archived; recall brings them back")
        short = sum(len(regions) < self._wanted.copies_wanted for regions in self._good.values())
        if short:
            copies = format_count(self._wanted.copies_wanted, "good copy")
            told.append(f"{format_count(short, 'pack')} with fewer than {copies}")
        return told


def _where(copies: Iterable[Copy]) -> str:
    return ", ".join(f"{copy.state} in {copy.place}" for copy in copies)


def _region(place: str) -> str:
    return place.partition("/")[2]
