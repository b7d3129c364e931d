"""Help, paper and program name the same keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding

from engine.contract.catalog import CATALOG
from screens.dashboard import DashboardScreen
from screens.help import JOB_KEYS, KEYS, SCALING_KEYS, STORAGE_KEYS
from screens.job import JobScreen
from screens.jobs import JobsScreen
from screens.scaling import ScalingScreen
from screens.storage import StorageScreen
from tests.consoles import opened, panel, settled, shown, typed
from tests.fakes import FakeEngine
from wedsync_tui.app import ConsoleApp

NAMES = {
    "colon": ":", "question_mark": "?", "plus": "+", "equals_sign": "+", "minus": "-", "ctrl+c": "q",
    "slash": "/", "asterisk": "a",
}  # fmt: skip


def test_help_names_every_key_that_does_something() -> None:
    told = {key for keys, _ in KEYS for key in keys.split()}
    bindings = [one for one in (*DashboardScreen.BINDINGS, *ConsoleApp.BINDINGS) if isinstance(one, Binding)]
    keys = {NAMES.get(key, key) for one in bindings for key in one.key.split(",")}
    assert keys - told == set()


def test_help_names_every_key_of_the_other_screens() -> None:
    told = {key for keys, _ in (*KEYS, *JOB_KEYS, *STORAGE_KEYS, *SCALING_KEYS) for key in keys.split()}
    screens = (*JobsScreen.BINDINGS, *JobScreen.BINDINGS, *StorageScreen.BINDINGS, *ScalingScreen.BINDINGS)
    keys = {NAMES.get(key, key) for one in screens if isinstance(one, Binding) for key in one.key.split(",")}
    assert keys - told - {"backspace", "escape", "down"} == set()  # `esc` and the arrows are told


def test_the_paper_has_the_same_keys_and_words() -> None:
    text = (Path(__file__).parents[2] / "docs/console.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+`) \| (.+) \|$", text, re.MULTILINE)
    assert [(" ".join(re.findall(r"`([^`]+)`", keys)), words) for keys, words in rows] == [
        (" ".join(keys.split()), words) for keys, words in (*KEYS, *JOB_KEYS, *STORAGE_KEYS, *SCALING_KEYS)
    ]


@pytest.mark.parametrize("width", [80, 200])
async def test_no_word_of_help_is_cut_and_the_mark_is_seen_wherever_it_is(width: int) -> None:
    async with opened(FakeEngine(), (width, 24)) as (app, pilot):
        await pilot.press("question_mark")
        await settled(pilot)
        told = " ".join(panel(app, "help").split())
        assert [words for _, words in (*KEYS, *JOB_KEYS, *STORAGE_KEYS, *SCALING_KEYS) if words not in told] == []
        assert [spec.verb for spec in CATALOG if spec.help not in told] == []
        await pilot.press("pagedown")
        await settled(pilot)
        assert any(line.startswith("›") for line in shown(app).splitlines())


async def test_the_page_of_a_verb_is_laid_out_for_its_screen() -> None:
    async with opened(FakeEngine()) as (app, pilot):
        await typed(pilot, "help backup")
        told = panel(app, "help")
        assert "files and folders to back up; none: the wedding's own" in " ".join(told.split())
        assert max(len(line) for line in told.splitlines()) <= 80
