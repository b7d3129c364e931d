"""Which engine a door gets, also when another one comes or goes at that very moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotPermitted
from tests.fakes import FakeEngine
from wedsync_tui import wiring
from wedsync_tui.wiring import OpenEngine, open_engine

OURS = OpenEngine(FakeEngine(), False)
THEIRS = OpenEngine(FakeEngine(), True)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "BETWEEN_LOOKS_S", 0.0)


def looks(monkeypatch: pytest.MonkeyPatch, *found: OpenEngine | None) -> None:
    """What each look for an engine that runs finds; the last one again and again."""
    left = list(found)
    monkeypatch.setattr(wiring, "attach", lambda home: left.pop(0) if len(left) > 1 else left[0])


def starts(*outcomes: OpenEngine | Exception) -> Callable[[], OpenEngine]:
    """What each start comes to; the last one again and again."""
    left = list(outcomes)

    def start() -> OpenEngine:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return start


def test_an_engine_that_runs_is_taken_and_none_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks(monkeypatch, THEIRS)
    assert open_engine(tmp_path, starts(AssertionError("it was started"))) is THEIRS


def test_where_none_runs_one_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks(monkeypatch, None)
    assert open_engine(tmp_path, starts(OURS)) is OURS


def test_one_that_comes_between_the_look_and_the_start_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks(monkeypatch, None, None, THEIRS)
    assert open_engine(tmp_path, starts(Conflict("it runs"))) is THEIRS


def test_one_that_is_about_to_end_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks(monkeypatch, None)
    assert open_engine(tmp_path, starts(Conflict("it runs"), Conflict("it runs"), OURS)) is OURS


def test_one_that_cannot_be_reached_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks(monkeypatch, None)
    with pytest.raises(Conflict, match="it runs"):
        open_engine(tmp_path, starts(Conflict("it runs")))


def test_one_that_will_not_have_us_is_no_reason_to_start_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(home: Path) -> OpenEngine | None:
        raise NotPermitted("another user's")

    monkeypatch.setattr(wiring, "attach", refuse)
    with pytest.raises(NotPermitted):
        open_engine(tmp_path, starts(AssertionError("it was started")))
