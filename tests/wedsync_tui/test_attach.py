"""Commands beside an engine that runs, as real processes: the same output, and nobody's end is another's."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.homes import PASSPHRASE
from tests.wedsync_tui.processes import (
    PROGRAM,
    Watch,
    begun,
    end_what_is_left,
    ended,
    environment,
    eventually,
    furnished,
    run,
    service,
    until_free,
    watching,
)

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Whatever a test that failed has begun ends with it."""
    yield
    end_what_is_left()


@dataclass(frozen=True, slots=True)
class Served:
    """A home with a service on it, looked at. Each test has a wedding of its own there."""

    home: Path
    watch: Watch


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that leave the service alone."""
    home = furnished(tmp_path_factory.mktemp("served"))
    with service(home), watching(home) as watch:
        yield Served(home, watch)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of its own, whose backups take a moment."""
    return furnished(tmp_path)


def test_two_operators_at_once_beside_a_service(served: Served) -> None:
    names = ("smith-jones", "lee-kim")
    runs = [begun(served.home, "-c", f"backup {name} --from source --wait", "-c", "jobs") for name in names]
    for name, done in zip(names, map(ended, runs), strict=True):
        assert done.code == 0, done.words
        job = done.results[0]["job"]
        assert (job["wedding"], job["state"], job["filesDone"]) == (name, "done", 48)
        assert served.watch.until_ended(name) == ["done"]


def test_a_client_that_is_killed_leaves_its_backup_to_the_engine(served: Served) -> None:
    client = begun(served.home, "-c", "backup ng-roy --from source --wait")
    served.watch.until_reading("ng-roy")
    client.kill()
    assert ended(client).code == -signal.SIGKILL
    assert served.watch.until_ended("ng-roy") == ["done"]
    assert run(served.home, "-c", "snapshots ng-roy").results[0]["snapshots"][0]["files"] == 48


def test_ctrl_c_ends_the_command_and_not_the_job(served: Served) -> None:
    client = begun(served.home, "-c", "backup day-fox --from source --wait", "-c", "weddings")
    served.watch.until_reading("day-fox")
    client.send_signal(signal.SIGINT)
    done = ended(client)
    assert done.code == 1
    assert done.words.splitlines()[-1] == (
        "wedsync-tui: command:1: interrupted; the engine goes on, and with it a job that was begun; jobs shows it"
    )
    assert done.results == []
    assert served.watch.until_ended("day-fox") == ["done"]


def test_a_second_service_is_refused(served: Served) -> None:
    done = run(served.home, "--no-ui", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert done.code == 1
    assert "an engine already runs on this home (pid" in done.words
    assert len(done.words.splitlines()) == 1


def test_a_passphrase_is_not_needed_and_its_command_not_run(served: Served, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    done = run(served.home, "-c", "weddings", WEDSYNC_PASSPHRASE_COMMAND=f"touch {trace}")
    assert done.code == 0, done.words
    assert not trace.exists()
    assert run(served.home, "-c", "weddings", WEDSYNC_PASSPHRASE="a wrong one").code == 0


def test_streams_come_in_and_go_out_through_the_socket(served: Served, tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    (tmp_path / "film.mov").write_bytes(data)
    program = shlex.join(PROGRAM)
    for line in (
        f"cat film.mov | {program} store smith-jones film.mov",
        f"{program} retrieve smith-jones --to - --as file --path /film.mov > back.mov",
        f"{program} store smith-jones second.mov --file <(head -c 1000 film.mov)",
    ):
        given = environment(served.home)
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "back.mov").read_bytes() == data
    listed = run(served.home, "-c", "find smith-jones '*.mov'").results[0]["entries"]
    assert {(entry["path"], entry["size"]) for entry in listed} == {("/film.mov", len(data)), ("/second.mov", 1000)}


def test_a_new_passphrase_is_read_where_the_caller_is(served: Served) -> None:
    (served.home.parent / "secret").write_text("another one\n")
    assert run(served.home, "-c", "key add --label Ada --passphrase-file secret").code == 0
    assert len(run(served.home, "-c", "keys").results[0]["keys"]) == 2


# --- the end of an engine -----------------------------------------------------------------------------


def test_an_engine_that_is_killed_is_one_line_and_exit_code_1(home: Path) -> None:
    with service(home) as engine, watching(home) as watch:
        clients = [begun(home, "-c", "backup smith-jones --from source --wait")]
        watch.until_reading()
        clients += [begun(home, "-c", "wait"), begun(home, "-c", "wait")]
        assert eventually(lambda: watch.engine.status().infrastructure.attached == 4)
        engine.kill()
        for done in map(ended, clients):
            assert done.code == 1
            assert [line for line in done.words.splitlines() if "went away" in line] == [
                "wedsync-tui: the engine went away; start it again; what is checkpointed is kept"
            ]
            assert "Traceback" not in done.words
        assert watch.engine.went_away
    done = run(home, "-c", "weddings", WEDSYNC_PASSPHRASE=PASSPHRASE)  # its socket still lies there
    assert done.code == 0, done.words


def test_an_engine_that_is_stopped_says_so_to_who_waits(home: Path) -> None:
    with service(home) as engine, watching(home) as watch:
        client = begun(home, "-c", "backup smith-jones --from source --wait")
        watch.until_reading()
        done = run(home, "-c", "shutdown")
        assert done.code == 0
        assert not (home / "engine.sock").exists()  # the command came back when the engine had gone
        left = ended(client)
        assert left.code == 1
        assert left.results[0]["job"]["state"] == "interrupted"
        assert engine.wait(timeout=60) == 0


# --- the engine of a command --------------------------------------------------------------------------


def test_a_command_whose_engine_others_use_waits_for_them(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "first")
    os.mkfifo(tmp_path / "second")
    owner = begun(home, "-c", "store smith-jones a --file first", WEDSYNC_PASSPHRASE=PASSPHRASE)
    with watching(home) as watch, open(tmp_path / "first", "wb") as first:
        guest = begun(home, "-c", "store lee-kim b --file second", "-c", "snapshots lee-kim")
        with open(tmp_path / "second", "wb") as second:
            assert eventually(lambda: watch.engine.status().dashboard.jobs_running == 2)
            first.close()
            assert watch.until_ended() == ["done"]
            watch.close()
            second.write(b"the guest's")
        done = ended(guest)
        assert (done.code, len(done.results)) == (0, 2), done.words
        left = ended(owner)
        assert left.code == 0
        assert "the engine goes on here for" in left.words
    until_free(home)


def test_ctrl_c_in_a_command_whose_engine_others_use_ends_nothing_of_theirs(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "first")
    owner = begun(home, "-c", "store smith-jones a --file first", "-c", "jobs", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert owner.stderr is not None
    with watching(home) as watch, open(tmp_path / "first", "wb"):
        assert eventually(lambda: watch.engine.status().dashboard.jobs_running == 1)
        owner.send_signal(signal.SIGINT)
        assert "interrupted; the engine goes on" in owner.stderr.readline()
        assert "the engine goes on here for 1 other console or command and 1 job" in owner.stderr.readline()
        assert watch.engine.status().status == "ready"
        owner.send_signal(signal.SIGINT)
        done = ended(owner)
        assert (done.code, done.results) == (1, [])
        assert watch.states_of() == ["interrupted"]
    until_free(home)
