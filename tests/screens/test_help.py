"""Help, paper and program name the same keys."""

from __future__ import annotations

import re
from pathlib import Path

from textual.binding import Binding

from screens.dashboard import DashboardScreen
from screens.help import KEYS
from wedsync_tui.app import ConsoleApp

NAMES = {
    "colon": ":", "question_mark": "?", "plus": "+", "equals_sign": "+", "minus": "-", "ctrl+c": "q",
}  # fmt: skip


def test_help_names_every_key_that_does_something() -> None:
    told = {key for keys, _ in KEYS for key in keys.split()}
    bindings = [one for one in (*DashboardScreen.BINDINGS, *ConsoleApp.BINDINGS) if isinstance(one, Binding)]
    keys = {NAMES.get(key, key) for one in bindings for key in one.key.split(",")}
    assert keys - told == set()


def test_the_paper_has_the_same_keys_and_words() -> None:
    text = (Path(__file__).parents[2] / "docs/console.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+`) \| (.+) \|$", text, re.MULTILINE)
    assert [(" ".join(re.findall(r"`([^`]+)`", keys)), words) for keys, words in rows] == [
        (" ".join(keys.split()), words) for keys, words in KEYS
    ]
