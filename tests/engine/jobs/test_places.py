"""Jobs find their place: on a node with a free slot, here, or in line."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.base.clock import FakeClock
from engine.contract.cluster import NodeRow, Reach
from engine.contract.weddings import JobClass
from engine.jobs.places import HERE, Places
from engine.jobs.roster import Active, Conclusion, Idle, JobSpec
from engine.scaling import choosing
from tests.engine.jobs.dispatching import SMITHS

SHARED = Reach(paths=("/mnt/a",))


class Nodes:
    """A runner of which only the choice is asked."""

    problem = ""

    def __init__(self, *rows: NodeRow) -> None:
        self.rows = rows

    def may(self, reach: Reach) -> bool:
        return any(choosing.has_source(row, reach) for row in self.rows)

    def pick(self, reach: Reach, busy: Mapping[str, int]) -> str:
        return choosing.pick(self.rows, reach, busy)

    async def run(self, active: Active) -> Conclusion:
        raise NotImplementedError


@pytest.fixture
def places() -> Places:
    places = Places(lambda: 1)
    places.runner = Nodes(NodeRow(name="n", slots=1, source_roots=("/mnt",)))
    return places


def idle(name: str, reach: Reach | None, priority: JobClass = "standard") -> Idle:
    def never(_job: object) -> None:
        raise NotImplementedError

    spec = JobSpec("backup", SMITHS, priority, False, never, reach=reach)  # type: ignore[arg-type]
    return Idle(spec.job(name, FakeClock()), spec)


def test_a_free_slot_goes_before_here_and_here_before_waiting(places: Places) -> None:
    assert [places.choose(idle(name, SHARED)) for name in "abcd"] == ["n", HERE, HERE, None]
    assert places.pop(()) is None
    places.leave("a")
    places.look_again()
    assert places.pop(()) == "d"
    assert places.choose(idle("d", SHARED)) == "n"


def test_a_job_of_today_waits_for_nobody(places: Places) -> None:
    for name in "abcd":
        places.choose(idle(name, SHARED))
    assert places.choose(idle("e", SHARED, "same-day")) == HERE


@pytest.mark.parametrize("reach", [None, Reach(paths=("/home/a",))])
def test_what_no_node_can_read_runs_here_however_many_there_are(places: Places, reach: Reach | None) -> None:
    assert {places.choose(idle(str(number), reach)) for number in range(20)} == {HERE}


def test_what_is_not_here_waits_for_its_node_alone(places: Places) -> None:
    far = idle("far", Reach(host="other", only_there=True))
    assert places.choose(far) is None
    assert far.job.message == "waits for the node other"
    assert places.pop(()) is None
    assert isinstance(places.runner, Nodes)
    places.runner.rows += (NodeRow(name="other"),)
    places.look_again()
    assert places.pop(()) == "far"
    assert places.choose(far) == "other"


def test_one_that_fits_nowhere_is_tried_once_a_look(places: Places) -> None:
    nowhere = idle("nowhere", Reach(paths=("/elsewhere",), only_there=True))
    for _ in range(2):
        assert places.choose(nowhere) is None
        assert places.pop(()) is None
        places.look_again()
        assert places.pop(()) == "nowhere"


def test_a_cancelled_job_waits_no_more(places: Places) -> None:
    places.choose(idle("far", Reach(host="n2", only_there=True)))
    places.remove("far")
    assert isinstance(places.runner, Nodes)
    places.runner.rows = (NodeRow(name="n2"),)
    places.look_again()
    assert places.pop(()) is None
