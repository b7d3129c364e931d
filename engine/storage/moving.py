"""Moving a pack between tiers, in two phases: copied and read back, recorded; only then is the source let go.

Killed between any two steps nothing is lost: a copy counts once it was read back whole and is what its name says, and
the next attempt begins with what it finds. Called by one stream at a time for a pack; blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec
from blake3 import blake3

from engine.base.clock import Clock
from engine.base.errors import Conflict, IntegrityError, NotFound, NotPermitted, Unavailable
from engine.contract.tiers import TIERS, Tier, tier_of
from engine.storage.locations import Copy, Locations
from engine.storage.placement import Goal
from engine.storage.stack import Stack
from engine.storage.stores.metered import Meter
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES
from engine.storage.whole import PIECE_BYTES, digest, hash_of, parts


class Move(msgspec.Struct, frozen=True):
    """A pack that is to lie in another tier. `source` None: it is there already, and only to be let go elsewhere."""

    name: str
    size_bytes: int
    source: Tier | None
    target: Tier
    drops: tuple[Tier, ...]  # tiers that it leaves
    reason: str
    saves_month: float = 0.0
    copies_min: int = 1  # read back at the target before the others go: moving never leaves fewer than there must be


class Archive(Protocol):
    """What puts a pack that was read back into the archive class of its store."""

    def archive(self, name: str) -> None:
        """From now on it has to be recalled to be read. May be called again. Blocks."""
        ...


def move_of(name: str, size_bytes: int, copies: Iterable[Copy], goal: Goal) -> Move | None:
    """What brings a pack to its goal; None where it is. A move up keeps the copy below: it costs little there.

    A tier that has only copies that were found bad is left as well, as soon as another one has a good copy.
    """
    known = tuple(copies)
    good = {tier_of(copy.place): copy for copy in known if copy.state == "good"}
    bad = {tier_of(copy.place) for copy in known if copy.state in ("bad", "missing")} - good.keys()
    tiers = [tier for tier in TIERS if tier in good] or ["hot"]
    faster = [tier for tier in tiers if TIERS.index(tier) < TIERS.index(goal.tier)]
    spoilt = [tier for tier in TIERS if good and tier in bad and tier != goal.tier]
    drops = (*faster, *spoilt)
    is_there = goal.tier in good and (not drops or good[goal.tier].verified_ns > 0)
    if is_there and not drops:
        return None
    source = None if is_there else next((tier for tier in tiers if tier != goal.tier), tiers[0])
    if source == goal.tier and not spoilt:  # the catalog knows of none, so it is hot, where it is to be
        return None
    reason = goal.reason if faster or not spoilt else f"its copy in {spoilt[0]} is damaged"
    return Move(name, size_bytes, None if source == goal.tier else source, goal.tier, drops, reason, goal.saves_month)


class Mover:
    """Copies packs from tier to tier, and drops what is no longer needed. Any thread."""

    def __init__(
        self,
        stack: Stack,
        locations: Locations,
        *,
        meters: Mapping[Tier, Meter],
        clock: Clock,
        archives: Mapping[Tier, Archive] | None = None,
    ) -> None:
        """What was written is read back from the stores of single places, past every cache."""
        self._tiers = stack.tiers
        self._places = stack.places
        self._recheck = stack.recheck
        self._locations = locations
        self._meters = meters
        self._clock = clock
        self._archives = archives or {}
        self._begun_ns = clock.now_ns()

    def copy(self, move: Move, buffer: memoryview) -> None:
        """Phase one: a good copy at the target, read back. `buffer`: page-aligned memory, a MiB or more.

        Raises IntegrityError when no copy at the source is what its name says, or the target did not keep it (both are
        noted), NotFound, Unavailable, LimitReached, NotPermitted.
        """
        piece = buffer[:PIECE_BYTES]
        if move.source is None:
            with suppress(Unavailable):  # it is archived, and was read back before that
                self._read_back(move, piece)
            return
        if not self._stands(move):
            try:
                self._transfer(move, move.source, piece)
            except IntegrityError:
                if self._recheck is None or not self._recheck(move.name):
                    raise
                self._transfer(move, move.source, piece)  # the bad copies are known now, and another is read
        self._read_back(move, piece)
        if move.target in self._archives:
            self._archives[move.target].archive(move.name)

    def drop(self, move: Move) -> bool:
        """Phase two: let the other copies go. False, and nothing is touched, unless the target has as many copies as
        there must be, each read back and still there.

        Raises Unavailable, NotPermitted.
        """
        if not self._is_kept_at(move.target, move):
            return False
        for tier in move.drops:
            with suppress(NotFound):
                self._tiers[tier].delete(move.name)
            for place in self._places_of(tier):
                self._locations.forget(move.name, place)
        return True

    # --- phase one --------------------------------------------------------------------------------------

    def _stands(self, move: Move) -> bool:
        """Whether an earlier attempt, or somebody else, has written it there. What cannot be whole is taken away."""
        try:
            found = self._tiers[move.target].stat(move.name)
        except NotFound:
            return False
        copies = self._locations.copies(move.name)
        is_bad = any(copy.state == "bad" and tier_of(copy.place) == move.target for copy in copies)
        if found.size_bytes == move.size_bytes and not is_bad:
            return True
        self._discard(move)
        return False

    def _discard(self, move: Move) -> None:
        with suppress(NotFound):
            self._tiers[move.target].delete(move.name)

    def _transfer(self, move: Move, source: Tier, piece: memoryview) -> None:
        store, target = self._tiers[source], self._tiers[move.target]
        if move.size_bytes % STAGE_ALIGNMENT_BYTES:  # no pack of ours; whatever it is, it is kept
            data = store.get(move.name, limit_bytes=move.size_bytes)
            _check_source(move, source, blake3(data).hexdigest())
            with suppress(Conflict):
                target.put(move.name, data)
            return
        hasher = blake3()
        staged = target.stage()
        try:
            for part in parts(store, move.name, move.size_bytes, piece):
                hasher.update(part)
                staged.append(part)
            _check_source(move, source, hasher.hexdigest())
        except BaseException:
            staged.discard()
            raise
        staged.publish(move.name).result()

    def _read_back(self, move: Move, piece: memoryview) -> None:
        """Read every copy at the target that this mover has not read yet, and record those that are good.

        Raises IntegrityError unless one is, Unavailable where none is and a place does not answer.
        """
        known = {copy.place: copy for copy in self._locations.copies(move.name) if copy.state == "good"}
        good, away = 0, None
        for place in self._places_of(move.target):
            if place in known and known[place].verified_ns >= self._begun_ns:
                good += 1
                continue
            store = self._places[place]
            try:
                found = digest(store, move.name, move.size_bytes, piece)
            except (NotFound, IntegrityError):
                continue  # this region has none, or a short one; the place's own store has noted it
            except Unavailable as error:
                away = error
                continue
            self._meters[move.target].read(move.size_bytes)
            now_ns = self._clock.now_ns()
            if found == hash_of(move.name):
                self._locations.record(move.name, Copy(place, move.size_bytes, "good", now_ns, now_ns))
                good += 1
            else:
                self._locations.record(move.name, Copy(place, move.size_bytes, "bad", now_ns))
                with suppress(NotFound, NotPermitted):  # a region that only adds keeps it, and it is never read
                    store.delete(move.name)
        if not good and away is not None:
            raise away
        if not good:
            self._discard(move)
            raise IntegrityError(f"{move.target} did not keep pack {hash_of(move.name)} as it was written")

    # --- phase two --------------------------------------------------------------------------------------

    def _is_kept_at(self, tier: Tier, move: Move) -> bool:
        verified = {
            copy.place
            for copy in self._locations.copies(move.name)
            if copy.place in self._places and tier_of(copy.place) == tier and copy.state == "good" and copy.verified_ns
        }
        standing = 0
        for place in verified:
            with suppress(NotFound, Unavailable):
                standing += self._places[place].stat(move.name).size_bytes == move.size_bytes
        return standing >= move.copies_min

    def _places_of(self, tier: Tier) -> Iterator[str]:
        return (place for place in self._places if tier_of(place) == tier)


def _check_source(move: Move, source: Tier, found: str) -> None:
    if found != hash_of(move.name):
        raise IntegrityError(f"the copy of pack {hash_of(move.name)} in {source} is damaged", "run verify")
