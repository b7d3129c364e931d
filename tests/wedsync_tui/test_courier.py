"""Operations go to the engine and answers come back to the loop, whatever thread they were made on."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from engine.base.errors import NotFound, Unavailable
from engine.contract import operations as ops
from screens.desk import Problem
from tests.fakes import FakeEngine
from wedsync_tui.courier import UNDER_WAY_MAX, Courier

Answers = list[ops.Result | Problem]


class Slow(FakeEngine):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Future[ops.Result]] = []

    def call(self, operation: ops.Operation) -> Future[ops.Result]:
        self.waiting.append(Future())
        return self.waiting[-1]


async def test_a_result_comes_back_on_the_loop_s_own_thread() -> None:
    engine, threads, answers = Slow(), [], Answers()
    courier = Courier(engine)
    courier.start()

    def take(answer: ops.Result | Problem) -> None:
        threads.append(threading.current_thread())
        answers.append(answer)

    courier.send(ops.ListJobs(), take)
    assert courier.under_way == 1
    with ThreadPoolExecutor(1) as pool:
        await asyncio.wrap_future(pool.submit(engine.waiting[0].set_result, ops.Empty()))
    await asyncio.sleep(0)
    assert answers == [ops.Empty()]
    assert threads == [threading.main_thread()]
    assert courier.under_way == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (NotFound("no such job", "jobs lists them"), "no such job; jobs lists them"),
        (ZeroDivisionError(), "internal error: ZeroDivisionError; the log has more"),
    ],
)
async def test_what_goes_wrong_comes_back_as_a_line(error: Exception, line: str) -> None:
    engine, answers = Slow(), Answers()
    courier = Courier(engine)
    courier.start()
    courier.send(ops.ListJobs(), answers.append)
    engine.waiting[0].set_exception(error)
    await asyncio.sleep(0)
    assert answers == [Problem(line)]


async def test_a_cancelled_answer_is_a_line_too() -> None:
    engine, answers = Slow(), Answers()
    courier = Courier(engine)
    courier.start()
    courier.send(ops.ListJobs(), answers.append)
    engine.waiting[0].cancel()
    await asyncio.sleep(0)
    assert answers == [Problem("the engine ended before it answered")]


async def test_a_handle_that_refuses_at_once_is_a_line() -> None:
    class Refusing(FakeEngine):
        def call(self, operation: ops.Operation) -> Future[ops.Result]:
            raise Unavailable("the engine has stopped")

    answers = Answers()
    courier = Courier(Refusing())
    courier.start()
    courier.send(ops.ListJobs(), answers.append)
    assert answers == [Problem("the engine has stopped")]


async def test_no_more_than_so_many_are_under_way() -> None:
    engine, answers = Slow(), Answers()
    courier = Courier(engine)
    courier.start()
    for _ in range(UNDER_WAY_MAX + 1):
        courier.send(ops.ListJobs(), answers.append)
    assert len(engine.waiting) == UNDER_WAY_MAX
    assert answers == [Problem("100 commands are under way; wait for one to end")]


def test_an_answer_after_the_screen_is_gone_is_dropped() -> None:
    engine, answers = Slow(), Answers()
    courier = Courier(engine)

    async def send() -> None:
        courier.start()
        courier.send(ops.ListJobs(), answers.append)

    asyncio.run(send())
    engine.waiting[0].set_result(ops.Empty())
    assert answers == []
