"""Healing: what regions are owed is done, and regions are compared, so that each has what it should.

In: the healing queue, and listings. Out: copies written, deletions done, bad copies replaced by good ones. What is
named by its hash is compared with it before it is given to anybody; of a chosen name the agreed bytes are copied.
Nothing that has a tombstone is brought back. Every step may be done twice, so a kill at any moment costs nothing. One
thread a healer.
"""

from __future__ import annotations

import heapq
import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby

from blake3 import blake3

from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable, WedSyncError
from engine.base.units import MIB
from engine.storage.asking import hashed
from engine.storage.healqueue import Debt, Owed
from engine.storage.region import Region
from engine.storage.regional import RegionalStore
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import CopyEvent, Replication, as_seen, is_hash_name, is_pack_name
from engine.storage.stores.metered import Meter
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES, ObjectInfo, ObjectStore, StagedObject
from engine.storage.tombstones import TOMBSTONES, deleted_names
from engine.storage.whole import PIECE_BYTES, hash_copy, hash_of, parts

OBJECT_BYTES_MAX = 64 * MIB  # of what has a chosen name
_PUT_OFF_MAX = 10_000


class _NoGoodCopy(IntegrityError):
    def __init__(self, name: str) -> None:
        super().__init__(f"no good copy of {name} is left", "run repair")


