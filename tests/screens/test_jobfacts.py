"""What is told of one job."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract import status as st
from engine.contract.steering import JobDetail, JobMoment
from screens import jobfacts
from screens.text import Line, width_of
from tests import samples

NOW = samples.NOW_NS


def text(lines: tuple[Line, ...]) -> str:
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


def facts(job: st.JobRow, *, deadline_s: float | None = 5.0, command: str = "") -> str:
    detail: JobDetail = msgspec.structs.replace(samples.job_detail(), job=job, deadline_s=deadline_s)
    return text(jobfacts.fact_lines(detail, NOW, 78, command=command))


def test_a_running_job_tells_how_far_how_fast_and_whether_it_will_be_in_time() -> None:
    told = facts(samples.job_row(), command="backup smith-jones --from /card")
    assert "50 %  2.00 GB of 4.00 GB, 100 of 200 files" in told
    assert "240 MB/s now, 50.0 MB/s on average, 8.3 s left" in told
    assert "1.80 GB written, 100 MB were there already" in told
    assert "within 5 s: ▲ 37 s over" in told
    assert "118 done, 3 at work, each on a stream" in told
    assert "made by    : backup smith-jones --from /card" in told
    assert "2m: 1m left" in facts(samples.job_row(), deadline_s=120.0)


@pytest.mark.parametrize(
    ("state", "deadline_s", "said"),
    [
        ("done", 60.0, "within 1m: ✓ took 41 s"),
        ("done", 5.0, "within 5 s: ▲ took 41 s"),
        ("failed", 60.0, "within 1m: it was not"),
        ("cancelled", None, "class      same-day\n"),
    ],
)
def test_an_ended_job_tells_whether_it_was_in_time(state: st.JobState, deadline_s: float | None, said: str) -> None:
    assert said in facts(samples.job_row(state=state), deadline_s=deadline_s)


@pytest.mark.parametrize(
    ("state", "first_s", "said"),
    [
        ("running", None, "its first byte to be restored within 5 s: ▲ 37 s over"),
        ("running", 0.4, "its first byte to be restored within 5 s: ✓ took 400 ms"),
        ("failed", 6.5, "its first byte to be restored within 5 s: ▲ took 6.5 s"),
        ("failed", None, "its first byte to be restored within 5 s: it was not"),
        ("done", None, "its first byte to be restored within 5 s: ▲ took 41 s"),  # there was none
    ],
)
def test_a_retrieval_tells_whether_its_first_byte_was_in_time(
    state: st.JobState, first_s: float | None, said: str
) -> None:
    job = msgspec.structs.replace(samples.job_row(state=state, kind="retrieve"), initiation_s=first_s)
    assert said in facts(job)
    assert ("restored 6.5 s after" in facts(job)) == (first_s == 6.5)


def test_a_failure_tells_its_reason_and_a_stream_that_nothing_begins_it_again() -> None:
    assert "reason     the source cannot be read" in facts(samples.job_row(state="failed"))
    assert "nothing can begin it again" in facts(samples.job_row())


def test_the_course_counts_attempts_and_tells_what_passed_between() -> None:
    lines = text(jobfacts.course_lines(samples.job_detail().history, 100)).splitlines()
    assert lines[0].split() == ["13:59:18", "○", "accepted"]
    assert lines[2].endswith("▲ attempt failed: the store does not answer; tried again in 4.2 s")
    assert lines[3].split() == ["13:59:34", "+4", "s", "▸", "started,", "attempt", "2"]


def test_a_course_over_midnight_tells_the_day() -> None:
    turns = (
        JobMoment(time_ns=NOW, what="accepted"),
        JobMoment(time_ns=NOW + 86_400 * samples.SECOND_NS, what="restarted"),
    )
    assert "+1 d" in text(jobfacts.course_lines(turns, 80)).splitlines()[1]


@pytest.mark.parametrize("width", [24, 40, 78])
def test_long_words_go_on_in_the_next_line_and_none_is_lost(width: int) -> None:
    words = "/card/" + "x" * 50 + ": recorded as a socket; what is behind it cannot be backed up"
    lines = jobfacts.warning_lines(words, width)
    assert {width_of(line) for line in lines} == {width}
    assert text(lines).replace("▲", "").replace("\n", "").replace(" ", "") == words.replace(" ", "")
    course = jobfacts.course_lines([JobMoment(time_ns=NOW, what="attempt-failed", words="no answer " * 9)], width)
    assert {width_of(line) for line in course} == {width}
    assert text(course).count("answer") == 9


def test_of_more_warnings_than_are_kept_the_number_is_told() -> None:
    assert jobfacts.warnings_title(samples.job_detail()) == "1,204 warnings, the first 40 are kept"
