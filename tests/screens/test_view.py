"""Status documents in, rows of text out: what an operator reads."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.events import Event
from engine.contract.status import AlertRow, JobRow, Status, WeddingRow
from screens import view
from screens.text import Line, Span, width_of
from tests import samples

SECOND = samples.SECOND_NS
HOUR = 3_600 * SECOND


def text_of(line: Line) -> str:
    """A line without its roles, and without the blanks at its end."""
    return "".join(span.text for span in line).rstrip()


def rows_of(status: Status, width: int = 76) -> list[str]:
    return [text_of(row.line) for row in view.wedding_rows(status, width)]


# --- time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "just now"), (4.9, "just now"), (12, "12 s ago"), (119, "1 min ago"), (7_200, "2 h ago"),
     (100_000, "27 h ago"), (200_000, "2 d ago")],
)  # fmt: skip
def test_how_long_since_is_told_in_one_unit(seconds: float, words: str) -> None:
    assert view.ago(seconds) == words


def at(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("moment", "zone", "days"),
    [
        ("2026-06-20T14:00:00+00:00", "UTC", 0),
        ("2026-06-21T04:30:00+00:00", "Europe/London", 0),  # 05:30 in Bath: still the wedding night
        ("2026-06-21T05:30:00+00:00", "Europe/London", -1),
        ("2026-06-19T20:30:00+00:00", "Asia/Tokyo", 1),  # 05:30 on the 20th in Hakone: the day begins at six
        ("2026-06-19T21:30:00+00:00", "Asia/Tokyo", 0),
        ("2026-06-20T14:00:00+00:00", "Nowhere/At-all", 0),
    ],
)
def test_a_wedding_day_lasts_until_six_in_its_own_zone(moment: str, zone: str, days: int) -> None:
    row = msgspec.structs.replace(samples.wedding_row(), timezone=zone)
    assert view.days_until(row, at(moment)) == days


@pytest.mark.parametrize(
    ("days", "words"),
    [(0, "today"), (1, "tomorrow"), (-1, "yesterday"), (7, "Sat 27 Jun"), (-2, "Thu 18 Jun"), (400, "25 Jul '27")],
)
def test_a_date_is_said_as_people_say_it(days: int, words: str) -> None:
    assert view.day_words(samples.TODAY + dt.timedelta(days=days), days) == words


# --- weddings -----------------------------------------------------------------------------------------


def wedding(day: int, *, since_s: float | None, snapshots: int | None = 1) -> WeddingRow:
    row = samples.wedding_row(day=day, protected=since_s is not None)
    since = None if since_s is None else samples.NOW_NS - round(since_s * SECOND)
    return msgspec.structs.replace(row, protected_since_ns=since, snapshots=snapshots)


@pytest.mark.parametrize(
    ("row", "words", "role"),
    [
        (wedding(0, since_s=120), "● protected 2 min ago", "ok"),
        (wedding(0, since_s=None, snapshots=0), "▲ not yet", "warning"),
        (wedding(1, since_s=None, snapshots=0), "▲ not yet", "warning"),
        (wedding(9, since_s=None, snapshots=0), "○ nothing yet", "dim"),
        (wedding(-3, since_s=None, snapshots=0), "✗ nothing kept", "critical"),
        (wedding(0, since_s=None, snapshots=None), "○ not counted yet", "dim"),
        (wedding(0, since_s=3 * 86_400), "▲ 3 d ago, before the day", "warning"),
        (wedding(9, since_s=3 * 86_400), "● protected 3 d ago", "ok"),
    ],
)
def test_safety_is_told_by_glyph_word_and_role(row: WeddingRow, words: str, role: str) -> None:
    assert view.safety(row, samples.NOW_NS) == Span(words, role)  # type: ignore[arg-type]


def test_today_comes_first_then_tomorrow_then_the_coming_then_the_past() -> None:
    names = [row.name for row in view.wedding_order(samples.status())]
    assert names == ["okafor-lind", "smith-jones", "garcia-ruiz", "tanaka-mori", "novak-dvorak", "walker-hayes"]


def test_a_past_wedding_at_work_stands_before_the_coming_ones() -> None:
    rows = (samples.wedding_row("coming", day=5), samples.wedding_row("past", day=-5, jobs=1))
    assert [row.name for row in view.wedding_order(samples.status(weddings=rows))] == ["past", "coming"]


def test_archived_weddings_are_not_shown() -> None:
    row = msgspec.structs.replace(samples.wedding_row(), archived=True)
    assert view.wedding_rows(samples.status(weddings=(row,)), 78) == ()


def test_weddings_on_a_narrow_screen_leave_the_class_to_the_day_and_the_names_their_room() -> None:
    assert [" ".join(row.split()) for row in rows_of(samples.status())[:2]] == [
        "okafor-lind today ● protected 1 min ago",
        "smith-jones today ● protected 1 min ago backing up 50 %",
    ]
    long = msgspec.structs.replace(samples.sample_wedding_rows()[0], name="fitzgerald-osei")
    assert "fitzgerald-osei  " in rows_of(samples.status(weddings=(long,)))[0]


def test_weddings_on_a_wide_screen_show_what_is_kept_and_where() -> None:
    shown = rows_of(samples.status(), 150)[1]
    assert "3 snapshots" in shown
    assert "48.5 GB" in shown
    assert shown.endswith("Bath, UK")


@given(st.integers(0, 250))
def test_rows_never_outgrow_their_width_once_it_is_a_terminal(width: int) -> None:
    status = samples.status()
    for row in (*view.wedding_rows(status, width), *view.job_rows(status, width)):
        assert width_of(row.line) <= max(width, 32)


def test_a_venue_cannot_send_the_terminal_a_command() -> None:
    row = msgspec.structs.replace(samples.wedding_row(), venue="\x1b]0;owned\x07")
    shown = rows_of(samples.status(weddings=(row,)), 160)[0]
    assert "\x1b" not in shown
    assert "\\x1b]0;owned" in shown


def test_the_heading_counts_today_and_all() -> None:
    assert view.weddings_heading(samples.status()) == "2 today, 2 protected · 6 in all"
    assert view.weddings_heading(samples.status(weddings=(samples.wedding_row(day=9),))) == "none today · 1 in all"


def test_an_empty_home_says_which_key_helps() -> None:
    words = " ".join(text_of(line) for line in view.weddings_empty(samples.empty_status()))
    assert "There is no repository yet. Press i to make one in file:///srv/wedsync/repository." in words


def test_a_repository_that_does_not_open_says_why() -> None:
    alert = AlertRow(
        id="repository", level="critical", since_ns=1, subject="repository",
        message="this passphrase opens no key slot; check WEDSYNC_PASSPHRASE",
    )  # fmt: skip
    status = msgspec.structs.replace(samples.empty_status(), status="failed", alerts=(alert,), alerts_total=1)
    words = " ".join(text_of(line) for line in view.weddings_empty(status))
    assert "could not be opened. this passphrase opens no key slot; check WEDSYNC_PASSPHRASE" in words
    assert "No weddings yet" not in words


def test_a_register_without_weddings_says_what_to_type() -> None:
    words = " ".join(text_of(line) for line in view.weddings_empty(samples.status(weddings=())))
    assert "No weddings yet." in words
    assert "wedding add smith-jones --date 2026-06-20" in words


# --- jobs ---------------------------------------------------------------------------------------------


def job(state: str, **changes: object) -> JobRow:
    return msgspec.structs.replace(samples.job_row(state=state), **changes)  # type: ignore[arg-type]


def job_line(row: JobRow, width: int = 78) -> str:
    return text_of(view.job_rows(samples.status(jobs=(row,)), width)[0].line)


def test_a_running_job_has_a_bar_a_share_and_a_rate() -> None:
    shown = job_line(job("running"))
    assert shown.startswith("▸ backup    smith-jones")
    assert "━" in shown
    assert shown.endswith("50 %   240 MB/s")


def test_a_running_job_on_a_wide_screen_tells_time_left_and_file() -> None:
    shown = job_line(job("running"), 190)
    for words in ("8.3 s left", "2.00 GB of 4.00 GB", "100 of 200 files", "/card/DCIM/IMG_0042.CR3"):
        assert words in shown


def test_a_job_whose_size_is_not_known_shows_what_is_done_and_no_share() -> None:
    shown = job_line(job("running", bytes_total=None, files_total=None))
    assert "2.00 GB so far" in shown
    assert "scan" in shown
    assert "%" not in shown


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (job("queued"), "queued 42 s ago"),
        (job("paused", bytes_read=2_000_000_000), "paused, 2.00 GB so far"),
        (job("done"), "done just now, 4.00 GB in 39 s, 3.60 GB stored"),
        (job("warnings"), "done just now, 2 warnings, 4.00 GB in 39 s, 3.60 GB stored"),
        (job("warnings", warnings=1, kind="retrieve"), "done just now, 1 warning, 4.00 GB in 39 s"),
        (job("failed"), "failed just now: the source cannot be read"),
        (job("failed", message=""), "failed just now: failed"),
        (job("cancelled"), "cancelled just now"),
        (job("interrupted", message="goes on at the next start"), "interrupted just now, goes on at the next start"),
    ],
)
def test_a_job_that_does_not_run_says_how_it_stands(row: JobRow, words: str) -> None:
    assert text_of(view.job_words(row, samples.NOW_NS)) == words


def test_what_runs_stands_above_what_waits_above_what_has_ended() -> None:
    states = [row.state for row in view.job_order(samples.status())]
    assert states[:2] == ["running", "queued"]


def test_every_state_of_a_job_has_its_own_word_or_glyph() -> None:
    shown = {job_line(job(state)) for state in view.JOB_GLYPH}
    assert len(shown) == len(view.JOB_GLYPH)


# --- the top line and what needs a person ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "✗ critical"),
        ({"alerts": ()}, "▲ needs a look"),
        ({"alerts": (), "health": samples.status().health[:3]}, "● all well"),
        ({"alerts": (), "health": ()}, "○ unknown"),
        ({"status": "no-repository"}, "○ no repository yet"),
        ({"status": "draining"}, "○ stopping: jobs are ending"),
    ],
)
def test_the_first_words_are_the_gravest(changes: dict[str, object], words: str) -> None:
    assert view.overall(samples.status(**changes)).text == words


def test_an_acknowledged_alert_no_longer_makes_it_critical() -> None:
    row = msgspec.structs.replace(samples.alert_row(), acknowledged=True)
    assert view.overall(samples.status(alerts=(row,), health=())).text == "○ unknown"
    assert view.attention_lines(samples.status(alerts=(row,), health=())) == ()


def test_the_top_line_keeps_health_and_clock_at_any_width() -> None:
    for width in (40, 80, 200):
        line = view.status_line(samples.status(), width)
        assert width_of(line) == width
        assert text_of(line).startswith(" ✗ critical")
        assert text_of(line).endswith("14:00:00 UTC")


def test_a_simulated_document_says_so() -> None:
    assert "SIMULATED" in text_of(view.status_line(samples.status(simulated=True), 80))


def test_what_needs_a_person_is_told_gravest_first_with_its_reason() -> None:
    rows = (samples.alert_row(2), samples.alert_row(1))
    lines = [text_of(line) for line in view.attention_lines(samples.status(alerts=rows))]
    assert lines[0] == "✗ critical  tanaka-mori: not protected, and the wedding is tomorrow  since 5 min"
    assert lines[1].startswith("▲ warning  tanaka-mori")
    assert lines[2] == "▲ warning  jobs: 1 job failed in the last hour"


def test_an_event_is_a_line_with_its_time_and_level() -> None:
    event = Event(seq=1, time_ns=samples.NOW_NS, kind="job-ended", level="warning", wedding="smith-jones")
    assert text_of(view.event_line(event)) == "14:00:00 ▲ job ended (smith-jones)"


def test_a_paused_job_stands_before_those_that_ended() -> None:
    states = [job.state for job in view.job_order(samples.status(jobs=samples.many_jobs()))]
    assert states == ["running", "running", "queued", "queued", "paused", "failed", "warnings", "done"]
