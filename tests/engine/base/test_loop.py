"""The loop looks for ready sockets now and then while it has something to do, and waits for them when it has not."""

from __future__ import annotations

import selectors
import socket

from engine.base.clock import FakeClock
from engine.base.loop import LOOKED_WITHIN_S, ROUNDS_BETWEEN_LOOKS, PatientSelector, make_loop


def test_a_selector_that_may_not_wait_looks_every_eighth_time() -> None:
    near, far = socket.socketpair()
    with near, far, PatientSelector(FakeClock().monotonic_s) as selector:
        selector.register(near, selectors.EVENT_READ)
        far.send(b"x")
        looks = [bool(selector.select(0)) for _ in range(2 * ROUNDS_BETWEEN_LOOKS)]
        assert looks == ([False] * (ROUNDS_BETWEEN_LOOKS - 1) + [True]) * 2


def test_a_selector_looks_again_when_a_round_took_long() -> None:
    clock = FakeClock()
    near, far = socket.socketpair()
    with near, far, PatientSelector(clock.monotonic_s) as selector:
        selector.register(near, selectors.EVENT_READ)
        far.send(b"x")
        assert not selector.select(0)
        clock.advance(LOOKED_WITHIN_S)
        assert selector.select(0)


def test_a_selector_that_may_wait_looks_at_once() -> None:
    near, far = socket.socketpair()
    with near, far, PatientSelector(FakeClock().monotonic_s) as selector:
        selector.register(near, selectors.EVENT_READ)
        far.send(b"x")
        assert selector.select(1.0)
        assert selector.select(None)


def test_a_loop_with_work_of_its_own_hears_of_a_socket_all_the_same() -> None:
    loop = make_loop(FakeClock().monotonic_s)
    near, far = socket.socketpair()
    rounds = 0

    def again() -> None:
        nonlocal rounds
        rounds += 1
        if rounds < 1000:
            loop.call_soon(again)

    try:
        near.setblocking(False)
        loop.add_reader(near, loop.stop)
        far.send(b"x")
        loop.call_soon(again)
        loop.run_forever()
        assert rounds <= 2 * ROUNDS_BETWEEN_LOOKS
    finally:
        loop.close()
        near.close()
        far.close()
