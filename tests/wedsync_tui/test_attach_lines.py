"""Lines that are cut, terminals that stall, consoles that are left: the engine goes on, and the next login finds it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.homes import PASSPHRASE
from tests.wedsync_tui.lines import Line, Sshd, Tmux, direct
from tests.wedsync_tui.processes import (
    Watch,
    end_engine_of,
    end_what_is_left,
    environment,
    eventually,
    furnished,
    owner_of,
    run,
    service,
    until_free,
    watching,
)
from wedsync_tui.wiring import log_of

STALL_S = float(os.environ.get("STALL_S", "1"))  # `make lines` takes 8
BACKUP = ("-c", "backup smith-jones --from source --wait")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose backups take a moment. Its engine, wherever it has gone, ends with the test."""
    made = furnished(tmp_path)
    yield made
    end_what_is_left()
    end_engine_of(made)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A real one."""
    made = Sshd(tmp_path / "sshd")
    yield made
    made.close()


def begin_backup(line: Line, watch: Watch) -> None:
    """As a person does: on the console's command line."""
    line.until("Weddings", "smith-jones")
    line.type(":")
    line.until("Enter")
    line.type("backup smith-jones --from source\r")
    watch.until_reading()


def test_a_line_that_is_cut_in_mid_backup_loses_nothing_and_the_next_login_sees_it(home: Path) -> None:
    with direct(home, WEDSYNC_PASSPHRASE=PASSPHRASE) as first, watching(home) as watch:
        begin_backup(first, watch)
        first.cut()
        assert first.ended() == 0  # the shell that waits is let go; the engine is not with it any more
        assert Path(f"/proc/{owner_of(home)}/cwd").readlink() == Path("/")
        with direct(home) as second:  # without a passphrase: it attaches
            second.until("smith-jones", "running")
            assert watch.until_ended() == ["done"]
            second.until("done")
            second.type("q")
            assert second.ended() == 0
    until_free(home)
    assert (
        run(home, "-c", "snapshots smith-jones", WEDSYNC_PASSPHRASE=PASSPHRASE).results[0]["snapshots"][0]["files"]
        == 48
    )


def test_a_console_that_is_left_gives_the_prompt_back_and_its_jobs_go_on(home: Path) -> None:
    with direct(home, WEDSYNC_PASSPHRASE=PASSPHRASE) as line, watching(home) as watch:
        begin_backup(line, watch)
        line.forget()
        line.type("q")
        line.until("Leave it running", "1 job is not finished, 1 other console is attached")
        line.type("\x1b[C\r")
        assert line.ended() == 0
        line.until("the engine goes on in the background for 1 other console or command and 1 job")
        assert watch.states_of() == ["running"]
        assert watch.until_ended() == ["done"]
    until_free(home)


def test_a_command_whose_line_is_cut_goes_on_to_its_end(home: Path) -> None:
    with direct(home, *BACKUP, "-c", "store smith-jones note --file note", WEDSYNC_PASSPHRASE=PASSPHRASE) as line:
        (home.parent / "note").write_text("after the line was cut")
        with watching(home) as watch:
            watch.until_reading()
            line.cut()
            assert eventually(lambda: len(watch.jobs_of()) == 2)
            assert watch.until_ended() == ["done", "done"]
        assert line.ended() == 0
    until_free(home)


def test_a_terminal_that_stalls_holds_no_backup_up(home: Path) -> None:
    with direct(home, WEDSYNC_PASSPHRASE=PASSPHRASE) as line, watching(home) as watch:
        begin_backup(line, watch)
        line.is_read.clear()
        assert watch.until_ended() == ["done"]
        stalled = watch.engine.status().seq
        assert eventually(lambda: watch.engine.status().seq >= stalled + STALL_S * 4)  # four documents a second
        line.is_read.set()
        line.forget()
        line.type("?")
        line.until("write a command; Tab completes")
        line.process.send_signal(signal.SIGTERM)
        assert line.ended() == 0


FAILING_SCREEN = (  # `p` divides by nothing
    "from screens.dashboard import DashboardScreen; DashboardScreen.action_pause = lambda self: 1 / 0; "
    "from wedsync_tui.cli import main; main()"
)


