"""The words of the Storage screen."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract import status as st
from screens import stores
from screens.text import Line, width_of
from tests import samples

PARTS = (
    stores.tier_lines, stores.region_lines, stores.owed_lines, stores.endpoint_lines, stores.moving_lines,
    stores.recall_lines, stores.scrub_lines, stores.cache_lines,
)  # fmt: skip


def words(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(span.text for span in line).rstrip() for line in lines]


def full(**changes: object) -> st.Status:
    return samples.status(storage=msgspec.structs.replace(samples.storage(), **changes))


@pytest.mark.parametrize("width", [30, 48, 62, 78, 98, 118, 198])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_line_takes_exactly_its_width(part: stores.Part, width: int) -> None:
    for status in (samples.status(), full()):
        assert {width_of(line) for line in part(status, width)} <= {width}


def test_a_tier_tells_how_full_it_is_until_when_and_what_it_costs() -> None:
    lines = words(stores.tier_lines(full(), 98))
    assert lines[0] == "Tiers  3 tiers, 306.19 a month"
    assert lines[2].split()[:1] == ["hot"]
    assert "88 %" in lines[2]
    assert "9 Jul 2026" in lines[2]
    assert "not soon" in lines[3]


def test_a_tier_whose_room_is_not_known_shows_no_share() -> None:
    hot = msgspec.structs.replace(samples.storage().tiers[0], free_bytes=None, capacity_bytes=None, used_bytes=None)
    line = words(stores.tier_lines(full(tiers=(hot,)), 98))[2]
    assert "%" not in line
    assert "counting" in line


def test_a_region_that_is_away_or_lacks_something_says_since_when() -> None:
    lines = words(stores.region_lines(full(), 78))
    assert lines[0] == "Copies  3 copies of each pack, 2 to commit, 2 weddings not safe yet"
    away = next(line for line in lines if line.startswith("frankfurt"))
    assert "✗ away 2h" in away
    assert "1,904" in away
    assert "▲ healing" in next(line for line in lines if line.startswith("london"))
    assert "✗1" in next(line for line in lines if line.startswith("oregon"))


def test_a_house_without_regions_says_that_there_is_one_copy() -> None:
    assert "one copy" in words(stores.region_lines(samples.status(), 78))[1]


def test_weddings_that_lack_copies_are_named_the_worst_first() -> None:
    rows = samples.sample_wedding_rows()
    owing = tuple(msgspec.structs.replace(row, copies_owed=count) for row, count in zip(rows, (0, 3, 41), strict=False))
    lines = words(stores.owed_lines(samples.status(weddings=owing), 78))
    assert [line.split()[:2] for line in lines[2:]] == [[rows[2].name, "41"], [rows[1].name, "3"]]
    assert stores.owed_lines(samples.status(), 78) == ()


def test_moves_and_recalls_tell_how_far_they_are() -> None:
    assert "180/412" in words(stores.moving_lines(full(), 78))[2]
    recall = words(stores.recall_lines(full(), 78))[2]
    assert "12/96" in recall
    assert "in 2h" in recall


def test_a_recall_that_takes_longer_than_expected_says_so() -> None:
    late = msgspec.structs.replace(samples.storage().recalls[0], eta_ns=samples.NOW_NS - 1)
    assert "▲ overdue" in words(stores.recall_lines(full(recalls=(late,)), 78))[2]


def test_the_scrub_shows_how_long_ago_copies_were_verified() -> None:
    lines = words(stores.scrub_lines(full(), 78))
    assert lines[0] == "Scrub  at most 20.0 MB/s, 128 GB read since the start, 1 bad"
    assert lines[2].split()[:4] == ["hot/dublin", "610", "3,900", "2,800"]


def test_the_cache_shows_hits_only_where_something_was_read() -> None:
    lines = words(stores.cache_lines(full(), 98))
    assert "97 %" in lines[2]
    assert "6 µs" in lines[2]
    assert "%" not in lines[3]


def test_names_cannot_reach_the_terminal_as_commands() -> None:
    storage = samples.storage()
    assert storage.replication is not None
    bad = msgspec.structs.replace(storage.replication.regions[0], region="a\x1b[2Jb")
    lines = words(
        stores.region_lines(full(replication=msgspec.structs.replace(storage.replication, regions=(bad,))), 78)
    )
    assert not any("\x1b" in line for line in lines)
