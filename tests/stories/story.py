"""A story: a house drawn from a seed, steps drawn from a seed, and what must hold whatever the steps were.

Every snapshot that was acknowledged, and that no prune has forgotten, comes back byte for byte, as long as each pack
has one good copy somewhere; what a prune has deleted does not come back, and takes nothing along. Damage is done only
to copies beside which a good one lies. Each step is drawn by itself, so a story is told again without any of them.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from unittest.mock import patch

from engine.base.clock import FakeClock
from engine.base.errors import NotFound, Unavailable, WedSyncError
from engine.contract.settings import LEASE_DEATH_S
from engine.contract.tiers import Tier
from engine.operations import recalling
from engine.storage import known, region, stack
from engine.storage.recall.driver import NoRecall
from engine.storage.stores.breaker import REST_S
from tests import vaults
from tests.engine.pipeline.prune_world import DAY_S, Killed, Seeded, Writer, contents
from tests.stories.engines import Plan, StoryEngine
from tests.stories.media import Inline, Media, Robot, holds, places_of
from tests.vaults import WEDDING

STEPS = 60
ENGINES = 2
NAMES = ("alpha", "beta", "gamma", "delta")
TIERS: tuple[tuple[Tier, ...], ...] = (("hot", "warm", "cold"), ("hot", "cold"), ("hot",))
FUSE_MAX = 80  # calls of its stores that a process that is to be killed lives on at most


def drawn(seed: int) -> Plan:
    """How the house of a story is built."""
    chance = random.Random(f"house {seed}")
    regions = NAMES[: chance.choice((0, 2, 3, 3, 4))]
    tiers = chance.choice(TIERS if regions else TIERS[:2])
    copies = chance.randint(2, 3)
    quorum = 2 if len(regions) > 2 else chance.randint(1, 2)
    append_only = chance.choice(("", regions[-1])) if len(regions) > 2 else ""
    return Plan(tiers, regions, copies, quorum, append_only, archives="cold" in tiers and chance.random() < 0.5)


@contextlib.contextmanager
def told(plan: Plan, folder: Path) -> Iterator[House]:
    """A house in which a story can be told."""
    with contextlib.ExitStack() as patches:
        house = House(plan, folder)
        robot = Robot(house.media)
        for module in (stack, known):
            patches.enter_context(patch.object(module, "open_store", house.media.open_store))
        patches.enter_context(patch.object(region, "ThreadPoolExecutor", Inline))
        drivers = {"hot": NoRecall(), "warm": NoRecall(), "cold": robot}
        if plan.archives:
            patches.enter_context(patch.object(recalling, "open_drivers", lambda *_: drivers))
        house.open_first()
        try:
            yield house
        finally:
            for engine in house.engines:
                engine.close()


class House:
    """Engines over media that outlive them, and what they have acknowledged."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.clock = FakeClock()
        self.clock.advance(1000.0)
        self.entropy = Seeded()
        self.media = Media(self.clock, places_of(plan.tiers, plan.regions), plan.append_only)
        self.acknowledged: dict[str, dict[bytes, bytes]] = {}
        self.engines: list[StoryEngine] = []
        self.log: list[str] = []
        self._folder = folder
        self._processes = 0
        self._homes = 0

    def open_first(self) -> None:
        """The engine that makes the repository, and the others."""
        self.engines.append(self._opened(self._new_home(), create=True))
        while len(self.engines) < ENGINES:
            self.engines.append(self._opened(self._new_home()))

    def _new_home(self) -> Path:
        self._homes += 1
        return self._folder / f"home{self._homes}"

    def _opened(self, home: Path, *, create: bool = False) -> StoryEngine:
        self._processes += 1
        engine = StoryEngine(self.media, self.plan, home, self._processes, entropy=self.entropy, create=create)
        engine.learn()
        return engine

    # --- processes that die -----------------------------------------------------------------------------

    def kill(self, engine: StoryEngine, *, loses_home: bool = False) -> None:
        """A process is gone, and another takes its place: on its home, or on an empty one."""
        engine.fuse.is_blown = True
        engine.close()
        self.come_back()
        at = self.engines.index(engine)
        self.engines[at] = self._opened(self._new_home() if loses_home else engine.home)

    @contextlib.contextmanager
    def stranger(self) -> Iterator[StoryEngine]:
        """An engine that has seen nothing before, and leaves nothing behind."""
        engine = self._opened(self._new_home())
        try:
            yield engine
        finally:
            engine.repository.close()
            engine.close()

    # --- what befalls media -----------------------------------------------------------------------------

    def go_away(self, name: str) -> None:
        """A region does not answer any more."""
        self.media.away = name

    def come_back(self) -> None:
        """It answers again, and whoever left it alone tries it once more."""
        self.media.away = ""
        self.clock.advance(REST_S + 1)

    def damage(self, chance: random.Random) -> str:
        """Lose or spoil a copy of a pack beside which a good one lies; what was done."""
        packs = self.media.packs()
        if not packs:
            return "nothing"
        name, rots = chance.choice(packs), chance.random() < 0.5
        good = self.media.good(name)
        if len(good) < 2:
            return "nothing"
        place = chance.choice(good)
        others = [each for each in good if each != place]
        if place.startswith("cold/") and name in self.media.archived:
            # Nobody can read it again before the other copies are let go: an archive keeps what it has.
            others = [each for each in others if each.startswith("cold/")]
        if not others or (not rots and place.endswith(f"/{self.plan.append_only}")):
            return "nothing"
        self.media.damage(name, place, rots=rots)
        return f"{'rots' if rots else 'is lost'}: {name[-8:]} in {place}"

    # --- what is done -----------------------------------------------------------------------------------

    def commit(self, writer: Writer, *, partial: bool = False, inline: bool = True) -> None:
        """A commit; what it holds is acknowledged with it. Raises Unavailable."""
        expected = {path: contents(int(path[-3:])) for path in writer.entries}
        self.acknowledged[writer.commit(partial=partial, inline=inline).id] = expected

    def prune_step(self, engine: StoryEngine) -> None:
        """A unit of an engine's pruner. What it decides to forget is acknowledged no longer."""
        prune = engine.prune
        assert prune is not None
        try:
            engine.prune_step()
        finally:
            for verdict in prune._outcome.verdicts:
                if not verdict.stays:
                    self.acknowledged.pop(verdict.id, None)

    def pass_time(self, seconds: float) -> None:
        """Time passes in small steps, in which engines renew their leases."""
        for _ in range(3):
            self.clock.advance(seconds / 3)
            for engine in self.engines:
                with contextlib.suppress(Unavailable):
                    engine.live()

    # --- what must hold ---------------------------------------------------------------------------------

    def check_readable(self, engine: StoryEngine, snapshots: Collection[str]) -> None:
        """An engine reads snapshots as they were acknowledged."""
        for snapshot_id in snapshots:
            if snapshot_id in self.acknowledged:
                assert engine.retrieve(snapshot_id) == self.acknowledged[snapshot_id], snapshot_id

    def finish(self) -> None:
        """Everything is back and comes to its end; then all that must hold is looked at."""
        self.come_back()
        for engine in self.engines:
            engine.is_stopped = False
            while engine.writers:
                engine.end_backup(engine.writers[0])
            if engine.prune is not None:
                engine.prune.abort()
                engine.end_prune()
            engine.moving = None
        self.pass_time(60)
        for engine in self.engines:
            self.check_readable(engine, list(self.acknowledged))
        self.heal_all()
        with self.stranger() as engine:
            self.check_readable(engine, list(self.acknowledged))
        self.check_copies()
        self.check_nothing_comes_back()

    def heal_all(self) -> None:
        """What every engine does in time: scrub, compare, heal."""
        for _ in range(3):
            self.clock.advance(10.0)
            for engine in self.engines:
                engine.scrub()
                engine.compare()
                engine.heal()

    def check_copies(self) -> None:
        """Each pack that is needed has as many good copies as there must be, where they can be.

        What is archived nobody reads before it is recalled, so its rot is found and healed only then.
        """
        with self.stranger() as engine, engine.repository.vault(WEDDING) as vault:
            needed = {f"weddings/{WEDDING}/packs/{pack.name.hex()}" for pack in vault.index.packs()}
        for name in needed:
            good = self.media.good(name)
            spoilt = [
                place
                for place, objects in self.media.objects.items()
                if holds(objects, name) and place not in good and place.endswith(f"/{self.plan.append_only}")
            ]
            regions = {place.partition("/")[2] for place in good}
            wanted = 1 if name in self.media.archived else self.plan.copies_min - len(spoilt)
            assert len(regions) >= wanted, f"{name}: {good}"

    def check_nothing_comes_back(self) -> None:
        """After a last prune exactly what snapshots reach is listed; also once everything was healed again."""
        self.clock.advance(8 * DAY_S + LEASE_DEATH_S)
        (engine, *others) = self.engines
        for _ in range(2):
            engine.begin_prune("last 1")
            for _ in range(400):
                if engine.prune is None:
                    break
                self.prune_step(engine)
                self.pass_time(30)
            assert engine.prune is None, "a prune comes to its end"
        for _ in range(2):
            with self.stranger() as stranger:
                self.check_readable(stranger, list(self.acknowledged))
                with stranger.repository.vault(WEDDING) as vault:
                    vaults.check_nothing_is_left(vault)
            self.heal_all()
        assert others
        self._check_media()

    def _check_media(self) -> None:
        with self.stranger() as engine, engine.repository.vault(WEDDING) as vault:
            listed = {info.name for info in vault.store.list(f"weddings/{WEDDING}/packs/")}
        for place, objects in self.media.objects.items():
            if not place.endswith(f"/{self.plan.append_only}") or not self.plan.append_only:
                lying = {name for name in objects.names() if name.startswith(f"weddings/{WEDDING}/packs/")}
                assert lying <= listed, place


