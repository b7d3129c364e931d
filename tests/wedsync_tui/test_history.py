"""Lines that outlive the console: bounded, for one pair of eyes, and never in the way."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from tests.consoles import eventually
from wedsync_tui.history import LINES_MAX, History, append_line, read_lines


async def test_a_line_is_there_for_the_next_console_and_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    History(path).add("scale 4")
    await eventually(lambda: read_lines(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert list(History(path).lines) == ["scale 4"]


@pytest.mark.parametrize("line", ["", "   ", " key add", "x" * 3_000, "a\nb"])
def test_what_is_hidden_empty_or_absurd_is_not_kept(line: str) -> None:
    history = History()
    history.add(line)
    assert not history.lines


def test_the_same_line_twice_is_one() -> None:
    history = History()
    for line in ("jobs", "jobs", "keys", "jobs"):
        history.add(line)
    assert list(history.lines) == ["jobs", "keys", "jobs"]
    assert history.containing("JO") == ["jobs"]
    assert history.beginning("k") == ["keys"]


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    kept = tuple(f"scale {number}" for number in range(LINES_MAX))
    path.write_text("old\n" * 20_000)
    append_line(path, kept[-1], kept)
    assert path.read_text() == "".join(f"{line}\n" for line in kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_costs_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"jobs\n\xff\xfe\x1b[2J\nkeys\n")
    assert read_lines(path)[0] == "jobs"
    assert read_lines(path)[-1] == "keys"
    assert all(line.isprintable() for line in read_lines(path))
    assert read_lines(tmp_path / "none") == []


async def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history")
    history.add("jobs")
    await asyncio.sleep(0)
    assert list(history.lines) == ["jobs"]
