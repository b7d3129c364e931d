"""Blocking calls off the loop: a key that hangs holds up itself only."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.jobs.offload import Offload


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
        await asyncio.sleep(0)
        assert not offload._gates
    finally:
        offload.close()