# --- steps --------------------------------------------------------------------------------------------

Step = Callable[[House, StoryEngine, random.Random], None]


def back_up(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A whole backup."""
    writer = engine.begin_backup(take_over=chance.random() < 0.5)
    try:
        for _ in range(chance.randint(1, 3)):
            writer.store(chance.randint(1, 12))
        house.commit(writer, inline=chance.random() < 0.5)
    finally:
        engine.end_backup(writer)


def begin_backup(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A backup begins, or goes on."""
    if len(engine.writers) < 2:
        engine.begin_backup(take_over=chance.random() < 0.7)
    writer = chance.choice(engine.writers)
    for _ in range(chance.randint(1, 2)):
        writer.store(chance.randint(1, 12))
    writer.leave_out(chance.randint(1, 12))
    if chance.random() < 0.3:
        house.commit(writer, partial=True)


def end_backup(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A backup that has begun commits."""
    if engine.writers:
        writer = chance.choice(engine.writers)
        try:
            house.commit(writer, inline=chance.random() < 0.5)
        finally:
            engine.end_backup(writer)


def prune(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A prune begins, or goes on."""
    if engine.prune is None:
        engine.begin_prune(chance.choice(("last 1", "last 2", "last 3")))
    for _ in range(chance.randint(1, 12)):
        if engine.prune is not None:
            house.prune_step(engine)


def move(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A migration begins, or goes on."""
    if engine.moving is None:
        engine.begin_moving(chance.choice(house.plan.tiers))
    try:
        for _ in range(chance.randint(1, 6)):
            if engine.moving is not None:
                engine.move_step()
    except Unavailable:  # another engine has archived it first, or a region is away: the job begins anew
        engine.moving = None
        if not house.plan.archives:
            raise


def recall(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A snapshot is retrieved."""
    if house.acknowledged:
        house.check_readable(engine, [chance.choice(sorted(house.acknowledged))])


def heal(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """What is owed is done."""
    engine.heal()


def compare(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """Regions are compared."""
    engine.compare()


def scrub(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """Every copy is read again."""
    engine.scrub()


def wait(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """Time passes; rarely so much that a lease which does not grow is dead."""
    engine.is_stopped = chance.random() < 0.3
    house.pass_time(chance.choice((30.0, 60.0, 300.0, LEASE_DEATH_S, DAY_S)))
    engine.is_stopped = False


def damage(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A copy is lost or rots."""
    house.log.append(house.damage(chance))


def leave(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """A region goes away, or comes back."""
    if house.media.away or not house.plan.regions:
        house.come_back()
    else:
        house.go_away(chance.choice(house.plan.regions))


def die(house: House, engine: StoryEngine, chance: random.Random) -> None:
    """An engine is gone, with its home or without."""
    house.kill(engine, loses_home=chance.random() < 0.3)


CHOICES: tuple[tuple[Step, int], ...] = (
    (back_up, 5), (begin_backup, 3), (end_backup, 2), (prune, 4), (move, 5), (recall, 3), (heal, 2), (compare, 1),
    (scrub, 1), (wait, 3), (damage, 3), (leave, 3), (die, 1),
)  # fmt: skip
OF_THE_HOUSE = (wait, damage, leave, die)


def take(house: House, seed: int, number: int) -> None:
    """One step of a story. Raises what shows that something is wrong."""
    chance = random.Random(f"story {seed} {number}")
    (step,) = chance.choices([step for step, _ in CHOICES], [weight for _, weight in CHOICES])
    engine = chance.choice(house.engines)
    fuse = chance.randrange(FUSE_MAX) if chance.random() < 0.2 and step not in OF_THE_HOUSE else None
    loses_home = chance.random() < 0.2
    house.log.append(f"{number}: engine {house.engines.index(engine)} {step.__name__} {'' if fuse is None else fuse}")
    engine.fuse.left = fuse
    try:
        step(house, engine, chance)
    except Killed:
        pass
    except WedSyncError as error:
        house.log.append(f"    {error.line()}")
        if not engine.fuse.is_blown and not house.media.away:
            raise
        if engine.prune is not None and not engine.fuse.is_blown:
            engine.fuse.left = None  # it has outlived the step
            _give_up_prune(engine)
    engine.fuse.left = None
    if engine.fuse.is_blown and engine in house.engines:
        house.log.append("    killed")
        house.kill(engine, loses_home=loses_home)


def _give_up_prune(engine: StoryEngine) -> None:
    """A prune that has failed ends."""
    assert engine.prune is not None
    with contextlib.suppress(WedSyncError, NotFound):
        engine.prune.abort()
    engine.end_prune()


def tell(seed: int, folder: Path, *, steps: Collection[int] = range(STEPS)) -> list[str]:
    """A whole story; what was done. Raises AssertionError with that, when something does not hold."""
    with told(drawn(seed), folder) as house:
        try:
            for number in steps:
                take(house, seed, number)
            house.finish()
        except Exception as error:
            words = "\n".join([f"seed {seed}: {house.plan}", *house.log])
            raise AssertionError(f"{words}\n{error!r}") from error
    return house.log


def shortest(seed: int) -> list[int]:
    """The fewest steps found that the story fails with; for who looks for the cause."""
    steps = list(range(STEPS))
    size = len(steps) // 2
    while size:
        for at in range(0, len(steps), size):
            fewer = steps[:at] + steps[at + size :]
            if fails(seed, fewer):
                steps = fewer
                break
        else:
            size //= 2
    return steps


def fails(seed: int, steps: Collection[int]) -> bool:
    """Whether something does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            tell(seed, Path(folder), steps=steps)
        except AssertionError:
            return True
    return False
