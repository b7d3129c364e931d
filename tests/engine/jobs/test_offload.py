"""Blocking calls off the loop: a key that hangs holds up itself only."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from engine.jobs.offload import AT_ONCE, Offload


async def test_results_and_errors_come_back() -> None:
    offload = Offload(threads=2)
    try:
        assert await offload.run("a", lambda: 41 + 1) == 42
        with pytest.raises(ZeroDivisionError):
            await offload.run("a", lambda: 1 // 0)
    finally:
        offload.close()


async def test_a_wedding_that_hangs_leaves_threads_to_the_others() -> None:
    offload = Offload(threads=4, calls_per_key=2)
    released = threading.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(offload.run("hangs", released.wait))
            assert await offload.run("lives", lambda: "answered") == "answered"
            released.set()
    finally:
        released.set()
        offload.close()


async def test_a_cancelled_wait_keeps_its_place_until_the_call_has_ended() -> None:
    offload = Offload(threads=4, calls_per_key=1)
    begun, released = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        released.wait()

    try:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(offload.run("a", call))
            await offload.run("other", begun.wait)
            first.cancel()
            second = group.create_task(offload.run("a", lambda: "second"))
            await offload.run("other", lambda: None)
            assert not second.done()
            released.set()
            assert await second == "second"
    finally:
        released.set()
        offload.close()


async def test_keys_are_forgotten_when_nobody_uses_them() -> None:
    offload = Offload(threads=2)
    try:
        for number in range(50):
            await offload.run(f"wedding{number}", lambda: None)
        assert not offload._running
        assert not offload._behind
    finally:
        offload.close()


async def test_what_threads_have_for_the_loop_comes_with_one_wake_up() -> None:
    offload = Offload(threads=1)
    try:
        await offload.run("a", lambda: None)
        loop = asyncio.get_running_loop()
        seen: list[int] = []

        def posts() -> int:
            before = len(loop._ready)  # type: ignore[attr-defined]  # no public way to ask what a loop has before it
            for number in range(100):
                offload.post(lambda number=number: seen.append(number))  # type: ignore[misc]
            return len(loop._ready) - before  # type: ignore[attr-defined]

        assert posts() == 1
        await asyncio.sleep(0)
        assert seen == list(range(100))
    finally:
        offload.close()


async def test_a_bug_in_one_post_keeps_no_other_from_the_loop() -> None:
    offload = Offload(threads=1)
    try:
        await offload.run("a", lambda: None)
        seen: list[str] = []
        offload.post(lambda: seen.append(str(1 // 0)))
        offload.post(lambda: seen.append("the next"))
        await asyncio.sleep(0)
        assert seen == ["the next"]
    finally:
        offload.close()


async def test_a_future_of_another_thread_is_waited_for() -> None:
    offload = Offload(threads=2)
    kept: Future[int] = Future()
    failed: Future[int] = Future()
    try:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(offload.ended(kept))
            await offload.run("a", lambda: kept.set_result(7))
            assert await waiting == 7
        await offload.run("a", lambda: failed.set_exception(KeyError("gone")))
        with pytest.raises(KeyError):
            await offload.ended(failed)
    finally:
        offload.close()


async def test_calls_that_hang_hold_up_no_other_key() -> None:
    offload = Offload()
    released = threading.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(3 * AT_ONCE):
                group.create_task(offload.run(f"hangs {number}", released.wait))
            assert await offload.run("lives", lambda: "answered") == "answered"
            released.set()
    finally:
        released.set()
        offload.close()


async def test_short_calls_are_carried_out_by_a_few_threads() -> None:
    offload = Offload()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(offload.run(f"wedding{number}", lambda: None))
            await asyncio.sleep(0)
            assert offload._threads == AT_ONCE
    finally:
        offload.close()


async def test_calls_that_wait_are_not_begun_after_the_end() -> None:
    offload = Offload(threads=2, calls_per_key=1)
    begun, released = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        released.wait()

    async with asyncio.TaskGroup() as group:
        first = group.create_task(offload.run("a", call))
        second = group.create_task(offload.run("a", lambda: pytest.fail("it began")))
        await offload.run("other", begun.wait)
        offload.close()
        released.set()
        await first
        with pytest.raises(asyncio.CancelledError):
            await second
    with pytest.raises(RuntimeError):
        await offload.run("a", lambda: None)
