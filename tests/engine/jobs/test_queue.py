"""The fair queue: classes take turns, weddings take turns, a wedding's jobs keep their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.weddings import JOB_CLASSES
from engine.jobs.queue import FairQueue, Waiting


def filled(*rows: tuple[str, str, str]) -> FairQueue:
    queue = FairQueue()
    for job_id, wedding, priority in rows:
        queue.push(Waiting(job_id, wedding, priority))  # type: ignore[arg-type]
    return queue


def drained(queue: FairQueue) -> list[str]:
    order = []
    while (job_id := queue.pop()) is not None:
        queue.validate()
        order.append(job_id)
    return order


def test_jobs_of_one_wedding_keep_their_order() -> None:
    queue = filled(*[(f"job{n}", "w", "standard") for n in range(5)])
    assert drained(queue) == ["job0", "job1", "job2", "job3", "job4"]


def test_a_wedding_with_many_jobs_holds_nobody_up() -> None:
    queue = filled(*[(f"big{n}", "big", "standard") for n in range(100)], ("small", "small", "standard"))
    assert drained(queue)[1] == "small"


def test_classes_take_turns() -> None:
    queue = filled(("a1", "a", "standard"), ("a2", "a", "standard"), ("b1", "b", "same-day"), ("b2", "b", "same-day"))
    assert drained(queue) == ["b1", "a1", "b2", "a2"]
    each = filled(("s", "a", "standard"), ("n", "a", "next-day"), ("r", "a", "retrieval"), ("t", "a", "same-day"))
    assert drained(each) == ["t", "r", "n", "s"]


def test_a_removed_job_is_never_given_out() -> None:
    queue = filled(("a", "w", "standard"), ("b", "w", "standard"))
    assert queue.remove("a")
    assert not queue.remove("a")
    assert "a" not in queue
    assert drained(queue) == ["b"]


def test_a_reclassified_job_stands_in_its_new_class() -> None:
    queue = filled(("a", "v", "standard"), ("b", "w", "standard"))
    queue.reclassify("b", "same-day")
    queue.validate()
    assert drained(queue) == ["b", "a"]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "pop", "remove", "reclassify"]),
        st.integers(0, 5),
        st.sampled_from(JOB_CLASSES),
    ),
    max_size=60,
)


@given(_STEPS)
def test_any_sequence_keeps_the_structure_and_loses_nothing(steps: list[tuple[str, int, str]]) -> None:
    queue, waiting, taken = FairQueue(), [], []
    for number, (what, pick, priority) in enumerate(steps):
        if what == "push":
            waiting.append(f"job{number}")
            queue.push(Waiting(f"job{number}", f"wedding{pick}", priority))  # type: ignore[arg-type]
        elif what == "pop":
            job_id = queue.pop()
            assert (job_id is None) == (not waiting)
            if job_id is not None:
                waiting.remove(job_id)
                taken.append(job_id)
        elif waiting:
            job_id = waiting[pick % len(waiting)]
            if what == "remove":
                waiting.remove(job_id)
                queue.remove(job_id)
            else:
                queue.reclassify(job_id, priority)  # type: ignore[arg-type]
        queue.validate()
        assert len(queue) == len(waiting)
    assert sorted(drained(queue)) == sorted(waiting)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_no_wedding_is_passed_over_twice_before_another_had_its_turn(owners: list[int]) -> None:
    queue = filled(*[(f"{number}", f"w{owner}", "standard") for number, owner in enumerate(owners)])
    served = [owners[int(job_id)] for job_id in drained(queue)]
    for position, owner in enumerate(served):
        rest = served[position + 1 :]
        others_waiting = set(rest) - {owner}
        if rest and rest[0] == owner:
            assert not others_waiting


def test_blocked_classes_are_passed_over_and_keep_their_place() -> None:
    queue = FairQueue()
    queue.push(Waiting("a", "w", "standard"))
    queue.push(Waiting("b", "w", "same-day"))
    queue.push(Waiting("c", "w", "standard"))
    assert queue.pop(frozenset({"standard"})) == "b"
    assert queue.pop(frozenset({"standard"})) is None
    assert [queue.pop(), queue.pop(), queue.pop()] == ["a", "c", None]
