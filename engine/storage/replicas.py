"""`ReplicatedStore`: one store over several regions, each a store of its own (docs/regions.md).

In: bytes and names. Out: the same from whichever region answers. A chosen name is created where its voters agree
(`agreement`), a pack is acknowledged once a quorum of regions has it (`publishing`); what a region missed stands in the
healing queue until it has it (`healing`). Reading asks the nearest region first and goes on to the next when one fails,
lacks the object, or holds other bytes than its name says. A deletion that a region missed leaves a tombstone, so that
nothing that was deleted comes back with it.
"""

from __future__ import annotations

import builtins
import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import suppress
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import TypeVar

from engine.base.errors import Conflict, IntegrityError, NotFound, NotPermitted, Unavailable, WedSyncError
from engine.base.invariants import check
from engine.storage import agreement, asking
from engine.storage.agreement import Answer, Reply
from engine.storage.publishing import Publications
from engine.storage.region import STUCK_S, Region
from engine.storage.replication import Replication, as_seen, closed, is_hash_name
from engine.storage.stores.names import check_name, check_prefix
from engine.storage.stores.store import ObjectInfo, ObjectStore, Space, StagedObject
from engine.storage.tombstones import TOMBSTONES, deleted_names
from engine.storage.whole import hash_copy

SPOOLS_MAX = 16  # packs on their way at once
_SERVED_MAX = 4096
_SEVERAL = ""
_HIDDEN_FOLDER = TOMBSTONES.rstrip("/")
_T = TypeVar("_T")