def test_a_screen_that_fails_in_mid_backup_gives_the_terminal_back_and_ends_no_job(home: Path) -> None:
    program = [sys.executable, "-c", FAILING_SCREEN]
    line = Line(program, environment(home, WEDSYNC_PASSPHRASE=PASSPHRASE), home.parent)
    try:
        with watching(home) as watch:
            begin_backup(line, watch)
            line.type("p")
            assert line.ended() == 1
            line.until("the console failed and the engine did not")
            assert line._drawn.rfind(b"\x1b[?1049l") > 0
            assert "Traceback" not in line.drawn
            assert watch.until_ended() == ["done"]
    finally:
        line.close()
    assert "ZeroDivisionError" in log_of(home).read_text()
    until_free(home)


def test_an_attached_console_whose_engine_is_killed_says_so_and_ends_with_1(home: Path) -> None:
    with service(home) as engine, direct(home) as line:
        line.until("Weddings", "smith-jones")
        engine.kill()
        assert line.ended() == 1
        line.until("the engine went away; start the console again to open one")


def test_two_consoles_see_each_others_work_and_leave_without_a_question(home: Path) -> None:
    with service(home), watching(home) as watch, direct(home) as first, direct(home) as second:
        begin_backup(first, watch)
        second.until("running")
        for line in (second, first):
            line.type("q")
            assert line.ended() == 0
        assert watch.until_ended() == ["done"]


def test_the_signal_of_a_shell_reaches_the_engine_once(home: Path) -> None:
    with direct(home, *BACKUP, WEDSYNC_PASSPHRASE=PASSPHRASE) as line, watching(home) as watch:
        watch.until_reading()
        assert owner_of(home) != line.process.pid
        watch.close()
        line.process.send_signal(signal.SIGTERM)
        assert line.ended() == 1
        line.until("was interrupted")
    until_free(home)


def test_whoever_kills_the_program_kills_its_engine(home: Path) -> None:
    with direct(home, *BACKUP, WEDSYNC_PASSPHRASE=PASSPHRASE) as line, watching(home) as watch:
        watch.until_reading()
        line.process.kill()
        assert line.ended() == -signal.SIGKILL
        assert eventually(lambda: watch.engine.went_away)


# --- over ssh -----------------------------------------------------------------------------------------

if Sshd.PATH:

    @pytest.mark.parametrize("login", ["terminal", "no terminal"])
    def test_a_tcp_connection_that_is_cut_loses_nothing_and_the_next_login_sees_it_finish(
        home: Path, sshd: Sshd, login: str
    ) -> None:
        with_terminal = login == "terminal"
        with sshd.line(home, *BACKUP, terminal=with_terminal, WEDSYNC_PASSPHRASE=PASSPHRASE) as first:
            with watching(home) as watch:
                watch.until_reading()
                first.process.kill()
                assert first.ended() == -signal.SIGKILL
                with sshd.line(home, "-c", "wait", "-c", "snapshots smith-jones", terminal=with_terminal) as second:
                    assert second.ended() == 0
                    second.until('"state":"done"', '"files":48')
        until_free(home)


# --- what takes longer: `make lines` ----------------------------------------------------------------------

if os.environ.get("LINES_TOO") and Sshd.PATH:

    def test_a_console_over_ssh_in_a_plain_locale_is_found_again_after_the_connection_is_cut(
        home: Path, sshd: Sshd
    ) -> None:
        with sshd.line(home, WEDSYNC_PASSPHRASE=PASSPHRASE, LANG="C", LC_ALL="C") as first, watching(home) as watch:
            begin_backup(first, watch)
            assert first.drawn.isascii()
            first.process.kill()
            with sshd.line(home, LANG="C", LC_ALL="C") as second:
                second.until("smith-jones", "running")
                assert watch.until_ended() == ["done"]
                second.until("done")
                second.type("q")
                assert second.ended() == 0
        until_free(home)


if os.environ.get("LINES_TOO") and Tmux.PATH:

    def test_a_console_inside_tmux_outlives_the_line_and_its_engine_outlives_tmux(home: Path) -> None:
        with Tmux(home, WEDSYNC_PASSPHRASE=PASSPHRASE) as tmux, watching(home) as watch:
            tmux.until("Weddings", "smith-jones")
            tmux.type(":")
            tmux.until("Enter")
            tmux.type("backup smith-jones --from source", "Enter")
            watch.until_reading()
            tmux.kill()
            with direct(home) as second:
                second.until("smith-jones", "running")
                assert watch.until_ended() == ["done"]
                second.type("q")
                assert second.ended() == 0
        until_free(home)
