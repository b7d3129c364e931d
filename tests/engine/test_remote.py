"""The engine of another process, here of the same one: every promise of a handle, over the socket."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.api.listener import Listener
from engine.base.errors import Conflict, Unavailable
from engine.contract import operations as ops
from engine.contract import wire
from engine.contract.handle import EngineHandle
from engine.contract.wire import SOCKET_NAME
from engine.local import LocalEngine
from engine.remote import RemoteEngine
from tests import samples
from tests.engine.homes import home_with_repository, memory_url
from tests.engine.test_local import engine_on, furnish
from tests.suites.engine_handle import ANSWER_S, EngineHandleSuite, eventually


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a repository in memory."""
    return home_with_repository(tmp_path / "home", url=memory_url())


@pytest.fixture
def engine(home: Path) -> Iterator[LocalEngine]:
    """The engine of that home, with one wedding."""
    with engine_on(home) as started:
        furnish(started)
        yield started


def attached(home: Path) -> RemoteEngine:
    """A handle on the engine that runs there."""
    found = RemoteEngine.attach(home)
    assert found is not None
    return found


class TestRemoteEngine(EngineHandleSuite):
    """The suite of every handle."""

    @pytest.fixture
    def handle(self, home: Path, engine: LocalEngine) -> Iterator[EngineHandle]:
        """Attached; the engine stops after it."""
        remote = attached(home)
        yield remote
        remote.close(drain_s=0.0).result(ANSWER_S)

    def stop(self, handle: EngineHandle) -> None:
        """By the operation: closing a remote handle stops nothing."""
        handle.call(ops.Shutdown()).result(ANSWER_S)
        assert eventually(lambda: handle.status().status == "stopped")


# --- the same, whichever way --------------------------------------------------------------------------


def test_reading_gives_the_same_answers_both_ways(home: Path, engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"latin")
    remote = attached(home)
    backup = ops.StartBackup(wedding="smith-jones", sources=(str(tmp_path / "source"),), wait=True)
    stored = remote.call(backup).result(ANSWER_S)
    assert isinstance(stored, ops.JobResult)
    for operation in (
        ops.ListWeddings(),
        ops.ListSnapshots(wedding="smith-jones"),
        ops.Browse(wedding="smith-jones", recursive=True),
        ops.Find(wedding="smith-jones", pattern="caf*"),
        ops.ListJobs(),
        ops.ListKeys(),
        ops.ReadConfiguration(),
        ops.WaitForJobs(job=stored.job.id),
    ):
        assert remote.call(operation).result(ANSWER_S) == engine.call(operation).result(ANSWER_S)
    assert remote.events(0) == engine.events(0)
    assert remote.events(2) == engine.events(2)
    remote.close(drain_s=0.0).result(ANSWER_S)


