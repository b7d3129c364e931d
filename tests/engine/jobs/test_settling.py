"""When changes become a backup."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.settling import BURST, CEILING_S, PATHS_MAX, RETRY_S, Pace, Settling

PACE = Pace(settle_s=0.1, busy_s=5.0)


def noted(settling: Settling, path: bytes, now_s: float) -> None:
    settling.note(path, now_s=now_s, now_ns=round(now_s * 1e9))


def test_without_a_change_nothing_is_due() -> None:
    settling = Settling(0.0)
    assert settling.due_s(PACE) == math.inf
    assert (settling.waiting, settling.unprotected_since_ns, settling.has_pending) == (0, None, False)


def test_a_change_waits_for_the_next_one_but_not_for_ever() -> None:
    settling = Settling(0.0)
    noted(settling, b"a", 1.0)
    assert settling.due_s(PACE) == pytest.approx(1.1)
    noted(settling, b"b", 1.08)
    assert settling.due_s(PACE) == pytest.approx(1.18)
    for step in range(9, 30):
        noted(settling, b"c", 1.0 + step / 100)
    assert settling.due_s(PACE) == 1.0 + CEILING_S


def test_a_backup_takes_the_changes_along_and_no_other_is_due_while_it_runs() -> None:
    settling = Settling(0.0)
    noted(settling, b"b", 1.0)
    noted(settling, b"a", 1.05)
    batch = settling.take(PACE, 1.2)
    assert (batch.paths, batch.everything) == ((b"a", b"b"), False)
    assert (batch.first_ns, batch.last_ns) == (10**9, 1_050_000_000)
    noted(settling, b"c", 1.3)
    assert settling.due_s(PACE) == math.inf
    assert (settling.is_running, settling.waiting, settling.unprotected_since_ns) == (True, 3, 10**9)
    settling.ended(protected=True, now_s=1.4)
    assert (settling.waiting, settling.unprotected_since_ns) == (1, 1_300_000_000)
    assert settling.due_s(PACE) == pytest.approx(1.4)


def test_what_a_backup_did_not_protect_is_due_again_later() -> None:
    settling = Settling(0.0)
    noted(settling, b"a", 1.0)
    settling.take(PACE, 1.2)
    noted(settling, b"b", 1.3)
    settling.ended(protected=False, now_s=2.0)
    assert settling.due_s(PACE) == 2.0 + RETRY_S
    assert settling.unprotected_since_ns == 10**9
    assert settling.take(PACE, 40.0).paths == (b"a", b"b")


def test_many_changed_paths_are_a_look_at_everything() -> None:
    settling = Settling(0.0)
    for number in range(PATHS_MAX + 1):
        noted(settling, b"%d" % number, 1.0)
    noted(settling, b"more", 1.0)
    batch = settling.take(PACE, 2.0)
    assert (batch.paths, batch.everything) == ((), True)
    settling.ended(protected=False, now_s=3.0)
    assert settling.take(PACE, 50.0).everything


def _starts(every_s: float, until_s: float) -> list[float]:
    """When backups start in a folder that changes each `every_s`; each backup takes 50 ms."""
    settling, now_s, starts = Settling(0.0), 0.0, []
    next_change_s = 0.0
    while now_s < until_s:
        now_s = min(next_change_s, settling.due_s(PACE))
        if now_s == next_change_s:
            noted(settling, b"x", now_s)
            next_change_s += every_s
        else:
            starts.append(now_s)
            settling.take(PACE, now_s)
            settling.ended(protected=True, now_s=now_s + 0.05)
    return starts


def test_a_folder_that_changes_now_and_then_is_saved_at_once_each_time() -> None:
    starts = _starts(6.0, 600.0)
    assert [round(start % 6.0, 3) for start in starts] == [0.1] * len(starts)
    assert len(starts) >= 99


def test_a_folder_that_never_rests_is_saved_each_five_seconds_and_never_later() -> None:
    starts = _starts(0.05, 600.0)
    waits = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    assert max(waits) <= PACE.busy_s + CEILING_S
    assert len(starts) <= BURST + 600 / PACE.busy_s + 2


@given(
    st.lists(st.tuples(st.sampled_from(["note", "all", "take", "fail", "done"]), st.integers(0, 5000)), max_size=60),
)
def test_no_change_is_ever_lost(steps: list[tuple[str, int]]) -> None:
    settling, now_s = Settling(0.0), 0.0
    unprotected: set[bytes] = set()
    taken: set[bytes] = set()
    for number, (step, wait_ms) in enumerate(steps):
        now_s += wait_ms / 1000
        path = b"%d" % number
        if step == "note":
            noted(settling, path, now_s)
            unprotected.add(path)
        elif step == "all":
            settling.note_everything(now_s=now_s, now_ns=round(now_s * 1e9))
            unprotected.add(b"*")
        elif step == "take" and settling.due_s(PACE) <= now_s:
            batch = settling.take(PACE, now_s)
            taken, unprotected = unprotected, set()
            assert batch.everything == (b"*" in taken)
            assert batch.everything or set(batch.paths) == taken
        elif settling.is_running and step in ("fail", "done"):
            settling.ended(protected=step == "done", now_s=now_s)
            if step == "fail":
                unprotected |= taken
            taken = set()
        assert settling.has_pending == bool(unprotected)
        assert (settling.unprotected_since_ns is None) == (not unprotected and not taken)
        assert (settling.due_s(PACE) < math.inf) == (bool(unprotected) and not settling.is_running)
