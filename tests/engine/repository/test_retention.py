"""What stays and why: the rules by examples checked by hand, and by laws that hold for any of them."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import UsageError
from engine.repository.retention import RULES, Fact, Policy, Verdict, decide, parse_policy

NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
NOW_NS = round(NOW.timestamp()) * 10**9
DAY_NS = 86_400 * 10**9


def _fact(time: str, *, zone: str = "UTC", series: str = "card", partial: bool = False, held: bool = False) -> Fact:
    """A snapshot that is called after its time."""
    at = dt.datetime.fromisoformat(time).replace(tzinfo=ZoneInfo(zone))
    time_ns = round(at.timestamp()) * 10**9
    return Fact(f"{series} {time}", series, time_ns, time_ns + 1, partial, held)


def _why(verdicts: list[Verdict]) -> dict[str, tuple[str, ...]]:
    """What stays and why; by the time in its name."""
    return {verdict.id.partition(" ")[2]: verdict.reasons for verdict in verdicts if verdict.stays}


# --- examples, by hand --------------------------------------------------------------------------------


def test_without_a_rule_everything_stays() -> None:
    """Who has said nothing has not asked for anything to go."""
    facts = [_fact("2020-01-01"), _fact("2026-06-30")]
    assert _why(decide(facts, Policy(), "UTC", NOW_NS)) == {
        "2020-01-01": ("no rule says otherwise",),
        "2026-06-30": ("the newest", "no rule says otherwise"),
    }


def test_the_last_ones_stay() -> None:
    """As they come, not by their days."""
    facts = [_fact(f"2026-06-30T0{hour}:00") for hour in range(1, 6)]
    assert _why(decide(facts, Policy(last=2), "UTC", NOW_NS)) == {
        "2026-06-30T04:00": ("last",),
        "2026-06-30T05:00": ("the newest", "last"),
    }


def test_days_weeks_months_and_years_as_restic_counts_them() -> None:
    """The newest of each period that has one; empty periods do not count."""
    times = ["2024-12-31", "2025-03-01", "2025-12-29", "2026-05-30", "2026-06-21", "2026-06-28", "2026-06-29T08:00"]
    facts = [_fact(time) for time in (*times, "2026-06-29T20:00")]
    # Weeks begin on Monday: 2026-06-29 is one, 06-28 the Sunday before it, and 2025-12-29 lies in week 1 of 2026.
    policy = Policy(daily=2, weekly=2, monthly=2, yearly=3)
    assert _why(decide(facts, policy, "UTC", NOW_NS)) == {
        "2026-06-29T20:00": ("the newest", "daily", "weekly", "monthly", "yearly"),
        "2026-06-28": ("daily", "weekly"),
        "2026-05-30": ("monthly",),
        "2025-12-29": ("yearly",),
        "2024-12-31": ("yearly",),
    }


def test_a_rule_that_is_not_used_up_keeps_the_oldest() -> None:
    """So a repository that is younger than its rules loses its beginning last."""
    facts = [_fact("2026-06-01"), _fact("2026-06-10"), _fact("2026-06-20")]
    assert _why(decide(facts, Policy(monthly=12), "UTC", NOW_NS)) == {
        "2026-06-01": ("monthly, the oldest",),
        "2026-06-20": ("the newest", "monthly"),
    }


def test_a_day_is_one_of_the_wedding() -> None:
    """Half past eleven at night in New York is tomorrow in UTC."""
    facts = [_fact("2026-06-20T10:00", zone="America/New_York"), _fact("2026-06-20T23:30", zone="America/New_York")]
    facts.append(_fact("2026-06-21T09:00", zone="America/New_York"))
    kept = _why(decide(facts, Policy(daily=2), "America/New_York", NOW_NS))
    assert list(kept) == ["2026-06-20T23:30", "2026-06-21T09:00"]
    assert list(_why(decide(facts, Policy(daily=2), "UTC", NOW_NS))) == ["2026-06-20T10:00", "2026-06-21T09:00"]


def test_the_hour_that_comes_twice_is_two() -> None:
    """On the night when clocks go back, in Berlin from three to two."""
    first = round(dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC).timestamp()) * 10**9
    facts = [Fact("before", "card", first, first), Fact("again", "card", first + 3600 * 10**9, first)]
    assert all(verdict.stays for verdict in decide(facts, Policy(hourly=2), "Europe/Berlin", NOW_NS))


def test_series_do_not_push_each_other_out() -> None:
    """Three cards backed up one after the other are three beginnings."""
    facts = [_fact("2026-06-01", series="a"), _fact("2026-06-02", series="b"), _fact("2026-06-03", series="a")]
    kept = [verdict.id for verdict in decide(facts, Policy(last=1), "UTC", NOW_NS) if verdict.stays]
    assert kept == ["b 2026-06-02", "a 2026-06-03"]


def test_what_is_held_stays() -> None:
    """Whatever the rules say."""
    facts = [_fact("2020-01-01", held=True), _fact("2021-01-01"), _fact("2026-06-30")]
    assert _why(decide(facts, Policy(last=1), "UTC", NOW_NS)) == {
        "2020-01-01": ("held",),
        "2026-06-30": ("the newest", "last"),
    }


def test_checkpoints_stay_a_week() -> None:
    """Also beside a whole snapshot, and without any rule of their own."""
    facts = [_fact("2026-06-24T11:59", partial=True), _fact("2026-06-24T12:01", partial=True), _fact("2026-06-30")]
    assert list(_why(decide(facts, Policy(last=5), "UTC", NOW_NS))) == ["2026-06-24T12:01", "2026-06-30"]


def test_the_newest_checkpoint_stays_until_something_whole_follows() -> None:
    """It may be all there is of a card that was formatted since."""
    facts = [_fact("2026-01-01"), _fact("2026-02-01", partial=True), _fact("2026-02-02", partial=True)]
    assert _why(decide(facts, Policy(last=1), "UTC", NOW_NS)) == {
        "2026-01-01": ("the newest", "last"),
        "2026-02-02": ("the newest, though not whole",),
    }
    assert "2026-02-02" not in _why(decide([*facts, _fact("2026-02-03")], Policy(last=1), "UTC", NOW_NS))


# --- what people write --------------------------------------------------------------------------------


def test_a_policy_reads_as_it_is_written() -> None:
    """In the order of the rules."""
    assert parse_policy(" yearly all,last 3 ") == Policy(last=3, yearly=None)
    assert str(Policy(last=3, yearly=None)) == "last 3, yearly all"
    assert parse_policy("") == Policy()
    assert not parse_policy("")
    assert parse_policy("monthly 1")


@pytest.mark.parametrize("text", ["last", "last 0", "last -1", "last 1.5", "last ٣", "daily 9, daily 9", "often 3"])
def test_a_policy_that_says_nothing_is_refused(text: str) -> None:
    """In one line, with an example."""
    with pytest.raises(UsageError) as caught:
        parse_policy(text)
    assert caught.value.hint == "write it like last 3, daily 14, monthly 12, yearly all"


# --- laws ---------------------------------------------------------------------------------------------

_HOURS = st.lists(st.integers(0, 24 * 800), max_size=40).map(sorted)
_COUNTS = st.none() | st.integers(0, 9)
_POLICIES = st.builds(Policy, **dict.fromkeys(RULES, _COUNTS))


def _facts(hours: list[int]) -> list[Fact]:
    times = [NOW_NS - (24 * 800 - hour) * 3600 * 10**9 for hour in hours]
    return [Fact(str(at), "card", time_ns, time_ns) for at, time_ns in enumerate(times)]


def _kept(facts: list[Fact], policy: Policy) -> set[str]:
    return {verdict.id for verdict in decide(facts, policy, "Europe/London", NOW_NS) if verdict.stays}


@given(_HOURS, _POLICIES, st.sampled_from(RULES), st.integers(1, 5))
def test_a_larger_count_keeps_no_less(hours: list[int], policy: Policy, rule: str, more: int) -> None:
    """For every rule, beside any others."""
    count = getattr(policy, rule)
    larger = Policy(**{each: getattr(policy, each) for each in RULES} | {rule: None if count is None else count + more})
    facts = _facts(hours)
    assert not policy or _kept(facts, policy) <= _kept(facts, larger)


@given(_HOURS, _POLICIES)
def test_deciding_twice_takes_nothing_more(hours: list[int], policy: Policy) -> None:
    """What one prune has left the next one leaves, while no time passes."""
    facts = _facts(hours)
    kept = _kept(facts, policy)
    assert _kept([fact for fact in facts if fact.id in kept], policy) == kept


@given(_HOURS, st.integers(1, 9))
def test_a_rule_keeps_one_of_each_of_its_newest_periods(hours: list[int], count: int) -> None:
    """The newest of the day, and as many as there are; one more where the oldest stays too."""
    facts = _facts(hours)
    days = [dt.datetime.fromtimestamp(fact.time_ns / 1e9, ZoneInfo("Europe/London")).date() for fact in facts]
    newest = [fact.id for fact, day, after in zip(facts, days, [*days[1:], None], strict=False) if day != after]
    kept = _kept(facts, Policy(daily=count))
    assert set(newest[-count:]) <= kept
    assert kept <= {*newest[-count:], *(fact.id for fact in facts[:1])}
