"""The side panels' words."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract import status as st
from screens import gauges
from screens.text import Line, width_of
from tests import samples


def text_of(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()


def words(lines: tuple[Line, ...]) -> list[str]:
    return [text_of(line) for line in lines]


@pytest.mark.parametrize("width", [20, 30, 42, 64])
def test_every_line_takes_exactly_its_width(width: int) -> None:
    status = samples.status()
    lines = (
        *gauges.pace_lines(status, width),
        *gauges.stage_lines(status, width),
        *gauges.storage_lines(status, width),
        *gauges.streams_lines(status.auto_scaling, width, 5),
        *gauges.machine_lines(status, width),
        *gauges.initiation_lines(status.performance.initiation, width),
    )
    assert {width_of(line) for line in lines} == {width}


def test_percentiles_state_their_window_and_count() -> None:
    assert words(gauges.initiation_lines(samples.performance().initiation, 60)) == [
        "p50 90 ms    p95 310 ms   p99 800 ms   worst 1.4 s",
    ]
    assert gauges.initiation_heading(samples.performance().initiation) == "212 jobs in the last hour"


def test_percentiles_of_nothing_say_so() -> None:
    assert words(gauges.initiation_lines(st.Percentiles(count=0, window_s=60.0), 60)) == ["No job has started yet."]


def test_each_stage_is_told_with_its_share_and_what_a_unit_takes() -> None:
    lines = words(gauges.stage_lines(samples.status(), 60))
    assert lines[0].split() == ["share", "p50", "p95", "p99"]
    assert lines[-1].startswith("writing")
    assert lines[-1].split()[-6:] == ["15", "ms", "34", "ms", "84", "ms"]
    assert "41 %" in lines[-1]
    assert words(gauges.stage_lines(samples.status(), 100))[-1].endswith("819 MB/s")
    assert gauges.stages_heading(samples.status()) == "now writing · 1,540 units in 10m"
    assert words(gauges.pace_lines(samples.status(), 32))[1] == "slowest now writing"
    idle = samples.status(performance=msgspec.structs.replace(samples.performance(), bottleneck=""))
    assert gauges.stages_heading(idle) == "1,540 units in 10m"
    assert words(gauges.pace_lines(idle, 32))[1] == "slowest writing 41 %, p95 34 ms"


def test_a_stage_without_a_recent_unit_has_no_percentiles() -> None:
    old = st.StageTime(stage="fetch", thread_s=2.0, bytes=10)
    performance = msgspec.structs.replace(samples.performance(), stages=(old,), bottleneck="")
    status = samples.status(performance=performance)
    assert words(gauges.stage_lines(status, 60))[-1].split()[-4:] == ["%", "–", "–", "–"]
    assert gauges.stages_heading(status) == ""


def test_a_stage_that_costs_next_to_nothing_takes_no_line() -> None:
    stages = samples.performance().stages
    idle = st.StageTime(stage="publish", thread_s=0.004 * sum(stage.thread_s for stage in stages), bytes=10)
    with_idle = samples.status(performance=msgspec.structs.replace(samples.performance(), stages=(*stages, idle)))
    assert len(words(gauges.stage_lines(with_idle, 60))) == len(words(gauges.stage_lines(samples.status(), 60)))


def test_the_hot_store_tells_how_full_it_is_what_is_ours_and_the_place() -> None:
    lines = words(gauges.storage_lines(samples.status(), 60))
    assert lines[0].startswith("hot     ━")
    assert lines[0].endswith("20 % full, 1.60 TB free of 2.00 TB")
    assert lines[1].strip() == "254 GB ours, 12 % of it"
    assert lines[2].strip() == "/srv/wedsync/repository"
    assert lines[3] == "dedup   1.17 : 1 since the start"


def test_a_store_whose_objects_are_not_counted_says_so_and_tells_its_room_all_the_same() -> None:
    lines = words(gauges.storage_lines(samples.empty_status(), 60))
    assert lines[0].endswith("20 % full, 1.60 TB free of 2.00 TB")
    assert lines[1].strip() == "being counted"
    unknown = st.TierRow(tier="hot", url="memory://", used_bytes=7, free_bytes=None, capacity_bytes=None)
    status = samples.status(storage=st.Storage(tiers=(unknown,), repository=""))
    assert words(gauges.storage_lines(status, 60))[0] == "hot     7 B ours"


@pytest.mark.parametrize(("share", "role"), [(0.2, "plain"), (0.86, "warning"), (0.99, "critical")])
def test_a_full_store_is_marked(share: float, role: str) -> None:
    assert gauges.tier_role(share) == role


def test_streams_tell_whose_choice_they_are() -> None:
    scaling = samples.status().auto_scaling
    assert words(gauges.streams_lines(scaling, 60, 5))[0] == "▮▮▮▮▮▮▯▯▯ 6/9 busy, by default"
    by_hand = msgspec.structs.replace(scaling, mode="manual", target=12)
    assert words(gauges.streams_lines(by_hand, 60, 5))[0].endswith("busy, set by hand, going to 12")
    until = msgspec.structs.replace(scaling, mode="manual", until_ns=samples.NOW_NS + 4 * 3_600 * samples.SECOND_NS)
    assert words(gauges.streams_lines(until, 60, 5))[0].endswith("busy, set by hand until Sat 20 Jun 18:00")


def test_capacity_is_told_before_it_is_changed() -> None:
    assert words(gauges.capacity_lines(samples.status())) == [
        "9 streams by default, 6 busy", "jobs: 1 running, 1 waiting", "CPU 42 % of 8 cores, load 3.1",
    ]  # fmt: skip


def test_the_scaling_timeline_is_newest_first_and_tells_each_step() -> None:
    changes = tuple(
        st.StreamChange(time_ns=samples.NOW_NS + i * 60 * samples.SECOND_NS, streams=n, reason=why)
        for i, (n, why) in enumerate([(3, "start"), (8, "scale 8"), (2, "scale 2")])
    )
    scaling = msgspec.structs.replace(samples.status().auto_scaling, timeline=changes)
    assert words(gauges.streams_lines(scaling, 60, 3))[1:] == ["14:02:00 8 → 2    scale 2", "14:01:00 3 → 8    scale 8"]
    (only,) = words(gauges.streams_lines(scaling, 60, 1))
    assert only.endswith("6/9  14:02:00 8 → 2    scale 2")


def test_many_streams_are_drawn_in_proportion() -> None:
    scaling = msgspec.structs.replace(samples.status().auto_scaling, streams=256, streams_busy=1)
    assert text_of(gauges.streams_bar(scaling, 12)) == "▮▯▯▯▯▯▯▯▯▯▯▯ 1/256"


def test_the_machine_tells_units() -> None:
    lines = words(gauges.machine_lines(samples.status(), 64))
    assert lines[0].endswith("42 % of 8 cores, load 3.1")
    assert lines[1].endswith("38 % of 16.0 GB, engine 310 MB")
    assert lines[2] == "disk    262 MB/s read, 231 MB/s written"
    assert lines[3] == "network 30.0 kB/s in, 12.0 kB/s out"


def test_uptime_is_told_from_the_document() -> None:
    assert gauges.uptime(samples.status(), samples.NOW_NS) == "up 2h"
