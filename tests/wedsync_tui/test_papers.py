"""docs/cli.md says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from engine.base import errors
from engine.contract.catalog import CATALOG
from wedsync_tui.expressions import ROOTS
from wedsync_tui.options import OPTIONS, SHORT
from wedsync_tui.script import read_script

PAPER = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_option_and_command_is_in_the_paper() -> None:
    names = [*(row.flag for row in OPTIONS), *(short for short in SHORT if short != "-h"), *(s.verb for s in CATALOG)]
    assert [name for name in names if f"`{name}`" not in PAPER and f"`{name} " not in PAPER] == []


def test_every_exit_code_is_in_the_paper() -> None:
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_") and isinstance(value, int)]
    assert [code for code in codes if f"\n| {code} | " not in PAPER] == []


def test_json_lines_of_the_paper_are_json() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAPER, re.DOTALL)
    kinds = [msgspec.json.decode(line)["type"] for line in block.splitlines()]
    assert kinds == ["result", "event", "error"]


def test_script_of_the_paper_is_well_formed() -> None:
    (block,) = re.findall(r"```\n(# One command a line.*?)```", PAPER, re.DOTALL)
    script = read_script(block.encode(), "cli.md")
    assert not script.problems
    assert len(script.steps) == 7


@pytest.mark.parametrize("root", ["last", "jobs", "weddings", "dashboard", "storage"])
def test_roots_of_the_paper_exist(root: str) -> None:
    assert root in ROOTS
    assert f"`{root}`" in PAPER
