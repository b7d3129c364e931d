"""What every `NodePool` promises. A test class derives from `NodePoolSuite`, and says how a pool is opened and settles.

`open_pool` gives a pool with two reserved workers; `settled` comes back when it has become what it was told to be.
"""

from __future__ import annotations

import pytest

from engine.base.invariants import BrokenInvariant
from engine.scaling.pool import NodePool


class NodePoolSuite:
    """See the module."""

    async def settled(self, pool: NodePool) -> None:
        """Come back when what was asked for has come about; nothing to wait for where it is so at once."""

    async def test_it_becomes_larger_and_smaller(self, pool: NodePool) -> None:
        assert (pool.size, len(pool.nodes())) == (2, 2)
        for size in (4, 1):
            pool.resize({"reserved": size})
            assert pool.size == size
            await self.settled(pool)
            assert len(pool.nodes()) == size

    async def test_names_are_each_their_own(self, pool: NodePool) -> None:
        names = [node.name for node in pool.nodes()]
        assert names == sorted(set(names))

    async def test_what_is_drained_is_not_replaced(self, pool: NodePool) -> None:
        first = pool.nodes()[0].name
        pool.drain([first, "nobody"])
        assert pool.size == 1
        await self.settled(pool)
        assert len(pool.nodes()) == 1

    async def test_it_never_becomes_empty(self, pool: NodePool) -> None:
        with pytest.raises(BrokenInvariant):
            pool.resize({"reserved": 0, "spot": 0})
        assert pool.size == 2
