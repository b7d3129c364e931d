"""The autoscaler in a real engine: streams follow the need, a person goes before it, upkeep holds back, all is told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.contract.cluster import NodeClass, NodeRow
from engine.contract.decisions import ReadScaling, ScalingReport
from engine.contract.prices import Price, prices_in_force
from engine.contract.scaling import ScalingSettings
from engine.contract.settings import UNIT_BYTES
from engine.contract.status import AutoScaling
from engine.jobs.job import Counts
from engine.local import LocalEngine
from engine.operations.autoscaling import bytes_left, policy_of, spent_on_workers, workers_of
from engine.operations.board import Board, troubles_of
from engine.scaling.facts import Decision, Need, Policy, ScalerState, Shortfall, Workers
from engine.scaling.pool import NodePool, Target, total
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.suites.engine_handle import eventually

CONFIG = """
[scaling]
mode = "auto"
base = 1
ceiling = 3
seasons = []
special_dates = []
saturday = 1.0
freeze = []

[classes]
standard_deadline = "10ms"

[limits]
standard = "1MB/s"
"""


@pytest.fixture
def auto(tmp_path: Path) -> Iterator[Asking]:
    """An engine that scales by itself from 1 to 3, with jobs that are late at once and not soon done."""
    home = home_with_repository(tmp_path / "home")
    (home / "config.toml").write_text(CONFIG)
    engine = LocalEngine.start(home, PASSPHRASE)
    try:
        yield Asking(engine, tmp_path)
    finally:
        engine.close(drain_s=0.0).result(60)


def shown(asking: Asking) -> AutoScaling:
    return asking.engine.status().auto_scaling


def report(asking: Asking) -> ScalingReport:
    return asking.ask(ReadScaling(), ScalingReport)


def test_streams_follow_the_queue_and_each_step_is_told_with_its_reason(auto: Asking) -> None:
    assert eventually(lambda: shown(auto).mode == "auto" and shown(auto).streams == 1)
    fresh_wedding(auto, "smith-jones")
    (auto.folder / "source").mkdir()
    (auto.folder / "source" / "card.img").write_bytes(bytes(range(256)) * 4096 * 4)
    for _ in range(40):
        auto.ask(backup_of("smith-jones", auto.folder / "source", wait=False), ops.JobResult)
    assert eventually(lambda: shown(auto).streams == 3)
    found = report(auto)
    assert (found.mode, found.by, found.target, found.ceiling) == ("auto", "auto", 3, 3)
    assert found.decisions[0].target == 3
    assert [(one.worker_class, one.ready, one.price_hour) for one in found.groups] == [("stream", 3, None)]
    assert "left at" in found.decisions[0].reason
    assert "needs" in found.decisions[0].reason
    assert found.timeline
    assert found.upkeep == "held back: no worker is to spare"
    assert shown(auto).decisions[-1] == found.decisions[0]
    assert auto.engine.status().dashboard.jobs_failed == 0


def test_a_person_goes_before_the_need_until_the_end_of_it(auto: Asking) -> None:
    by_hand = auto.ask(ops.ScaleInfrastructure(target="2", until="2h"), ops.ScaleResult)
    assert (by_hand.streams, by_hand.mode) == (2, "manual")
    assert eventually(lambda: "set by hand until" in report(auto).reason)
    assert (report(auto).by, report(auto).target) == ("manual", 2)
    assert auto.ask(ops.ScaleInfrastructure(target="auto"), ops.ScaleResult).mode == "auto"
    auto.ask(ops.Configure(key="scaling.mode", value="manual"), ops.ConfigureResult)
    assert eventually(lambda: shown(auto).mode == "default")


def test_the_rate_of_a_stream_outlives_the_engine(tmp_path: Path) -> None:
    home = home_with_repository(tmp_path / "home")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "card.img").write_bytes(bytes(range(256)) * 4096)
    first = Asking(LocalEngine.start(home, PASSPHRASE, streams=1), tmp_path)
    fresh_wedding(first, "smith-jones")
    first.ask(backup_of("smith-jones", tmp_path / "source"), ops.JobResult)
    assert eventually(lambda: report(first).rate_bytes_per_s > 0)
    first.engine.close(drain_s=0.0).result(60)
    again = Asking(LocalEngine.start(home, PASSPHRASE, streams=1), tmp_path)
    assert report(again).rate_bytes_per_s > 0
    again.engine.close(drain_s=0.0).result(60)


class Machines:
    """A pool that has at once what it is told to have; each machine has work for half of its four slots."""

    def __init__(self) -> None:
        self.target: dict[NodeClass, int] = {"reserved": 1}

    @property
    def size(self) -> int:
        return total(self.target)

    def nodes(self) -> tuple[NodeRow, ...]:
        target = dict(self.target)  # the engine's thread may set another
        return tuple(
            NodeRow(name=f"{name}-{at}", node_class=name, slots=4, running=2)
            for name, count in target.items()
            for at in range(count)
        )

    def resize(self, target: Target) -> None:
        self.target = dict(target)

    def drain(self, names: Collection[str]) -> None:
        raise AssertionError(names)


def test_with_a_cluster_that_brings_nodes_it_is_they_that_are_scaled_and_mixed(auto: Asking) -> None:
    machines = Machines()
    pool: NodePool = machines
    auto.engine._life._engine.scaling.nodes = pool
    answer = auto.ask(ops.ScaleInfrastructure(target="10", until="2h"), ops.ScaleResult)
    assert (answer.of, answer.before, answer.streams, answer.mode) == ("nodes", 1, 10, "manual")
    assert eventually(lambda: machines.target == {"reserved": 3, "spot": 7})
    assert eventually(lambda: report(auto).workers == 10)
    assert report(auto).decisions[0].spot == 7
    assert report(auto).by == "manual"
    auto.ask(ops.ScaleInfrastructure(target="auto"), ops.ScaleResult)
    assert eventually(lambda: machines.size == 3)  # the ceiling; the ten, half busy, need five
    assert machines.target["reserved"] == 3
    assert shown(auto).streams == 1


# --- pure ---


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        (Counts(bytes_total=100, bytes_read=30, bytes_expected=500), 70),
        (Counts(bytes_expected=50, bytes_read=80), 0),
        (Counts(bytes_read=10_000_000), 30_000_000),
        (Counts(bytes_read=35_000_000), UNIT_BYTES),
    ],
)
def test_what_is_left_of_a_job_is_by_its_total_its_count_ahead_or_the_mean(counts: Counts, left: float) -> None:
    assert bytes_left(counts, 40e6) == left


def test_the_rules_are_the_settings_in_numbers_and_ten_times_the_base_is_the_ceiling() -> None:
    policy = policy_of(ScalingSettings(floor=2, off_season_floor=1, margin="90s"), 3)
    assert (policy.base, policy.floor, policy.off_season_floor, policy.ceiling) == (3, 2, 1, 30)
    assert (policy.margin_s, policy.lookahead_s) == (90.0, 7200.0)
    assert policy_of(ScalingSettings(base=4, ceiling=9), 3).most == 9


def test_nodes_are_counted_by_class_and_state_and_priced_by_the_hour() -> None:
    rows = [NodeRow(name="a"), NodeRow(name="b", node_class="spot", state="starting"), NodeRow(name="c")]
    assert workers_of(rows, {}) == {"reserved": Workers(2, 0, 0), "spot": Workers(0, 1, 0)}
    hour = Price(key="worker_hour", value=0.25, source="a bill", as_of="2026-06")
    prices = prices_in_force((hour,))
    assert workers_of(rows, prices)["reserved"].price_hour == pytest.approx(0.16)
    assert spent_on_workers({"reserved": 7200.0, "spot": 3600.0}, prices) == pytest.approx(2 * 0.16 + 0.105)
    assert spent_on_workers({"reserved": 7200.0}, {}) == 0


def test_what_wants_a_person_stands_since_it_was_first_seen() -> None:
    short = Decision(
        time_ns=1, target={"reserved": 1}, effective_ns=1, need=Need(1, 0), tolerant_workers=0, reason="",
        state=ScalerState(shortfall=Shortfall(1_781_956_800 * 10**9, 55)), budget_reached=True,
    )  # fmt: skip
    found = troubles_of(short, Policy(ceiling=40, budget_month=10.0), is_priced=False)
    assert sorted(found) == ["ahead", "budget", "price"]
    assert found["ahead"].startswith("55 workers are forecast for 2026-06-20T12:00Z, and there may be 30")
    board = Board()
    board.note_troubles(found, 5)
    board.note_troubles({"budget": found["budget"]}, 9)
    assert [(row.id, row.since_ns) for row in board.alerts()] == [("scaling-budget", 5)]


def test_upkeep_waits_while_no_worker_is_to_spare_and_it_is_known_since_when() -> None:
    board = Board()
    assert board.may_do_upkeep(1)
    busy = Decision(
        time_ns=1, target={"reserved": 1}, effective_ns=1, need=Need(1, 0), tolerant_workers=0, reason="",
        state=ScalerState(),
    )  # fmt: skip
    board.is_auto, board.newest = True, busy
    assert not board.may_do_upkeep(5)
    assert not board.may_do_upkeep(9)
    assert board.held_since_ns == 5
    board.is_auto = False
    assert board.may_do_upkeep(10)
    assert board.held_since_ns is None
