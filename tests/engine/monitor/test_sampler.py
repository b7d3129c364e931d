"""The machine, sampled: rates are differences, and figures are of this very process."""

from __future__ import annotations

import os

from engine.base.clock import FakeClock
from engine.monitor.sampler import Counters, Rates, Sampler, rates_between


def test_rates_are_what_grew_in_the_time_between() -> None:
    before = Counters(10.0, 100, 200, 300, 400)
    after = Counters(12.0, 300, 200, 400, 1400)
    assert rates_between(before, after) == Rates(100.0, 0.0, 50.0, 500.0)


def test_a_counter_that_went_back_and_a_clock_that_stood_still_are_no_rate() -> None:
    assert rates_between(Counters(10.0, 100), Counters(11.0, 50)) == Rates()
    assert rates_between(Counters(10.0, 100), Counters(10.0, 900)) == Rates()


def test_a_sample_is_of_this_machine_and_process() -> None:
    clock = FakeClock()
    sampler = Sampler(clock, engine_version="9.9")
    clock.advance(1.0)
    seen = sampler.sample(engine_lag_s=0.003)
    assert (seen.host, seen.engine_version, seen.engine_lag_s) == (os.uname().nodename, "9.9", 0.003)
    assert seen.started_ns == clock.now_ns() - 10**9
    assert 0 <= seen.cpu_share <= 1
    assert seen.cpu_cores == len(os.sched_getaffinity(0))
    assert 0 < seen.engine_memory_bytes < seen.memory_total_bytes
    assert 0 < seen.memory_used_bytes < seen.memory_total_bytes
