"""Which failures are tried again, and the waits between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import Conflict, IntegrityError, LimitReached, NotFound, Unavailable, WedSyncError
from engine.jobs.retries import BASE_S, WAIT_MAX_S, is_retried, wait_s


@pytest.mark.parametrize("kind", [WedSyncError, Conflict, IntegrityError, LimitReached, NotFound])
def test_what_a_person_has_to_change_is_not_tried_again(kind: type[WedSyncError]) -> None:
    assert not is_retried(kind("no"), failures=1, limit=10)


def test_what_may_pass_is_tried_again_up_to_the_limit() -> None:
    error = Unavailable("the store does not answer")
    assert [is_retried(error, failures=count, limit=3) for count in (1, 2, 3, 4)] == [True, True, False, False]


@given(failures=st.integers(1, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_waits_are_never_over_the_ceiling(failures: int, draw: float) -> None:
    assert 0 <= wait_s(failures, draw) <= min(WAIT_MAX_S, BASE_S * 2 ** min(failures - 1, 20))


def test_waits_grow_twofold_and_jitter_reaches_down_to_nothing() -> None:
    assert [wait_s(count, 0.5) for count in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert wait_s(9, 0.0) == 0.0
    assert wait_s(99, 0.5) == WAIT_MAX_S / 2
