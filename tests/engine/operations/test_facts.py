"""What the engine remembers of weddings: names, order of the list, and how safe each is."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from engine.base.errors import NotFound
from engine.contract.weddings import Wedding
from engine.operations.facts import Facts, Recovery

NOON_NS = 1_781_956_800 * 10**9  # 2026-06-20T12:00:00Z
TODAY = dt.date(2026, 6, 20)


def wedding(name: str, ahead_days: int = 0, *, archived: bool = False, timezone: str = "UTC") -> Wedding:
    return Wedding(
        id=name.encode().hex().ljust(32, "0"),
        name=name,
        date=TODAY + dt.timedelta(days=ahead_days),
        archived=archived,
        timezone=timezone,
    )


def facts_of(*weddings: Wedding) -> Facts:
    facts = Facts()
    facts.take_register(weddings)
    return facts


def test_an_unknown_name_brings_the_nearest_ones() -> None:
    facts = facts_of(wedding("smith-jones"), wedding("smythe-jones"), wedding("garcia-lee"))
    assert facts.find("smith-jones").name == "smith-jones"
    with pytest.raises(NotFound, match="no wedding 'smith-jonse'") as caught:
        facts.find("smith-jonse")
    assert "smith-jones" in caught.value.hint
    assert "garcia" not in caught.value.hint
    with pytest.raises(NotFound) as caught:
        facts.find("zzz")
    assert "wedding add" in caught.value.hint


def test_near_names_are_found_in_a_large_register() -> None:
    facts = facts_of(*(wedding(f"couple-{number}") for number in range(1000)), wedding("smith-jones"))
    with pytest.raises(NotFound) as caught:
        facts.find("smith-jomes")
    assert "smith-jones" in caught.value.hint


def test_list_is_today_then_coming_then_past_and_without_the_archived() -> None:
    facts = facts_of(
        wedding("last-year", -365), wedding("yesterday", -1), wedding("today-b"), wedding("today-a"),
        wedding("tomorrow", 1), wedding("next-year", 365), wedding("gone", 0, archived=True),
    )  # fmt: skip
    listing = facts.listing(NOON_NS)
    assert [row.name for row, _ in listing.weddings] == [
        "today-a", "today-b", "tomorrow", "next-year", "yesterday", "last-year",
    ]  # fmt: skip
    assert [priority for _, priority in listing.weddings[:4]] == ["same-day", "same-day", "next-day", "standard"]
    assert (listing.today, listing.today_protected) == (2, 0)


def test_a_commit_protects_from_the_start_of_its_scan_on() -> None:
    today = wedding("today")
    facts = facts_of(today)
    assert facts.row(today, "same-day", 0).protected_since_ns is None
    facts.committed(today.id, Recovery(500, 1000))
    assert facts.listing(NOON_NS).today_protected == 1
    row = facts.row(today, "same-day", 2)
    assert (row.protected_since_ns, row.snapshots, row.bytes_source, row.running_jobs) == (500, None, 1000, 2)


def test_counting_and_commits_add_up_and_an_older_snapshot_takes_nothing_back() -> None:
    today = wedding("today")
    facts = facts_of(today)
    facts.counted(today.id, [Recovery(100, 10), Recovery(300, 30)])
    facts.committed(today.id, Recovery(200, 20))
    safety = facts.safety(today.id)
    assert (safety.protected_since_ns, safety.snapshots, safety.bytes_source) == (300, 3, 30)
    facts.counted(today.id, [])
    assert facts.safety(today.id).snapshots == 0


def test_list_is_made_anew_when_the_day_ends() -> None:
    facts = facts_of(wedding("today"))
    assert facts.listing(NOON_NS).today == 1
    assert facts.listing(NOON_NS + 18 * 3600 * 10**9).today == 0  # six in the morning
    assert facts.listing(NOON_NS).today == 1


def test_what_left_the_register_is_forgotten() -> None:
    today = wedding("today")
    facts = facts_of(today)
    facts.committed(today.id, Recovery(100, 10))
    facts.take_register([])
    assert facts.by_id(today.id) is None
    assert facts.safety(today.id).protected_since_ns is None


def test_what_is_counted_on_the_way_is_what_counting_anew_gives() -> None:
    """Commits and counts of any wedding, archived ones too, in any order; the list is not made anew between them."""
    chance = random.Random(7)
    register = [wedding(f"w{n}", chance.randint(-2, 2), archived=n % 5 == 0) for n in range(40)]
    facts = facts_of(*register)
    first = facts.listing(NOON_NS).weddings
    for _ in range(300):
        key = chance.choice(register).id
        if chance.random() < 0.5:
            facts.committed(key, Recovery(NOON_NS, 1))
        else:
            facts.counted(key, [Recovery(NOON_NS, 1)] * chance.randint(0, 1))
        listing = facts.listing(NOON_NS)
        assert listing.weddings is first
        assert listing == facts._make_listing(NOON_NS)


def test_a_register_that_was_read_again_unchanged_leaves_everything_as_it_is() -> None:
    """Ten thousand weddings are not put in order again because somebody has looked."""
    all_of_them = [wedding(f"w{number:03}", number % 7) for number in range(100)]
    facts = facts_of(*all_of_them)
    before, listed = facts.weddings, facts.listing(NOON_NS)
    facts.take_register(reversed(all_of_them), ["one entry cannot be read"])
    assert facts.weddings is before
    assert facts.listing(NOON_NS) is listed
    assert facts.register_problems == ("one entry cannot be read",)
    facts.take_register(all_of_them[1:])
    assert len(facts.listing(NOON_NS).weddings) == 99