class Healer:
    """Heals one replicated store."""

    def __init__(self, store: ReplicatedStore, meter: Meter | None = None) -> None:
        """`meter`: of a tier whose limit holds healing, too; what is copied counts in it. None: nothing does."""
        self._store = store
        self._meter = meter
        self._shared: Replication = store.shared
        self._put_off: dict[str, set[str]] = {}  # region → what could not be healed, until `begin_again`
        self.problem = ""  # why something could not be healed, the last time
        self.lost: dict[str, int] = {}  # what no good copy is left of in these regions → since when that is known

    def begin_again(self) -> None:
        """Try anew what could not be healed before."""
        self._put_off.clear()
        self.problem = ""

    def heal(self, n: int) -> int:
        """Do up to `n` of what each region that answers is owed; how many that were. Those that fail are put off."""
        done = 0
        for region in self._shared.regions.values():
            if not region.is_usable:
                continue
            put_off = self._put_off.setdefault(region.name, set())
            for owed in self._shared.queue.next(region.name, n, skip=put_off):
                if self._meter is not None and self._meter.wait_s() > 0:
                    return done
                try:
                    self._pay(region, owed)
                except WedSyncError as error:
                    self.problem = error.line()
                    put_off.add(owed.name)
                    if isinstance(error, _NoGoodCopy):
                        self.lost.setdefault(owed.name, self._shared.clock.now_ns())
                    if len(put_off) >= _PUT_OFF_MAX:
                        break
                else:
                    done += 1
                    self.lost.pop(owed.name, None)
        return done

    # --- one debt ---------------------------------------------------------------------------------------

    def _pay(self, region: Region, owed: Owed) -> None:
        """Raises what keeps it from being done now. A deletion of what was published again since is none."""
        shared = self._shared
        may_lie_there = region.name in shared.placing(owed.name).regions
        if owed.debt == "delete":
            if not may_lie_there and not region.append_only and not shared.is_buried(owed.name):
                self._see_kept(region, owed.name)
            if not may_lie_there or shared.is_buried(owed.name, surely=True):
                self._delete(region, owed.name)
        elif shared.is_buried(owed.name) and shared.is_buried(owed.name, surely=True):
            self._delete(region, owed.name)
        elif is_hash_name(owed.name):
            self._copy_hashed(region, owed.name)
        else:
            self._copy_agreed(region, owed.name)
        shared.queue.paid(owed.name, region.name, owed.debt)
        if owed.debt == "delete" and "delete" not in shared.queue.of(owed.name).values():
            shared.unbury(owed.name)

    def _delete(self, region: Region, name: str) -> None:
        if region.append_only:
            if self._shared.is_buried(name):
                self._shared.bury(name, [region])
            return
        with suppress(NotFound):
            region.call(lambda store: store.delete(name))
        self._shared.mark_good(name, region.name)
        self._shared.note(name, region.name, "gone", 0)

    def _see_kept(self, region: Region, name: str) -> None:
        """Before a region lets go of what may no longer lie in it: read the copies where it may, and count good ones.

        Raises Unavailable unless there are enough, or all hold the same under a chosen name.
        """
        shared = self._shared
        allowed, good = shared.allowed(name), 0
        if not is_hash_name(name):
            with suppress(NotFound):
                if region.call(lambda store: store.get(name, limit_bytes=OBJECT_BYTES_MAX)) != self._store.settle(name):
                    raise Unavailable(f"{name} stays in {region.name}: the regions it may lie in do not hold the same")
            return
        wanted = min(len(allowed), shared.policy.copies) if is_pack_name(name) else len(allowed)
        for each in allowed:
            try:
                size_bytes = each.call(partial(hash_copy, name))
            except NotFound:
                continue
            except IntegrityError:
                shared.mark_bad(name, each.name)
                continue
            self._is_good(each, name, size_bytes, "verified")
            good += 1
            if good == wanted:
                return
        raise Unavailable(
            f"{name} stays in {region.name}: the regions it may lie in have {good} of {wanted} good copies"
        )

    def _sources(self, name: str) -> list[Region]:
        """Where a copy may be taken from: last from where it may no longer lie, as it is not taken away there yet."""
        shared = self._shared
        allowed, bad = shared.allowed(name), shared.bad(name)
        left = [each for each in shared.regions.values() if each not in allowed and each.name not in bad]
        return [*shared.to_read(name), *left]

    def _copy_hashed(self, region: Region, name: str) -> None:
        """See that a region has a good copy of what is named by its hash, taken from a copy that is."""
        try:
            size_bytes = region.call(partial(hash_copy, name))
        except NotFound:
            is_there = False
        except IntegrityError:
            is_there = True
            self._shared.mark_bad(name, region.name)
        else:
            self._is_good(region, name, size_bytes, "verified")
            return
        if is_there and region.append_only:
            self._stand_in(name)  # it can never be replaced there, and is never read
            return
        errors: list[WedSyncError] = []
        for source in self._sources(name):
            if source is region:
                continue
            try:
                give = self._copy_from(source, region, name)
            except WedSyncError as error:
                errors.append(error)
                if isinstance(error, IntegrityError):
                    self._shared.mark_bad(name, source.name)
                continue
            if is_there:
                with suppress(NotFound):
                    region.call(lambda store: store.delete(name))
            self._is_good(region, name, give(), "written")
            self._undo_if_deleted(source, region, name)
            return
        if unsure := [error for error in errors if not isinstance(error, (IntegrityError, NotFound))]:
            raise unsure[0]
        if is_there or any(isinstance(error, IntegrityError) for error in errors) or self._lies_bad(name):
            raise _NoGoodCopy(name)

    def _lies_bad(self, name: str) -> bool:
        """Whether a copy that is known to be damaged lies anywhere: what nobody else has is lost then, not deleted."""
        for region in self._shared.bad(name):
            with suppress(NotFound):
                self._shared.regions[region].call(lambda store: store.stat(name))
                return True
        return False

    def _stand_in(self, name: str) -> None:
        """Owe other regions the copies that are wanted and cannot be where they are bad.

        A region that does not answer counts as having its copy. Raises IntegrityError when no good one is left.
        """
        placed, bad = self._shared.placing(name), self._shared.bad(name)
        held = 0
        lacking: list[str] = []
        silent: list[WedSyncError] = []
        for region in placed.nearest:
            if region in bad:
                continue
            try:
                self._shared.regions[region].call(lambda store: store.stat(name))
            except NotFound:
                lacking.append(region)
            except WedSyncError as error:
                silent.append(error)
            else:
                held += 1
        if not held:
            raise silent[0] if silent else _NoGoodCopy(name)
        wanted = min(len(placed.regions), self._shared.policy.copies)
        self._owe(name, lacking[: max(0, wanted - held - len(silent))], "copy")

    def _copy_from(self, source: Region, target: Region, name: str) -> Callable[[], int]:
        """Read a copy and compare it with its name; what then gives it to the target, and says how large it is.

        Packs are streamed. Raises IntegrityError, NotFound.
        """
        size_bytes = source.call(lambda store: store.stat(name)).size_bytes
        if size_bytes % STAGE_ALIGNMENT_BYTES:  # no pack, but a part of an index
            data = source.call(partial(hashed, name, limit_bytes=OBJECT_BYTES_MAX))
            return lambda: target.call(partial(_put, name, data))
        staged = self._staged_copy(source, target, name, size_bytes)

        def publish() -> int:
            target.call(lambda _: staged.publish(name).result())
            return size_bytes

        return publish

    def _staged_copy(self, source: Region, target: Region, name: str, size_bytes: int) -> StagedObject:
        staged: StagedObject = target.call(lambda store: store.stage())
        hasher, buffer = blake3(), memoryview(mmap.mmap(-1, PIECE_BYTES))
        try:
            for piece in parts(RegionalStore(source), name, size_bytes, buffer):
                hasher.update(piece)
                target.call(lambda _, piece=piece: staged.append(piece))  # type: ignore[misc]
            if hasher.hexdigest() != hash_of(name):
                raise IntegrityError(f"{name} in {source.name} does not have the hash that is its name")
        except BaseException:
            staged.discard()
            raise
        return staged

    def _copy_agreed(self, region: Region, name: str) -> None:
        """See that a region has the bytes that are agreed on under a chosen name."""
        data = self._store.settle(name)
        if data is None:
            data = self._leftover(name)
            if data is None:
                return
        try:
            there = region.call(lambda store: store.get(name, limit_bytes=OBJECT_BYTES_MAX))
        except NotFound:
            there = None
        if there == data or (there is not None and region.append_only):
            return
        if there is not None:  # it lost against the others, which outvote it
            with suppress(NotFound):
                region.call(lambda store: store.delete(name))
        with suppress(Conflict):
            region.call(lambda store: store.put(name, data))

    def _leftover(self, name: str) -> bytes | None:
        """What any region has though no majority has it; None: nobody does. Raises when some are silent."""
        found: bytes | None = None
        for region in self._sources(name):
            with suppress(NotFound):
                found = found or region.call(lambda store: store.get(name, limit_bytes=OBJECT_BYTES_MAX))
        return found

    def _undo_if_deleted(self, source: Region, region: Region, name: str) -> None:
        """What was deleted while we copied it is deleted here, too."""
        try:
            source.call(lambda store: store.stat(name))
        except NotFound:
            self._delete(region, name)

    def _is_good(self, region: Region, name: str, size_bytes: int, event: CopyEvent) -> None:
        if self._meter is not None:
            self._meter.read(size_bytes)
            self._meter.written(size_bytes if event == "written" else 0)
        self._shared.mark_good(name, region.name)
        self._shared.note(name, region.name, event, size_bytes)

    # --- comparing --------------------------------------------------------------------------------------

    def compare(self, prefix: str, *, contents: bool = False) -> int:
        """List a folder in every region, and owe each what it lacks, or should not have; how much that was.

        With `contents` all but packs, which the scrub reads, is read and compared as well. Raises Unavailable unless
        every region answers: what one alone knows must not look like too much.
        """
        listings = [_marked(region, prefix) for region in self._shared.regions.values()]
        graves = deleted_names(
            info.name
            for region in self._shared.regions.values()
            for info in region.call(lambda store: list(store.list(TOMBSTONES + prefix)))
        )
        count = 0
        for name, found in groupby(heapq.merge(*listings, key=_by_name), key=_by_name):
            count += self._compare_one(name, {region: info.size_bytes for _, region, info in found}, name in graves)
            if contents and not is_pack_name(name) and name not in graves:
                count += self._compare_bytes(name)
        return count

    def _compare_one(self, name: str, sizes: dict[str, int], is_buried: bool) -> int:
        placed = self._shared.placing(name)
        if is_buried:
            gone = [region for region in sizes if not self._shared.regions[region].append_only]
            return self._owe(name, gone, "delete")
        lost = {each for each in self._shared.bad(name) if self._shared.regions[each].append_only}
        held = [region for region in sizes if region in placed.regions and region not in lost]
        wanted = len(placed.regions)
        if is_pack_name(name):
            wanted = min(wanted, self._shared.policy.copies)
        lacking = [region for region in placed.nearest if region not in sizes][: max(0, wanted - len(held))]
        odd = held if len({sizes[region] for region in held}) > 1 else []
        too_far = [
            region for region in sizes if region not in placed.regions and not self._shared.regions[region].append_only
        ]
        if lacking:
            too_far = []
        return self._owe(name, [*lacking, *odd], "copy") + self._owe(name, too_far, "delete")

    def _compare_bytes(self, name: str) -> int:
        """Where the copies of a small object differ, healing finds out which of them is right."""
        held: dict[str, bytes] = {}
        for region in self._shared.allowed(name):
            with suppress(NotFound):
                held[region.name] = region.call(lambda store: store.get(name, limit_bytes=OBJECT_BYTES_MAX))
        return self._owe(name, held, "copy") if len(set(held.values())) > 1 else 0

    def _owe(self, name: str, regions: Iterable[str], debt: Debt) -> int:
        known = self._shared.queue.of(name)
        fresh = [region for region in regions if region not in known]
        if fresh:
            now_ns = self._shared.clock.now_ns()
            self._shared.queue.owe(name, fresh, debt, now_ns, on_the_way=False)
        return len(fresh)


_Marked = tuple[str, str, ObjectInfo]


def _by_name(marked: _Marked) -> str:
    return marked[0]


def _marked(region: Region, prefix: str) -> Iterator[_Marked]:
    """A region's listing; what it says of each page goes through the region's own door."""
    found = iter(as_seen(region.call(lambda store: store.list(prefix))))
    while (info := region.call(lambda _: next(iter(found), None))) is not None:
        yield info.name, region.name, info


def _put(name: str, data: bytes, store: ObjectStore) -> int:
    with suppress(Conflict):
        store.put(name, data)
    return len(data)
