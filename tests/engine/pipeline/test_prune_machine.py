"""Engines that write, stand still, die and prune in any order: nothing acknowledged is lost, and the rest goes.

The laws are checked after every step that commits or deletes. `test_prune_stories` shows mistakes that are found.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.repository import pruning
from tests.engine.pipeline.prune_world import Engine, Killed, World

ENGINES_MAX = 3
NUMBERS = st.integers(0, 4)


class Pruning(RuleBasedStateMachine):
    """Steps of several engines."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.has_changed = False

    # --- engines ---

    def _engine(self, data: st.DataObject, fits: Callable[[Engine], object] = lambda engine: True) -> Engine:
        fitting = [engine for engine in self.world.engines if fits(engine)]
        return fitting[data.draw(st.integers(0, len(fitting) - 1))]

    @initialize()
    def another(self) -> None:
        """There are two from the start."""
        self.world.open_engine()

    @precondition(lambda self: len(self.world.engines) < ENGINES_MAX)
    @rule()
    def open(self) -> None:
        """One more."""
        self.world.open_engine()

    @rule(data=st.data())
    def stop_or_go_on(self, data: st.DataObject) -> None:
        """As after Ctrl-Z, or a machine that sleeps."""
        engine = self._engine(data)
        engine.is_stopped = not engine.is_stopped

    @precondition(lambda self: len(self.world.engines) > 1)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """Between two steps."""
        self.world.kill(self._engine(data))

    @rule(seconds=st.sampled_from([60.0, 700.0, 90_000.0]))
    def pass_time(self, seconds: float) -> None:
        """A renewal, the death of a lease, the age of an orphan."""
        self.world.pass_time(seconds)

    # --- writers ---

    @precondition(lambda self: sum(len(engine.writers) for engine in self.world.engines) < 3)
    @rule(data=st.data(), numbers=st.lists(NUMBERS, max_size=3), take_over=st.booleans())
    def begin_backup(self, data: st.DataObject, numbers: list[int], take_over: bool) -> None:
        """It may take over what its parent has, and stores some files."""
        writer = self._engine(data).begin_backup(take_over=take_over)
        for number in numbers:
            writer.store(number)

    @rule(data=st.data(), numbers=st.lists(NUMBERS, max_size=2))
    def supersede(self, data: st.DataObject, numbers: list[int]) -> None:
        """A backup in one go, after which what was before is needed no more, but by those at work."""
        self.world.supersede(self._engine(data), numbers)
        self.has_changed = True

    @precondition(lambda self: any(engine.writers for engine in self.world.engines))
    @rule(data=st.data(), number=NUMBERS, gone=st.booleans())
    def go_on(self, data: st.DataObject, number: int, gone: bool) -> None:
        """A file more, or one less."""
        writer = self._engine(data, lambda engine: engine.writers).writers[0]
        if gone:
            writer.leave_out(number)
        else:
            writer.store(number)

    @precondition(lambda self: any(engine.writers for engine in self.world.engines))
    @rule(data=st.data(), partial=st.booleans(), inline=st.booleans())
    def commit(self, data: st.DataObject, partial: bool, inline: bool) -> None:
        """Also by an engine that was thought dead."""
        engine = self._engine(data, lambda engine: engine.writers)
        writer = engine.writers[0]
        done = self.world.commit(writer, partial=partial, inline=inline)
        if not partial or not done:
            engine.end_backup(writer)
        self.has_changed = True

    @precondition(
        lambda self: (
            any(engine.writers for engine in self.world.engines) and any(engine.prune for engine in self.world.engines)
        )
    )
    @rule(
        data=st.data(), steps=st.tuples(st.integers(0, 12), st.integers(0, 12)), seconds=st.sampled_from([0.0, 700.0])
    )
    def commit_slowly(self, data: st.DataObject, steps: tuple[int, int], seconds: float) -> None:
        """The engine stands still just before its snapshot is written, or just after, while others prune."""
        engine = self._engine(data, lambda engine: engine.writers)
        pruning = [other for other in self.world.engines if other.prune is not None and other is not engine]

        def others_move(count: int) -> None:
            engine.is_stopped = True
            for _ in range(count):
                for other in pruning:
                    if other.prune is not None:
                        self.world.step_prune(other)
                        self.world.pass_time(seconds)
            engine.is_stopped = False

        engine.store.around_snapshot = (lambda: others_move(steps[0]), lambda: others_move(steps[1]))
        writer = engine.writers[0]
        self.world.commit(writer)
        engine.store.around_snapshot = None
        engine.end_backup(writer)
        self.has_changed = True

    @precondition(lambda self: any(engine.writers for engine in self.world.engines))
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Its published packs stay behind, and nothing names them."""
        engine = self._engine(data, lambda engine: engine.writers)
        engine.end_backup(engine.writers[0])

    # --- pruners ---

    @precondition(lambda self: any(engine.prune is None for engine in self.world.engines))
    @rule(data=st.data(), policy=st.sampled_from(["last 1", "last 1", "last 2"]))
    def begin_prune(self, data: st.DataObject, policy: str) -> None:
        """One an engine."""
        self._engine(data, lambda engine: engine.prune is None).begin_prune(policy)

    @precondition(lambda self: any(engine.prune for engine in self.world.engines))
    @rule(data=st.data(), count=st.integers(1, 30))
    def prune_on(self, data: st.DataObject, count: int) -> None:
        """Some steps of it."""
        engine = self._engine(data, lambda engine: engine.prune)
        for _ in range(count):
            if engine.prune is None or not self.world.step_prune(engine):
                break
        self.has_changed = True

    @precondition(lambda self: any(engine.prune for engine in self.world.engines))
    @rule(data=st.data(), calls=st.integers(0, 9))
    def kill_pruner(self, data: st.DataObject, calls: int) -> None:
        """In the middle of a step, between two calls that change the store."""
        engine = self._engine(data, lambda engine: engine.prune)
        engine.store.calls_left = calls
        try:
            while engine.prune is not None:
                self.world.step_prune(engine)
                self.world.clock.advance(60.0)
                if engine.prune is not None and engine.prune.is_waiting:
                    break
        except Killed:
            pass
        if engine.prune is not None:
            prune = engine.prune
            for verdict in prune._outcome.verdicts:
                if not verdict.stays:
                    self.world.acknowledged.pop(verdict.id, None)
        self.world.kill(engine)
        self.has_changed = True

    # --- laws ---

    @invariant()
    def nothing_is_lost(self) -> None:
        """Whatever happened so far."""
        if self.has_changed:
            self.has_changed = False
            self.world.check_everything_is_there()

    def teardown(self) -> None:
        """At last everything that nothing reaches is gone, and nothing else."""
        world = self.world
        for engine in list(world.engines):
            world.kill(engine)
        world.let_the_dead_be_dead()
        engine = world.open_engine()
        for _ in range(2):  # the second takes what the first has moved out of
            engine.begin_prune("last 1")
            world.finish_prune(engine)
            world.check_everything_is_there()
        world.check_nothing_is_left()


def _run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Pruning,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(autouse=True)
def _small_packs_are_joined_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that moving chunks is part of every story."""
    monkeypatch.setattr(pruning, "SMALL_PACKS_MIN", 3)


def test_nothing_acknowledged_is_ever_lost() -> None:
    """In many stories of some forty steps."""
    _run(int(os.environ.get("PRUNE_STORIES", "12")), 40)
