"""What holds jobs up when the streams have little to do."""

from __future__ import annotations

import pytest

from engine.operations.rationing import outside


@pytest.mark.parametrize(
    ("active", "ending", "is_limited", "said"),
    [
        (0, 0.0, True, ""),
        (4, 0.0, False, "source"),
        (4, 1.9, False, "source"),
        (4, 2.0, False, "store"),
        (1, 1.0, True, "store"),  # a limit is no matter to what has been read
        (4, 0.0, True, "limit"),
    ],
)
def test_what_is_outside_of_the_streams_is_told_apart(active: int, ending: float, is_limited: bool, said: str) -> None:
    assert outside(active=active, ending=ending, is_limited=is_limited) == said
