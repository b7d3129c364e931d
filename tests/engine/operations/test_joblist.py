"""Long lists are made in parts, and the loop has a turn after each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.operations.joblist import sliced


async def test_the_loop_has_a_turn_after_each_part_of_a_list() -> None:
    loop = asyncio.get_running_loop()
    parts: list[Sequence[int]] = []
    had_turns = 0

    def had_a_turn() -> None:
        nonlocal had_turns
        had_turns += 1

    async for part in sliced(list(range(10)), 4):
        assert had_turns == len(parts)
        parts.append(part)
        loop.call_soon(had_a_turn)
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
