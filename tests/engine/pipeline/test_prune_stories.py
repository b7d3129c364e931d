"""What may happen between a mark and its sweep, told step by step; each story fails when its guard is taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.base.errors import IntegrityError, NotFound
from engine.repository.leases import LeaseWatch
from engine.repository.presence import Presence, Use
from engine.repository.reach import Reach
from engine.repository.vault import WeddingVault
from tests.engine.pipeline.prune_world import DAY_S, Engine, World, Writer

LOST = (AssertionError, IntegrityError, NotFound)
Guard = Callable[[pytest.MonkeyPatch], None]


def _relying_writer(world: World, engine: Engine) -> Writer:
    """A backup at work whose parent is superseded while it works, and is not needed any more by anyone else."""
    world.supersede(engine, [1])
    writer = engine.begin_backup(take_over=True)
    assert list(writer.entries) == [b"srv/001"]
    world.supersede(engine, [2])
    return writer


def _prune_until_it_waits(world: World, engine: Engine) -> None:
    engine.begin_prune("last 1")
    for _ in range(30):
        if engine.prune is None or engine.prune.is_waiting:
            return
        world.step_prune(engine)


def _commit(world: World, engine: Engine, writer: Writer) -> bool:
    done = world.commit(writer)
    engine.end_backup(writer)
    return done


# --- the stories --------------------------------------------------------------------------------------


def another_engine_is_at_work() -> None:
    """What it relies on stays until it has committed, and then because it has."""
    world = World()
    writing, pruning = world.engines[0], world.open_engine()
    writer = _relying_writer(world, writing)
    _prune_until_it_waits(world, pruning)
    for _ in range(3):
        world.pass_time(60)
        if pruning.prune is not None:
            world.step_prune(pruning)
    assert _commit(world, writing, writer)
    world.check_everything_is_there()
    if pruning.prune is not None:
        world.finish_prune(pruning)
    world.check_everything_is_there()


def this_engine_is_at_work() -> None:
    """A job beside the prune in the same process counts like another engine's."""
    world = World()
    engine = world.engines[0]
    writer = _relying_writer(world, engine)
    _prune_until_it_waits(world, engine)
    for _ in range(3):
        if engine.prune is not None:
            world.step_prune(engine)
    assert _commit(world, engine, writer)
    if engine.prune is not None:
        world.finish_prune(engine)
    world.check_everything_is_there()


def an_engine_was_taken_for_dead() -> None:
    """It comes back with a backup that relies on what is gone: nothing is acknowledged, and the next one is whole."""
    world = World()
    writing, pruning = world.engines[0], world.open_engine()
    writer = _relying_writer(world, writing)
    writing.is_stopped = True
    pruning.begin_prune("last 1")
    world.finish_prune(pruning)
    writing.is_stopped = False
    assert not _commit(world, writing, writer)
    world.check_everything_is_there()
    world.pass_time(60)
    world.supersede(writing, [1])
    world.check_everything_is_there()
    assert writing.repository.presence.losses == 1


def a_backup_begins_after_the_mark_was_named() -> None:
    """It stores again what is marked."""
    world = World()
    writing, pruning = world.engines[0], world.open_engine()
    world.supersede(writing, [1])
    world.supersede(writing, [2])
    _prune_until_it_waits(world, pruning)
    world.pass_time(60)
    writer = writing.begin_backup(take_over=False)
    writer.store(1)
    world.finish_prune(pruning)
    assert _commit(world, writing, writer)
    world.check_everything_is_there()


def a_pruner_was_taken_for_dead() -> None:
    """Others have gone on with its mark and lifted it; what it decides when it comes back counts no more."""
    world = World()
    writing, slow, other = world.engines[0], world.open_engine(), world.open_engine()
    writer = _relying_writer(world, writing)
    _prune_until_it_waits(world, slow)
    slow.is_stopped = True
    assert _commit(world, writing, writer)
    other.begin_prune("last 1")
    world.finish_prune(other)  # spares what the commit reaches
    second = writing.begin_backup(take_over=True)
    assert b"srv/001" in second.entries
    world.supersede(writing, [2])
    other.begin_prune("last 1")
    world.step_prune(other)  # forgets the snapshot that the second relies on, and no more
    world.kill(other)
    world.finish_prune(slow)
    assert _commit(world, writing, second)
    world.check_everything_is_there()


STORIES = (
    another_engine_is_at_work,
    this_engine_is_at_work,
    an_engine_was_taken_for_dead,
    a_backup_begins_after_the_mark_was_named,
    a_pruner_was_taken_for_dead,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_nothing_is_lost_when(story: Callable[[], None]) -> None:
    """As each story says."""
    story()


# --- the same without their guards --------------------------------------------------------------------


def _nobody_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LeaseWatch, "look", lambda self: [])


def _a_lease_names_every_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "named", property(lambda self: self._known))


def _users_do_not_hold_marks_back(patch: pytest.MonkeyPatch) -> None:
    def advanced(presence: Presence, use: Use) -> int:
        return presence._known

    patch.setattr(Presence, "_advanced", advanced)


def _snapshots_are_not_listed_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reach, "add", lambda self, vault, item: None)


def _own_jobs_do_not_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "waits_for", lambda self, mark, own: False)


def _nobody_looks_whether_it_was_fenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "is_protected_since", lambda self, losses: True)


def _marks_are_not_heeded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WeddingVault, "marked", lambda self: frozenset())


@pytest.mark.parametrize(
    ("story", "planted"),
    [
        (another_engine_is_at_work, _nobody_is_waited_for),
        (another_engine_is_at_work, _a_lease_names_every_mark),
        (another_engine_is_at_work, _users_do_not_hold_marks_back),
        (another_engine_is_at_work, _snapshots_are_not_listed_again),
        (this_engine_is_at_work, _own_jobs_do_not_count),
        (an_engine_was_taken_for_dead, _nobody_looks_whether_it_was_fenced),
        (a_backup_begins_after_the_mark_was_named, _marks_are_not_heeded),
        (a_pruner_was_taken_for_dead, _nobody_looks_whether_it_was_fenced),
    ],
    ids=lambda each: each.__name__,
)
def test_a_story_fails_without_its_guard(
    story: Callable[[], None], planted: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So these tests can see what they are for."""
    planted(monkeypatch)
    with pytest.raises(LOST):
        story()


# --- liveness -----------------------------------------------------------------------------------------


def test_a_prune_waits_no_longer_than_an_engine_takes_to_answer() -> None:
    """One renewal of another engine that is not at work on the wedding."""
    world = World()
    other, pruning = world.engines[0], world.open_engine()
    world.supersede(other, [1])
    world.supersede(other, [2])
    _prune_until_it_waits(world, pruning)
    assert pruning.prune is not None
    world.step_prune(pruning)
    assert pruning.prune is not None
    other.live()
    while pruning.prune is not None and not pruning.prune.is_waiting:
        world.step_prune(pruning)
    world.step_prune(pruning)
    assert pruning.prune is None or not pruning.prune.is_waiting


def test_a_prune_that_was_killed_goes_on_as_the_next() -> None:
    """Whatever it had done, and whoever begins it."""
    for steps in range(12):
        world = World()
        first = world.engines[0]
        world.supersede(first, [1])
        world.supersede(first, [2])
        first.begin_prune("last 1")
        for _ in range(steps):
            if first.prune is not None:
                world.step_prune(first)
        world.kill(first)
        world.clock.advance(2 * DAY_S)
        (second,) = world.engines
        second.begin_prune("last 1")
        world.finish_prune(second)
        world.check_everything_is_there()
        world.check_nothing_is_left()
