"""What is told of the classes."""

from __future__ import annotations

import msgspec
import pytest

from screens import classes
from screens.text import Line, width_of
from tests import samples


def words(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(span.text for span in line).rstrip() for line in lines]


@pytest.mark.parametrize("width", range(30, 140))
def test_every_line_fits_its_box(width: int) -> None:
    assert {width_of(line) for line in classes.class_lines(samples.status(), width)} == {width}


@pytest.mark.parametrize("width", [44, 62, 78, 120])
def test_share_wait_deadline_and_how_it_is_kept_are_told_at_every_width(width: int) -> None:
    _, same_day, retrieval, _, standard = words(classes.class_lines(samples.status(), width))
    assert same_day.split()[:2] == ["same-day", "71"]
    assert "5 s" in same_day
    assert "100 %" in same_day
    assert retrieval.split()[:2] == ["retrieval", "8"]
    assert all(each in standard for each in ("340", "▲5m", "2m", "▲94 %"))


def test_a_class_without_jobs_has_no_wait_and_no_verdict() -> None:
    row = msgspec.structs.replace(
        samples.class_row("standard", weight=20, share=0.0, queued=0, oldest_s=0.0), jobs_counted=0, jobs_in_time=0
    )
    performance = msgspec.structs.replace(samples.performance(), classes=(row,))
    assert words(classes.class_lines(samples.status(performance=performance), 44))[1].split() == [
        "standard", "0", "%", "0", "–", "2m", "–",
    ]  # fmt: skip


def test_one_line_is_enough_for_the_narrow_screen() -> None:
    assert words((classes.classes_short(samples.status()),)) == ["71/8/0/21 341 wait 5m"]
    none = samples.status(performance=msgspec.structs.replace(samples.performance(), classes=()))
    assert words((classes.classes_short(none),)) == ["not measured yet"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("write", "writing"), ("publish", "uploading"), ("store", "waiting for the store"), ("", ""), ("new", "new")],
)
def test_what_slows_the_jobs_is_told_in_words(name: str, said: str) -> None:
    performance = msgspec.structs.replace(samples.performance(), bottleneck=name)
    assert classes.bottleneck_words(samples.status(performance=performance)) == said
