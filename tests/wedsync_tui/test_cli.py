"""The front door: who answers, with what, and how the process ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.base.invariants import BrokenInvariant
from engine.base.version import VERSION
from engine.contract import operations as ops
from tests.fakes import FakeEngine
from wedsync_tui import cli, entrance
from wedsync_tui.wiring import OpenEngine

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "wedsync_tui"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine every door gets."""
    fake = FakeEngine()
    monkeypatch.setattr(entrance, "open_engine", lambda home, start: start())
    monkeypatch.setattr(entrance, "start_engine", lambda home, passphrase, *, streams: OpenEngine(fake, False))
    return fake


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a process of the program is given."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return inherited | {"WEDSYNC_HOME": str(home), "WEDSYNC_PASSPHRASE": "correct horse", "HOME": str(home)} | more


def run(home: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One run of the program, to its end."""
    command = [*PROGRAM, *argv]
    given = environment(home, **more)
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=given, check=False, timeout=60)


# --- answered without an engine -----------------------------------------------------------------------


def test_version_and_help_are_on_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run(["--version"], {}) == 0
    assert capsysbinary.readouterr().out.decode() == f"wedsync-tui {VERSION}\n"
    assert cli.run(["--help"], {}) == 0
    assert b"wedding archive" in capsysbinary.readouterr().out
    for argv in (["help", "backup"], ["-c", "backup --help"], ["backup", "-h"]):
        assert cli.run(argv, {}) == 0
        assert capsysbinary.readouterr().out.startswith(b"Queue a backup job.")


def test_mistyped_line_starts_no_engine(engine: FakeEngine, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run(["-c", "init", "-c", "bakcup"], {}) == 2
    assert not engine.operations
    assert capsysbinary.readouterr().err == b'wedsync-tui: command:2: unknown verb "bakcup"; did you mean backup?\n'


def test_dry_run_checks_and_does_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    script = tmp_path / "tour.wed"
    script.write_text("init\nweddings\n")
    assert cli.run(["--no-ui", "--dry-run", "--script", str(script)], {}) == 0
    script.write_text("init\nweddigns\n")
    assert cli.run(["--no-ui", "--dry-run", "--script", str(script)], {}) == 2
    assert not engine.operations


def test_script_that_cannot_be_read_is_a_usage_error(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run(["--script", "/nowhere.wed"], {}) == 2
    assert b"/nowhere.wed cannot be read: No such file" in capsysbinary.readouterr().err


def test_console_without_a_terminal_says_what_to_do(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run([], {}) == 2
    assert b"the console needs a terminal; run it in one, or give --no-ui or a command" in capsysbinary.readouterr().err


# --- with an engine in memory -------------------------------------------------------------------------


def test_commands_run_and_the_engine_is_closed(engine: FakeEngine) -> None:
    assert cli.run(["-c", "weddings", "-c", "snapshots smith-jones"], {"WEDSYNC_PASSPHRASE": "x"}) == 0
    assert [type(operation) for operation in engine.operations] == [ops.ListWeddings, ops.ListSnapshots]
    assert engine.closed_with == 0.0


def test_single_command_needs_no_option(engine: FakeEngine) -> None:
    assert cli.run(["weddings", "--match", "bath"], {"WEDSYNC_PASSPHRASE": "x"}) == 0
    assert engine.operations == [ops.ListWeddings(match="bath")]


def test_passphrase_leaves_the_environment(engine: FakeEngine) -> None:
    given = {"WEDSYNC_PASSPHRASE": "x", "WEDSYNC_PASSPHRASE_COMMAND": "false"}
    assert cli.run(["weddings"], given) == 0
    assert given == {}


def test_bug_of_ours_is_one_line_and_exit_code_1(
    engine: FakeEngine, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    def broken(_: ops.Operation) -> ops.Result:
        raise BrokenInvariant("packs stay under 64 MiB")

    engine.answer(ops.ListWeddings, broken)
    assert cli.run(["weddings"], {"WEDSYNC_PASSPHRASE": "x", "WEDSYNC_HOME": str(tmp_path)}) == 1
    error = capsysbinary.readouterr().err.decode()
    assert error.startswith(
        "wedsync-tui: internal error, a fault of WedSync and not yours: BrokenInvariant: packs stay"
    )
    assert f"{tmp_path}/logs/engine.jsonl" in error
    assert "Traceback" not in error
    assert engine.closed_with == 0.0


def test_restored_bytes_have_standard_output_for_themselves(
    engine: FakeEngine, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    given = {"WEDSYNC_PASSPHRASE": "x"}
    argv = ["-c", "backup smith-jones --from /x --wait", "-c", "retrieve smith-jones --to - --as tar"]
    assert cli.run(argv, given) == 0
    assert capsysbinary.readouterr().out == b""


# --- the program as a process -------------------------------------------------------------------------


def test_headless_process_loads_neither_textual_nor_rich_console(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from wedsync_tui import cli\n"
        "code = cli.run(['-c', 'init', '-c', 'weddings', '-c', 'status'], os.environ)\n"
        "heavy = ('textual', 'pygments', 'rich.console')\n"
        "loaded = [name for name in sys.modules if name.startswith(heavy)]\n"
        "sys.exit(repr(loaded) if loaded else code)\n"
    )
    given = environment(tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=given, check=False
    )
    assert done.returncode == 0, done.stderr


def test_wrong_passphrase_is_exit_code_4_and_shown_nowhere(tmp_path: Path) -> None:
    assert run(tmp_path / "home", "init").returncode == 0
    done = run(tmp_path / "home", "weddings", WEDSYNC_PASSPHRASE="staple battery")
    assert done.returncode == 4
    assert done.stderr.startswith("wedsync-tui: this passphrase opens no key slot")
    assert "Traceback" not in done.stderr
    log = (tmp_path / "home" / "logs" / "engine.jsonl").read_text()
    assert "staple" not in done.stdout + done.stderr + log
    assert "horse" not in log


def test_second_passphrase_opens_the_repository(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another one\n")
    home = tmp_path / "home"
    added = run(home, "-c", "init", "-c", f"key add --label Ada --passphrase-file {secret}")
    assert added.returncode == 0, added.stderr
    done = run(home, "--passphrase-file", str(secret), "keys", WEDSYNC_PASSPHRASE="")
    assert done.returncode == 0, done.stderr
    keys = json.loads(next(line for line in done.stdout.splitlines() if '"keys"' in line))["result"]["keys"]
    assert sorted(key["current"] for key in keys) == [False, True]


def test_stream_goes_in_and_comes_out_through_the_shell(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run(home, "-c", "init", "-c", "wedding add smith-jones --date 2026-06-20").returncode == 0
    data = bytes(range(256)) * 500
    stored = subprocess.run(
        [*PROGRAM, "store", "smith-jones", "film.mov"],
        input=data, capture_output=True, cwd=ROOT, env=environment(home), check=False,
    )  # fmt: skip
    assert stored.returncode == 0, stored.stderr
    back = subprocess.run(
        [*PROGRAM, "retrieve", "smith-jones", "--to", "-", "--as", "file", "--path", "/film.mov"],
        capture_output=True, cwd=ROOT, env=environment(home), check=False,
    )  # fmt: skip
    assert (back.returncode, back.stdout == data) == (0, True), back.stderr


def test_service_ends_with_0_on_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "--no-ui"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(tmp_path / "home"),
    ) as service:  # fmt: skip
        assert service.stderr is not None
        assert service.stderr.readline() == "there is no repository yet; init makes one\n"
        assert service.stderr.readline() == "serving; SIGTERM ends it\n"
        other = run(tmp_path / "home", "--no-ui")
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=30) == 0
    assert other.returncode == 1
    assert "an engine already runs on this home" in other.stderr


def test_demo_has_a_home_of_its_own_and_says_sample(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(home, "--demo", "weddings", XDG_DATA_HOME=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("SAMPLE") == 12
    assert not home.exists()
    assert (tmp_path / "data" / "wedsync-demo" / "repository").is_dir()
