"""Several engines on one store in memory, whose writers and pruners take their steps in any order, or never come back.

In: steps that a test chooses. Out: what each snapshot that was acknowledged holds, to be compared with what a stranger
reads. Time is the test's own; an engine that stands still renews nothing.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec

from engine.base.clock import FakeClock
from engine.base.errors import Unavailable
from engine.base.ids import SnapshotId
from engine.contract.settings import LEASE_DEATH_S
from engine.pipeline.pool import Buffers
from engine.pipeline.prune import Engaged, PruneRun
from engine.repository import pruning, retention
from engine.repository.entry import Entry
from engine.repository.manifest import SegmentRef, encode_segment
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Snapshot
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectStore
from tests import vaults
from tests.engine.repository import parts
from tests.vaults import WEDDING

DAY_S = 86_400.0
BUFFERS = Buffers(FakeClock(), 1)


class Killed(BaseException):
    """The process is gone: nothing that it would have done after this happens."""


class KillableStore(MemoryStore):
    """A store whose process may be killed before any call that changes something; after that it does nothing more."""

    def __init__(self, objects: MemoryObjects, clock: FakeClock) -> None:
        super().__init__(objects, clock=clock)
        self.calls_left: int | None = None
        self.around_snapshot: tuple[Callable[[], None], Callable[[], None]] | None = None  # before and after one is put

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._count()
        around = self.around_snapshot if "/snapshots/" in name else None
        if around is None:
            super().put(name, data)
            return
        self.around_snapshot = None
        around[0]()
        super().put(name, data)
        around[1]()

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        self._count()
        super().delete(name)

    def _count(self) -> None:
        if self.calls_left is not None:
            if not self.calls_left:
                raise Killed
            self.calls_left -= 1


class Seeded:
    """Salts and ids that are the same in every run, so that a story can be told again."""

    def __init__(self) -> None:
        self._random = random.Random(1)

    def token(self, size: int) -> bytes:
        """See `Entropy.token`."""
        return self._random.randbytes(size)


class Writer:
    """A backup at work: what it takes over from its parent, and what it stores."""

    def __init__(self, vault: WeddingVault, clock: FakeClock, *, take_over: bool) -> None:
        self.vault = vault
        self.clock = clock
        self.job = vault.entropy.token(16).hex()
        self.transaction = Transaction(vault, vault.entropy)
        self.checkpoints = 0
        self.entries: dict[bytes, Entry] = {}
        found = vault.snapshots()
        self.parent = found[-1] if found else None
        if self.parent is not None and take_over:
            self.entries = {entry.path: entry for entry in vault.entries(self.parent) if not vault.lacks([entry])}

    def store(self, number: int) -> None:
        """A file that holds what its number says; it takes the place of one of the same name."""
        content = contents(number)
        (chunk_id,) = parts.store_chunks(self.transaction, self.vault, [content])
        path = b"srv/%03d" % number
        self.entries[path] = parts.entry_of(path, chunk_id, len(content))

    def leave_out(self, number: int) -> None:
        """The file is gone from the source."""
        self.entries.pop(b"srv/%03d" % number, None)

    def commit(self, *, partial: bool, inline: bool) -> Snapshot:
        """Publish everything and commit; a checkpoint if it is `partial`. Raises Unavailable."""
        entries = tuple(self.entries[path] for path in sorted(self.entries))
        segments: tuple[SegmentRef, ...] = ()
        if entries and not inline:
            segment = encode_segment(entries)
            chunk_id = self.transaction.add_metadata(segment.data)
            segments = (SegmentRef(chunk_id, segment.first_path, len(entries), len(segment.data)),)
        self.transaction.publish_all(parts.buffer())
        parent = self.parent.id if self.parent is not None else ""
        body = parts.body_of(
            self.transaction.take_inline(), () if segments else entries, parent=parent, time_ns=self.clock.now_ns()
        )
        name = self.job
        if partial:
            self.checkpoints += 1
            name = f"{self.job}-{self.checkpoints}"
        body = msgspec.structs.replace(body, wedding=self.vault.keys.wedding, partial=partial, segments=segments)
        committed = Snapshot(SnapshotId(name), body)
        self.transaction.commit(committed)
        return committed


class Medium(msgspec.Struct):
    """What the engines of a world share."""

    objects: MemoryObjects
    clock: FakeClock
    entropy: Seeded


class Process:
    """One process: a repository it has opened, its writers and its pruner."""

    def __init__(self, repository: Repository, clock: FakeClock, entropy: Seeded) -> None:
        self.repository = repository
        self.clock, self.entropy = clock, entropy
        self.is_stopped = False
        self.writers: list[Writer] = []
        self._at_work: dict[int, ExitStack] = {}
        self.prune: PruneRun | None = None

    def begin_backup(self, *, take_over: bool) -> Writer:
        """A writer of this engine, of a source that is as its parent's was, or an empty one."""
        with ExitStack() as stack:
            writer = Writer(stack.enter_context(self.repository.vault(WEDDING)), self.clock, take_over=take_over)
            self._at_work[id(writer)] = stack.pop_all()
        self.writers.append(writer)
        return writer

    def end_backup(self, writer: Writer) -> None:
        """The writer has ended, however."""
        writer.transaction.abort()
        self.writers.remove(writer)
        self._at_work.pop(id(writer)).close()

    def begin_prune(self, policy: str) -> PruneRun:
        """A pruner of this engine; its steps are `prune_step`."""
        presence = self.repository.presence

        def decide(found: list[Snapshot]) -> list[retention.Verdict]:
            facts = pruning.facts_of(found, ())
            return retention.decide(facts, retention.parse_policy(policy), "UTC", self.clock.now_ns())

        with ExitStack() as stack:
            use = stack.enter_context(presence.using(bytes.fromhex(WEDDING)))
            vault = stack.enter_context(self.repository.used_vault(WEDDING))
            engaged = Engaged(presence, use, self.clock, self.entropy)
            self.prune = PruneRun(vault, engaged, decide, dry_run=False)
            self._at_work[id(self.prune)] = stack.pop_all()
        return self.prune

    def prune_step(self) -> bool:
        """One unit of the pruner; whether it goes on. It looks at leases each time. Raises what the unit raises."""
        prune = self.prune
        assert prune is not None
        self.clock.advance(5.0)
        unit = prune.take(idle=True)
        try:
            if unit is not None:
                unit(BUFFERS)
                return True
        except Unavailable:
            prune.abort()
        if unit is None and prune.is_waiting:
            return True
        self.end_prune()
        return False

    def end_prune(self) -> None:
        """The pruner has ended."""
        self._at_work.pop(id(self.prune)).close()
        self.prune = None

    def live(self) -> None:
        """Renew the lease, unless it stands still."""
        if not self.is_stopped:
            self.repository.presence.renew()


