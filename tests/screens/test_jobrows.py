"""The rows of the Jobs screen."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract.operations import JobSort
from screens import jobrows
from screens.text import Line, width_of
from tests import samples

NOW = samples.NOW_NS
BY_KEY = {sort.key: sort for sort in jobrows.SORTS}


def text(line: Line) -> str:
    return "".join(span.text for span in line)


@pytest.mark.parametrize("width", range(30, 210, 3))
def test_every_row_and_the_heading_fit_their_box(width: int) -> None:
    rows = samples.many_jobs()
    assert {width_of(jobrows.job_line(job, NOW, width, is_marked=True)) for job in rows} == {width}
    assert width_of(jobrows.heading(jobrows.SORTS[0], width, reverse=False)) <= width + 1


def test_a_narrow_row_gives_the_room_of_figures_to_the_reason() -> None:
    failed = samples.job_row(3, state="failed")
    assert "the source cannot be read" in text(jobrows.job_line(failed, NOW, 77, is_marked=False))
    runs = text(jobrows.job_line(samples.job_row(), NOW, 77, is_marked=False))
    assert runs.split()[-8:] == ["50", "%", "240", "MB/s", "8.3", "s", "42", "s"]
    warned = msgspec.structs.replace(samples.job_row(), warnings=2)
    assert "▲50 %" in text(jobrows.job_line(warned, NOW, 77, is_marked=False))
    assert "▲ 2 warnings" in text(jobrows.job_line(warned, NOW, 120, is_marked=False))


def test_a_job_that_waits_for_its_next_attempt_says_how_long_and_why() -> None:
    retry = next(job for job in samples.many_jobs() if job.retry_ns)
    line = text(jobrows.job_line(retry, NOW, 200, is_marked=False))
    assert "○ retry 31 s" in line
    assert "the store does not answer" in line


def test_what_is_read_whole_and_not_committed_is_ending() -> None:
    whole = msgspec.structs.replace(samples.job_row(), bytes_read=4_000_000_000, eta_s=0.0)
    assert "ending" in text(jobrows.job_line(whole, NOW, 77, is_marked=False))
    assert not jobrows.is_ending(samples.job_row(state="done"))


def test_a_marked_job_has_a_star_beside_its_colour() -> None:
    assert text(jobrows.job_line(samples.job_row(), NOW, 77, is_marked=True)).startswith("*")


@pytest.mark.parametrize(
    ("key", "reverse", "words", "arrow"),
    [
        ("rate", False, "by rate, fastest first", "rate↓"),
        ("rate", True, "by rate, slowest first", "rate↑"),
        ("eta", False, "by time left, first to end", "left↑"),
        ("wedding", True, "by wedding, Z to A", "wedding↓"),
        ("class", False, "by class, same-day first", "class↑"),
    ],
)
def test_a_sort_is_told_in_words_and_by_an_arrow(key: JobSort, reverse: bool, words: str, arrow: str) -> None:
    assert jobrows.sort_words(BY_KEY[key], reverse=reverse) == words
    assert arrow in text(jobrows.heading(BY_KEY[key], 200, reverse=reverse))


@pytest.mark.parametrize("width", [77, 118, 198])
def test_the_title_under_a_click_is_what_is_sorted_by(width: int) -> None:
    heading = text(jobrows.heading(BY_KEY["state"], width, reverse=False))
    for title, key in (("wedding", "wedding"), ("rate", "rate"), ("left", "eta"), ("age", "age"), ("done", "progress")):
        sort = jobrows.sort_at(heading.index(title), width)
        assert sort is not None
        assert sort.key == key
    assert jobrows.sort_at(0, width) is None


def test_an_empty_list_says_what_to_do() -> None:
    assert "Esc shows all again." in [text(line) for line in jobrows.empty_lines(samples.status(), "zz")]
    assert "makes a repository" in text(jobrows.empty_lines(samples.empty_status(), "")[1])
    assert "backs up the marked wedding" in text(jobrows.empty_lines(samples.status(), "")[1])