class ReplicatedStore:
    """A store in several regions. Any thread but an event loop's. See `ObjectStore` for what the methods promise."""

    def __init__(self, shared: Replication) -> None:
        """The regions and the healing queue are this store's from now on."""
        self.shared = shared
        self._publications = Publications(shared, spools_max=SPOOLS_MAX)
        self._rechecking = threading.Lock()
        self._served: dict[str, str] = {}  # pack → the region that all its parts came from; a few of them

    @property
    def url(self) -> str:
        """See `ObjectStore.url`: the names of the regions."""
        return "regions:" + "+".join(self.shared.regions)

    # --- writing ----------------------------------------------------------------------------------------

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`. A name with just these bytes was taken by an attempt of ours whose answer got lost."""
        check_name(name)
        self._check_open()
        shared = self.shared
        allowed, voters = shared.allowed(name), shared.voters(name)
        owed = [region.name for region in allowed]
        if is_hash_name(name) and not shared.revive(name):
            raise asking.too_few(allowed)
        first = voters[0].begin(partial(asking.create, name, data)) if voters[0].is_usable else None
        shared.queue.owe(name, owed, "copy", shared.clock.now_ns())  # while the first voter writes
        held: set[str] = set()
        found: bytes | Reply | None = None
        try:
            if shared.was_buried(name):
                shared.unbury(name)
            found, held = self._vote(name, voters, agreement.create(data, len(voters)), first)
            if found == data:
                self._copy_on(name, data, [region for region in allowed if region.name not in held], held)
                return
        finally:
            for region in owed if found != data else ():
                shared.queue.missed(name, region)
        if found is None:
            raise asking.too_few(voters)
        raise Conflict(f"{name} is in the store already")

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        self._check_open()
        return self._publications.stage()

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`: done when every region that may hold it has let go of it or is owed the deletion.

        A region that only adds keeps its copy, with a tombstone beside it.
        """
        check_name(name)
        self._check_open()
        shared = self.shared
        keeping = [region for region in shared.allowed(name) if region.append_only]
        others = [region for region in shared.allowed(name) if not region.append_only]
        busy = shared.queue.still_on_the_way(name, {region.name for region in others}, STUCK_S)
        if busy or not all(region.is_usable for region in others):
            self._bury(name)  # first, since it is known that a copy will be left
        futures = [(region, region.begin(lambda store: store.delete(name))) for region in others]
        answers = [(region, asking.outcome_of(future)) for region, future in futures]
        done = [region for region, error in answers if error is None]
        lagging = [
            region
            for region, error in answers
            if region.name in busy or not (error is None or isinstance(error, NotFound))
        ]
        errors = [error for region, error in answers if error is not None and region in lagging]
        if not done:
            if shared.is_told(name, len(errors)):
                raise NotFound(f"{name} is not in the store")
            raise asking.first_error(errors)
        if lagging or keeping:
            buried = self._bury(name)
            owed = [region.name for region in [*lagging, *(each for each in keeping if each.name not in buried)]]
            shared.queue.owe(name, owed, "delete", shared.clock.now_ns(), on_the_way=False)
        for region in done:
            shared.mark_good(name, region.name)
            shared.note(name, region.name, "gone", 0)

    def _bury(self, name: str) -> set[str]:
        allowed = self.shared.allowed(name)
        buried = self.shared.bury(name, allowed)
        if self.shared.is_told(name, len(buried)):  # those that have it could be silent, and nobody would ask further
            raise asking.too_few(allowed)
        return buried

    # --- reading ----------------------------------------------------------------------------------------

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`. What is named by its hash is compared with it; of other names two voters are asked."""
        check_name(name)
        self._check_open()
        if is_hash_name(name):
            return self._first(name, lambda store, _: asking.hashed(name, store, limit_bytes=limit_bytes))
        voters = self.shared.voters(name)
        if len(voters) == 1:
            return self._first(name, lambda store, _: store.get(name, limit_bytes=limit_bytes), ranked=voters)
        answers = self._asked(name, voters, limit_bytes)
        if len({answer for answer in answers if isinstance(answer, bytes)}) > 1:
            # One is wrong, on its disk or on the way. Another may be on its way to where it can outvote that.
            self.shared.queue.still_on_the_way(name, {region.name for region in voters}, STUCK_S)
            answers = self._asked(name, voters, limit_bytes)
        found = agreement.agreed(answers, len(voters))
        if found is not None:
            return found
        values = {answer for answer in answers if isinstance(answer, bytes)}
        if len(values) > 1:
            raise Unavailable(f"the regions do not agree on {name}", "one that could tell does not answer")
        if values and Reply.ABSENT in answers and self.shared.is_buried(name):
            raise NotFound(f"{name} is not in the store")
        return self._first(name, lambda store, _: store.get(name, limit_bytes=limit_bytes))

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        check_name(name)
        check(offset >= 0, "an offset is not negative")
        self._check_open()

        def read(store: ObjectStore, region: Region) -> str:
            store.read_into(name, offset, buffer)
            return region.name

        served = self._first(name, read)
        if is_hash_name(name):
            if len(self._served) >= _SERVED_MAX:
                self._served.clear()
            is_one_copy = offset == 0 or self._served.get(name) == served
            self._served[name] = served if is_one_copy else _SEVERAL

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        check_name(name)
        self._check_open()
        return self._first(name, lambda store, _: store.stat(name))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`: what any region tells of, without what is deleted."""
        check_prefix(prefix)
        self._check_open()
        return self._merged(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        check_prefix(prefix)
        self._check_open()
        told = self._ask_all(prefix, lambda store: store.folders(prefix))
        found = {last for lasts in told.values() for last in lasts}
        return tuple(sorted(found - {_HIDDEN_FOLDER} if not prefix else found))

    def space(self) -> Space:
        """See `ObjectStore.space`: of the region that has least room left."""
        self._check_open()
        told = self._ask_all("", lambda store: store.space())
        known = [space for space in told.values() if space.free_bytes is not None]
        return min(known, key=lambda space: space.free_bytes or 0) if known else Space(None, None, None)

    def close(self) -> None:
        """See `ObjectStore.close`: what was published is acknowledged first; the rest is healed later."""
        self._publications.close()
        for region in self.shared.regions.values():
            region.close()
        self.shared.queue.close()

    # --- agreeing ---------------------------------------------------------------------------------------

    def settle(self, name: str) -> bytes | None:
        """What is agreed to stand under a chosen name, after helping it there; None: nothing, or too few answer."""
        voters = self.shared.voters(name)
        found, _ = self._vote(name, voters, agreement.settle(len(voters)))
        return found if isinstance(found, bytes) else None

    def recheck(self, name: str) -> bool:
        """What was read of a pack does not open: compare its copies with its name, nearest first, up to a good one.

        The copy that was read comes last from now on, for what is good on its disk may come wrong from there. Bad ones
        are never read again; all that are in doubt are healed. Whether there is a good one, which is then read: what a
        tombstone hides never is, and another tier has the pack.
        """
        if not is_hash_name(name) or self.shared.is_buried(name):
            return False
        with self._rechecking:
            served = self._served.get(name, _SEVERAL)
            if served != _SEVERAL:
                self.shared.mistrust(name, served)
                self._doubt(name, self.shared.regions[served])
            for region in self.shared.to_read(name):
                try:
                    size_bytes = region.call(partial(hash_copy, name))
                except IntegrityError:
                    self.shared.mark_bad(name, region.name)
                except WedSyncError:
                    continue
                else:
                    self.shared.note(name, region.name, "verified", size_bytes)
                    return True
        return False

    def verified(self, name: str) -> None:
        """All of a pack was read, and is good: so is the copy in the region that gave it."""
        served = self._served.get(name, _SEVERAL)
        if served != _SEVERAL:
            self.shared.note(name, served, "verified", 0)

    def _vote(
        self, name: str, voters: Sequence[Region], votes: agreement.Votes, first: Future[Answer] | None = None
    ) -> tuple[bytes | Reply | None, set[str]]:
        """Ask voters as the rules say; what is agreed, and the regions where we created it. `first`: the first ask."""
        created: set[str] = set()
        try:
            ask = next(votes)
            while True:
                region = voters[ask.voter]
                if first is None and region.is_usable:
                    use = partial(asking.tell, name) if ask.data is None else partial(asking.create, name, ask.data)
                    first = region.begin(use)
                answer = asking.answer_of(first) if first is not None else Reply.FAILED
                first = None
                if answer is Reply.CREATED:
                    created.add(region.name)
                ask = votes.send(answer)
        except StopIteration as ended:
            return ended.value, created

    def _copy_on(self, name: str, data: bytes, others: Sequence[Region], held: set[str]) -> None:
        """Give an agreed object to the others, and come back when a quorum has it. Raises what kept it from that."""
        shared = self.shared
        for each in held:
            shared.queue.paid(name, each, "copy")
        wanted = shared.quorum(len(held) + len(others)) - len(held)
        waiting = [(region, region.begin(partial(asking.create, name, data))) for region in others]
        for region, future in waiting:
            future.add_done_callback(partial(self._copied, name, region, data))
        errors: list[WedSyncError] = []
        ahead = as_completed([future for _, future in waiting])
        while wanted > 0 and (ended := next(ahead, None)) is not None:
            wanted -= asking.answer_of(ended) is Reply.CREATED
            error = None if ended.cancelled() else ended.exception()
            errors += [error] if isinstance(error, WedSyncError) else []
        if wanted > 0:
            raise asking.first_error(errors or [asking.too_few(others)])

    def _copied(self, name: str, region: Region, data: bytes, future: Future[Answer]) -> None:
        """One more region has an object, or will be healed."""
        with suppress(WedSyncError):
            if not future.cancelled() and future.exception() is None and future.result() is Reply.CREATED:
                self.shared.queue.paid(name, region.name, "copy")
                return
        self.shared.queue.missed(name, region.name)

    # --- asking -----------------------------------------------------------------------------------------

    def _first(self, name: str, use: Callable[[ObjectStore, Region], _T], ranked: Sequence[Region] = ()) -> _T:
        """What the first region says that has the object."""
        if self.shared.was_buried(name):
            raise NotFound(f"{name} is not in the store")
        errors: list[WedSyncError] = []
        for region in [*ranked, *(each for each in self.shared.to_read(name) if each not in ranked)]:
            try:
                found = region.call(lambda store, region=region: use(store, region))  # type: ignore[misc]
            except (IntegrityError, NotFound, NotPermitted, Unavailable) as error:
                if isinstance(error, IntegrityError) and is_hash_name(name):
                    self._doubt(name, region)
                errors.append(error)
                continue
            if any(isinstance(error, NotFound) for error in errors) and self.shared.is_buried(name):
                raise NotFound(f"{name} is not in the store")
            return found
        raise self._why_not(name, errors)

    def _why_not(self, name: str, errors: Sequence[WedSyncError]) -> WedSyncError:
        """What to say when no region gave an object."""
        for error in errors:
            if isinstance(error, IntegrityError):
                return error
        silent = [error for error in errors if not isinstance(error, NotFound)]
        if self.shared.is_told(name, len(silent)):
            return NotFound(f"{name} is not in the store")
        return silent[0]

    def _doubt(self, name: str, region: Region) -> None:
        """A copy ended early or had another hash: have it looked at, and healed if it is so."""
        if region.name not in self.shared.queue.of(name):
            self.shared.queue.owe(name, [region.name], "copy", self.shared.clock.now_ns(), on_the_way=False)

    def _asked(self, name: str, voters: Sequence[Region], limit_bytes: int) -> builtins.list[Answer]:
        """What voters hold under a name: as many of them as agree, or all."""
        ranked = sorted(voters, key=lambda region: not region.is_usable)
        enough = agreement.majority_of(len(voters))
        answers = self._read(name, ranked[:enough], limit_bytes)
        if agreement.agreed(answers, len(voters)) is None:
            answers += self._read(name, ranked[enough:], limit_bytes)
        return answers

    def _read(self, name: str, regions: Sequence[Region], limit_bytes: int) -> builtins.list[Answer]:
        futures = [region.begin(partial(asking.tell, name, limit_bytes=limit_bytes)) for region in regions]
        return [asking.answer_of(future) for future in futures]

    def _ask_all(self, prefix: str, use: Callable[[ObjectStore], _T]) -> dict[str, _T]:
        """What each region says that may hold what is in a folder, if enough do. Raises Unavailable.

        One that keeps us waiting is waited for only as long as what the others say is not enough.
        """
        allowed = self.shared.allowed(prefix)
        usable = [region for region in allowed if region.is_usable]
        asked = usable if self.shared.is_told(prefix, len(allowed) - len(usable)) else allowed
        futures = {region.begin(use): region for region in asked}
        told: dict[str, _T] = {}
        errors: list[WedSyncError] = [asking.keeps_waiting(region) for region in allowed if region not in asked]
        left = set(futures)
        until_s = self.shared.clock.monotonic_s() + STUCK_S
        while left:
            is_enough = self.shared.is_told(prefix, len(errors) + len(left))
            rest_s = max(0.0, until_s - self.shared.clock.monotonic_s()) if is_enough else None
            ended, left = wait(left, rest_s, FIRST_COMPLETED)
            if not ended:
                break
            for future in ended:
                try:
                    told[futures[future].name] = future.result()
                except WedSyncError as error:
                    errors.append(error)
        self._check_told(prefix, [*errors, *(asking.keeps_waiting(futures[future]) for future in left)])
        return told

    def _check_told(self, prefix: str, errors: Sequence[WedSyncError]) -> None:
        if not self.shared.is_told(prefix, len(errors)):
            raise asking.first_error(errors)

    def _merged(self, prefix: str) -> Iterator[ObjectInfo]:
        """The union of the regions' listings, in order, each name once."""
        listings = self._ask_all(prefix, partial(asking.begun, prefix))
        silent = len(self.shared.allowed(prefix)) - len(listings)
        errors: list[WedSyncError] = []

        def told(head: ObjectInfo, rest: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
            """One region's listing; where it breaks off the others must be enough."""
            try:
                yield from as_seen(chain((head,), rest))
            except WedSyncError as error:
                errors.append(error)
                if not self.shared.is_told(prefix, silent + len(errors)):
                    raise

        found = [told(each.head, each.rest) for each in listings.values() if each.head is not None]
        buried = deleted_names(name for listing in listings.values() for name in listing.marks)
        last = ""
        for info in heapq.merge(*found, key=attrgetter("name")):
            if info.name != last and info.name not in buried:
                last = info.name
                yield info

    def _check_open(self) -> None:
        if self._publications.is_closed:
            raise closed()