def test_a_relative_path_is_the_callers(
    home: Path, engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("a")
    monkeypatch.chdir(tmp_path / "here")
    remote = attached(home)
    stored = remote.call(ops.StartBackup(wedding="smith-jones", sources=("a.txt",), wait=True)).result(ANSWER_S)
    assert isinstance(stored, ops.JobResult)
    listed = remote.call(ops.ListSnapshots(wedding="smith-jones")).result(ANSWER_S)
    assert isinstance(listed, ops.SnapshotList)
    assert listed.snapshots[0].sources == (f"{tmp_path}/here/a.txt",)
    remote.close(drain_s=0.0).result(ANSWER_S)


# --- several, and those that leave --------------------------------------------------------------------


def test_consoles_that_are_attached_are_counted(home: Path, engine: LocalEngine) -> None:
    first, second = attached(home), attached(home)
    assert eventually(lambda: first.status().infrastructure.attached == 2)
    second.close(drain_s=0.0).result(ANSWER_S)
    assert eventually(lambda: first.status().infrastructure.attached == 1)
    first.close(drain_s=0.0).result(ANSWER_S)
    assert eventually(lambda: engine.status().infrastructure.attached == 0)


def test_closing_a_handle_leaves_the_engine_alone(home: Path, engine: LocalEngine) -> None:
    remote = attached(home)
    waiting = remote.call(ops.WaitForJobs(timeout="1h"))
    waiting.result(ANSWER_S)
    remote.close(drain_s=0.0).result(ANSWER_S)
    assert (remote.status().status, remote.went_away) == ("stopped", False)
    with pytest.raises(Unavailable, match="closed"):
        remote.call(ops.ListJobs()).result(ANSWER_S)
    assert engine.status().status == "ready"


def test_a_job_outlives_the_caller_who_waits_for_it(home: Path, engine: LocalEngine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    remote = attached(home)
    storing = remote.call(ops.StoreWeddingData(wedding="smith-jones", name="a", file=str(tmp_path / "fifo")))
    with open(tmp_path / "fifo", "wb") as feed:
        feed.write(b"the first half, ")
        feed.flush()
        assert eventually(lambda: remote.status().dashboard.jobs_running == 1)
        remote.close(drain_s=0.0).result(ANSWER_S)
        with pytest.raises(Unavailable):
            storing.result(ANSWER_S)
        assert eventually(lambda: engine.status().infrastructure.attached == 0)
        feed.write(b"the second half")
    assert eventually(lambda: [job.state for job in engine.status().jobs] == ["done"])


@pytest.mark.parametrize("how", ["vanishes", "gives up"])
def test_a_job_that_reads_from_its_caller_ends_with_it(home: Path, engine: LocalEngine, how: str) -> None:
    """What feeds it is likely to have been cut short as well, and half a film must not pass for a whole one."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    remote = attached(home)
    storing = remote.call(ops.StoreWeddingData(wedding="smith-jones", name="film.mov"))
    os.dup2(kept, 0)
    os.close(kept)
    os.close(reading)
    os.write(writing, b"the first half")
    assert eventually(lambda: remote.status().dashboard.jobs_running == 1)
    if how == "vanishes":
        remote.close(drain_s=0.0).result(ANSWER_S)
    else:
        storing.cancel()
    assert eventually(lambda: [job.state for job in engine.status().jobs] == ["cancelled"])
    os.close(writing)
    remote.close(drain_s=0.0).result(ANSWER_S)


def test_an_engine_that_is_left_goes_on_for_those_who_are_attached(home: Path) -> None:
    with engine_on(home) as engine:
        furnish(engine)
        remote = attached(home)
        assert engine.leave(to_jobs=False).result(ANSWER_S)
        assert isinstance(remote.call(ops.ListWeddings()).result(ANSWER_S), ops.WeddingList)
        remote.close(drain_s=0.0).result(ANSWER_S)
        assert eventually(lambda: engine.status().status == "stopped")
        assert not engine.leave(to_jobs=True).result(ANSWER_S)


def test_an_engine_that_is_left_alone_stops_at_once(home: Path) -> None:
    with engine_on(home) as engine:
        assert not engine.leave(to_jobs=True).result(ANSWER_S)
        assert eventually(lambda: engine.status().status == "stopped")


def test_an_engine_that_is_left_to_its_jobs_ends_with_them(home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with engine_on(home) as engine:
        furnish(engine)
        storing = engine.call(ops.StoreWeddingData(wedding="smith-jones", name="a", file=str(tmp_path / "fifo")))
        with open(tmp_path / "fifo", "wb") as feed:
            feed.write(b"a")
            assert engine.leave(to_jobs=True).result(ANSWER_S)
            assert engine.status().status == "ready"
        stored = storing.result(ANSWER_S)
        assert isinstance(stored, ops.JobResult)
        assert stored.job.state == "done"
        assert eventually(lambda: engine.status().status == "stopped")


# --- coming in ----------------------------------------------------------------------------------------


def test_where_no_engine_runs_there_is_none(tmp_path: Path, home: Path) -> None:
    assert RemoteEngine.attach(tmp_path / "nowhere") is None
    assert RemoteEngine.attach(home) is None
    with engine_on(home):
        pass
    assert RemoteEngine.attach(home) is None
    assert not (home / SOCKET_NAME).exists()


def test_a_home_that_lies_deep_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / "home"
    with engine_on(deep):
        remote = attached(deep)
        assert isinstance(remote.call(ops.ReadConfiguration()).result(ANSWER_S), ops.Configuration)
        remote.close(drain_s=0.0).result(ANSWER_S)


@contextmanager
def played(home: Path, replies: bytes) -> Iterator[None]:
    """Something that answers a hello with these bytes, and then hangs up."""
    home.mkdir(exist_ok=True)
    listener = Listener(home)
    listener.socket.setblocking(True)

    def serve() -> None:
        peer, _ = listener.socket.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(replies)

    player = threading.Thread(target=serve)
    player.start()
    try:
        yield
    finally:
        player.join()
        listener.close()


def test_an_engine_of_another_protocol_is_one_clear_line(tmp_path: Path) -> None:
    refusal = wire.Refused(code="conflict", message="the engine speaks protocol 2", hint="use the same version of both")
    with played(tmp_path, wire.frame(refusal)), pytest.raises(Conflict, match="speaks protocol 2"):
        RemoteEngine.attach(tmp_path)


def test_something_else_behind_the_socket_is_one_clear_line(tmp_path: Path) -> None:
    with played(tmp_path, b"SSH-2.0-OpenSSH_9.2\r\n"), pytest.raises(Unavailable, match="is not understood"):
        RemoteEngine.attach(tmp_path)


def test_an_engine_that_is_about_to_end_is_as_good_as_none(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for replies in (b"", wire.frame(wire.Welcome(protocol=1, version="1", pid=1)), b"\0\0\1"):
        with played(tmp_path, replies):
            assert RemoteEngine.attach(tmp_path) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_engine_that_says_nothing_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.remote.ANSWER_HELLO_S", 0.02)
    listener = Listener(tmp_path)
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            RemoteEngine.attach(tmp_path)
    finally:
        listener.close()


def test_an_engine_that_goes_away_is_told_to_whoever_waits(tmp_path: Path) -> None:
    hello: list[wire.Reply] = [
        wire.Welcome(protocol=wire.PROTOCOL, version="1", pid=1),
        wire.NewStatus(document=wire.status_raw(samples.status(seq=5))),
    ]
    listener = Listener(tmp_path)
    listener.socket.setblocking(True)
    try:
        opening: list[RemoteEngine | None] = []
        coming = threading.Thread(target=lambda: opening.append(RemoteEngine.attach(tmp_path)))
        coming.start()
        peer, _ = listener.socket.accept()
        peer.sendall(b"".join(wire.frame(one) for one in hello))
        coming.join()
        (remote,) = opening
        assert remote is not None
        waiting = remote.call(ops.ListJobs())
        peer.close()
        with pytest.raises(Unavailable, match="went away") as caught:
            waiting.result(ANSWER_S)
        assert caught.value.exit_code == 1
        assert eventually(lambda: remote.status().status == "stopped")
        assert (remote.went_away, remote.status().seq) == (True, 6)
        remote.close(drain_s=0.0).result(ANSWER_S)
    finally:
        listener.close()