class Engine(Process):
    """A process on one store in memory."""

    def __init__(self, medium: Medium, *, create: bool = False) -> None:
        self.store = KillableStore(medium.objects, medium.clock)
        home = Home(medium.clock, medium.entropy, SeenNumbers(None))
        super().__init__(opened(self.store, home, create=create), medium.clock, medium.entropy)


def opened(store: ObjectStore, home: Home, *, create: bool) -> Repository:
    """The repository in a store, or a new one that is cheap to open."""
    if create:
        return Repository.create(store, "first", label="first", home=home, cost=parts.CHEAP)
    return Repository.open(store, "first", home=home)


class World:
    """Engines, and what they have acknowledged."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._medium = Medium(MemoryObjects(), self.clock, Seeded())
        self.engines = [Engine(self._medium, create=True)]
        self.acknowledged: dict[str, dict[bytes, bytes]] = {}  # snapshot → path → contents

    def open_engine(self) -> Engine:
        """One more engine."""
        self.engines.append(Engine(self._medium))
        return self.engines[-1]

    def kill(self, engine: Engine) -> None:
        """An engine is gone, and another one is there; its lease stays."""
        engine.store.calls_left = 0
        self.engines.remove(engine)
        if not self.engines:
            self.open_engine()

    def pass_time(self, seconds: float) -> None:
        """Time passes in small steps, in which engines renew their leases."""
        for _ in range(3):
            self.clock.advance(seconds / 3)
            for engine in self.engines:
                engine.live()

    def supersede(self, engine: Engine, numbers: list[int]) -> None:
        """A whole backup of a source that holds these files and no others."""
        writer = engine.begin_backup(take_over=False)
        for number in numbers:
            writer.store(number)
        self.commit(writer)
        engine.end_backup(writer)

    def commit(self, writer: Writer, *, partial: bool = False, inline: bool = True) -> bool:
        """A commit, and what was acknowledged with it; whether it was."""
        expected = {path: contents(int(path[-3:])) for path in writer.entries}
        try:
            committed = writer.commit(partial=partial, inline=inline)
        except Unavailable:
            return False
        self.acknowledged[committed.id] = expected
        return True

    def step_prune(self, engine: Engine) -> bool:
        """A unit of an engine's pruner. What it decides to forget is acknowledged no longer."""
        prune = engine.prune
        assert prune is not None
        goes_on = engine.prune_step()
        for verdict in prune._outcome.verdicts:
            if not verdict.stays:
                self.acknowledged.pop(verdict.id, None)
        return goes_on

    def finish_prune(self, engine: Engine, *, steps: int = 400) -> None:
        """Go on to its end, while time passes for the others."""
        while engine.prune is not None:
            self.step_prune(engine)
            self.pass_time(30)
            steps -= 1
            assert steps, "a prune comes to its end"

    def check_everything_is_there(self) -> None:
        """A stranger who opens the repository now reads every acknowledged snapshot, byte for byte."""
        with self.stranger() as vault:
            assert not vault.problems
            standing = {str(item.id): item for item in vault.snapshots(partial=True)}
            for snapshot_id, expected in self.acknowledged.items():
                assert snapshot_id in standing, "a snapshot that was acknowledged, and not forgotten, is there"
                read = {
                    entry.path: b"".join(
                        vault.read_chunk(entry.chunks[at : at + 32]) for at in range(0, len(entry.chunks), 32)
                    )
                    for entry in vault.entries(standing[snapshot_id])
                }
                assert read == expected

    def check_nothing_is_left(self) -> None:
        """The store holds exactly the packs that snapshots reach, and no mark names any."""
        with self.stranger() as vault:
            vaults.check_nothing_is_left(vault)

    @contextlib.contextmanager
    def stranger(self) -> Iterator[WeddingVault]:
        """The wedding as an engine sees it that opens it now, and leaves nothing behind."""
        engine = Engine(self._medium)
        try:
            with engine.repository.vault(WEDDING) as vault:
                yield vault
        finally:
            engine.repository.close()

    def let_the_dead_be_dead(self) -> None:
        """Long enough for any lease that does not grow, and any pack that nobody finishes."""
        self.clock.advance(8 * DAY_S + LEASE_DEATH_S)


def contents(number: int) -> bytes:
    """What a file of this number holds: half of them are large."""
    return b"%d " % number * (2000 if number % 2 else 20)
