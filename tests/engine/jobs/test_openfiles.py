"""When files that stay open are looked at, and when they are told of."""

from __future__ import annotations

from engine.jobs.openfiles import FIRST_S, LAST_S, OPEN_MAX, OpenFiles

WATCHES = frozenset({"w"})


def test_a_file_that_is_closed_soon_is_never_looked_at() -> None:
    files = OpenFiles()
    files.made(b"/a", WATCHES, 0.0)
    files.made(b"/b", WATCHES, 1.0)
    files.closed(b"/a")
    assert files.due(FIRST_S) == []
    assert files.due(FIRST_S + 1.0) == [b"/b"]
    assert files.due(FIRST_S + 2.0) == []  # it is being looked at
    assert len(files) == 1


def test_a_file_that_grows_is_told_of_when_it_has_been_open_twice_as_long() -> None:
    """At 1, 2, 4, 8 … minutes: what is read in all stays below twice what the file has in the end."""
    files = OpenFiles()
    files.made(b"/a", WATCHES, 0.0)
    told = []
    for now_s in range(0, 3600, 10):
        for path in files.due(now_s):
            if files.looked(path, (now_s, now_s), now_s):
                told.append(now_s)
    assert told == [60, 120, 240, 480, 960, 1920]
    assert sum(told) < 2 * told[-1]


def test_what_has_not_changed_is_not_told_of_again() -> None:
    files = OpenFiles()
    files.made(b"/a", WATCHES, 0.0)
    files.due(60)
    assert files.looked(b"/a", (1, 1), 60) == WATCHES
    files.due(120)
    assert files.looked(b"/a", (1, 1), 120) == frozenset()
    files.due(240)
    assert files.looked(b"/a", (2, 1), 240) == WATCHES


def test_what_is_gone_closed_meanwhile_or_open_for_a_day_is_forgotten() -> None:
    files = OpenFiles()
    for path in (b"/gone", b"/closed", b"/long"):
        files.made(path, WATCHES, 0.0)
    assert len(files.due(60)) == 3
    files.closed(b"/closed")
    assert files.looked(b"/gone", None, 61) == files.looked(b"/closed", (1, 1), 61) == frozenset()
    assert files.looked(b"/long", (1, 1), LAST_S + 1) == frozenset()
    assert len(files) == 0


def test_no_more_are_held_than_the_limit() -> None:
    files = OpenFiles()
    for number in range(OPEN_MAX + 10):
        files.made(b"/%d" % number, WATCHES, 0.0)
    assert len(files) == OPEN_MAX
