"""A repository in memory with its streams, for the tests of this floor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.pipeline.pool import StreamPool
from tests.engine.pipeline.pooling import new_pool
from tests.vaults import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Made anew for each test."""
    with Bench() as made:
        yield made


@pytest.fixture
def pool() -> Iterator[StreamPool]:
    """Three streams of their own."""
    made = new_pool(3)
    yield made
    made.close()


@pytest.fixture
def single() -> Iterator[StreamPool]:
    """One stream, so that turns are seen."""
    made = new_pool(1)
    yield made
    made.close()
