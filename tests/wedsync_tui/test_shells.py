"""Completion in a shell: whole words, and bash itself asking for them."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.local import LocalEngine
from tests import samples
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.suites.engine_handle import eventually
from wedsync_tui.completion import Known, known_from
from wedsync_tui.shells import BASH, candidates

FOLDERS = {"/cards": ["A B/", "notes.txt", "sp\nlit"], ".": ["here/"], "/": ["cards/"]}
KNOWN = known_from(samples.status(), lambda folder: FOLDERS.get(folder, []))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (" backu", ["backup"]),
        (" wedding", ["weddings", "wedding"]),
        (" wedding a", ["add", "archive"]),
        (" backup smi", ["smith-jones"]),
        (" backup jones", []),  # a shell replaces what is written only by what begins so
        (" backup smith-jones --fr", ["--from"]),
        (" backup smith-jones --from /cards/", ["/cards/A B/", "/cards/notes.txt"]),
        (" backup smith-jones --from '/cards/A", ["/cards/A B/"]),
        (" backup smith-jones --from /x --priority=n", ["--priority=next-day"]),
        (" --no-ui backup smith-jones --from /x --wa", ["--wait"]),
        (" --no", ["--no-ui"]),
        (" --home ", ["here/"]),
        (" --home /ca", ["/cards/"]),
        (" --home=/x scale", ["scale"]),
        (" -c ", []),
        (" --completion ", []),
        (" nonsense ", []),
        (" 'open", []),
    ],
)
def test_words_go_on(line: str, words: list[str]) -> None:
    found = candidates(line, KNOWN)
    assert found == words or (line == " wedding" and set(found) == set(words))


def test_an_empty_line_offers_every_verb_once() -> None:
    found = candidates(" ", Known())
    assert found.count("wedding") == 1
    assert {"backup", "weddings", "config"} <= set(found)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder for PATH that holds the program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "wedsync-tui"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m wedsync_tui "$@"\n')
    script.chmod(0o755)
    return folder


def _complete(program: Path, home: Path, line: str) -> list[str]:
    """What bash would offer for `line`, or put in its place."""
    bash = shutil.which("bash")
    assert bash is not None
    words = line.split(" ")
    shell = f"""
        compopt() {{ echo "compopt $*"; }}
        eval "$(wedsync-tui --completion bash)"
        COMP_LINE=$1 COMP_POINT=${{#1}} COMP_WORDS=("${{@:2}}") COMP_CWORD={len(words) - 1}
        _wedsync_tui wedsync-tui
        for reply in "${{COMPREPLY[@]}}"; do printf '%s\\n' "$reply"; done
        complete -p wedsync-tui >&2
    """
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "WEDSYNC_HOME": str(home)}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [bash, "-c", shell, "bash", line, *words], env=environment, capture_output=True, text=True, check=True
    )
    assert "-F _wedsync_tui wedsync-tui" in done.stderr
    return done.stdout.splitlines()


def test_bash_completes_verbs_paths_and_values(program: Path, tmp_path: Path) -> None:
    (tmp_path / "first dance").mkdir()
    home = tmp_path / "home"
    assert _complete(program, home, "wedsync-tui wedding e") == ["edit"]
    path = str(tmp_path / "first")
    assert _complete(program, home, f"wedsync-tui backup x --from {path}") == [
        "compopt -o nospace", f"{tmp_path}/first\\ dance/",
    ]  # fmt: skip
    assert _complete(program, home, "wedsync-tui backup x --from y --priority=n") == ["next-day"]
    assert _complete(program, home, "wedsync-tui nonsense") == []  # what was written stays
    assert not home.exists()


def test_names_come_from_the_engine_that_runs(program: Path, tmp_path: Path) -> None:
    engine = LocalEngine.start(home_with_repository(tmp_path / "home"), PASSPHRASE)
    engine.call(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20))).result(60)
    try:
        assert eventually(lambda: engine.status().weddings_total == 1)  # names are of the newest document
        assert _complete(program, tmp_path / "home", "wedsync-tui verify sm") == ["smith-jones"]
    finally:
        engine.close(drain_s=0.0).result(60)


def test_a_shell_that_nobody_wrote_a_script_for_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wedsync_tui", "--completion", "tcsh"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no completion for tcsh; there is for bash" in done.stderr
    assert BASH.count("\n") < 20
