"""Streams of the embedded engine as a pool of workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.base.clock import SystemClock
from engine.contract.settings import STREAMS_MAX
from engine.pipeline.pool import StreamPool
from engine.scaling.pool import LocalPool, NodePool
from tests.suites.node_pool import NodePoolSuite


@pytest.fixture
def streams() -> Iterator[StreamPool]:
    pool = StreamPool(2, clock=SystemClock())
    yield pool
    pool.close()


@pytest.fixture
def pool(streams: StreamPool) -> NodePool:
    return LocalPool(streams)


class TestLocalPool(NodePoolSuite):
    """The shared promises, over real streams."""

    async def test_the_last_stream_stays(self, pool: NodePool) -> None:
        pool.drain([node.name for node in pool.nodes()])
        assert pool.size == 1

    async def test_more_than_a_pool_can_have_is_all_it_can_have(self, pool: NodePool, streams: StreamPool) -> None:
        pool.resize({"reserved": STREAMS_MAX, "spot": 40})
        assert streams.size == STREAMS_MAX
