"""The committer and the gate: groups, the order that makes things durable, and what a failed fsync means."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, Unavailable, WedSyncError
from engine.base.invariants import BrokenInvariant
from engine.storage.stores import committer, syscalls
from engine.storage.stores.committer import Committer
from engine.storage.stores.gate import GATE_PIECE_BYTES, Gate
from engine.storage.stores.local import LocalStore
from engine.storage.stores.store import StagedObject
from tests.engine.storage.stores.disk_model import DiskModel
from tests.suites.object_store import names_in, paged, pattern, publish

WAIT_S = 10.0  # for what happens at once unless it is broken


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


@pytest.fixture
def disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> DiskModel:
    """What the disk below the store is sure to keep."""
    return DiskModel(str(root), monkeypatch)


@pytest.fixture
def store(root: Path, disk: DiskModel) -> Iterator[LocalStore]:
    """An open, empty store in `root`, on the model disk."""
    store = LocalStore(root, create=True)
    yield store
    disk.refuse_call = None
    store.close()


class Hold:
    """Stops the committer in the next fsync of a file until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_held = threading.Event()
        self._go = threading.Event()
        fsync_file = syscalls.fsync_file

        def hold(fd: int) -> None:
            self.is_held.set()
            assert self._go.wait(WAIT_S)
            fsync_file(fd)

        monkeypatch.setattr(syscalls, "fsync_file", hold)

    def let_go(self) -> None:
        """Go on, also in later fsyncs."""
        self._go.set()


def stage_page(store: LocalStore) -> StagedObject:
    """Stage one page; before the committer is held, since the gate is closed then."""
    staged = store.stage()
    staged.append(paged(pattern(4096)))
    return staged


# --- groups ---


def test_what_is_queued_together_shares_one_fsync_of_the_folder(
    store: LocalStore, disk: DiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("packs/first", b"")
    before = disk.count("fsync_folder", "/packs")
    staged = [stage_page(store) for _ in range(21)]
    hold = Hold(monkeypatch)
    futures = [staged[0].publish("packs/0")]
    assert hold.is_held.wait(WAIT_S)
    futures += [staged[number].publish(f"packs/{number}") for number in range(1, 21)]
    hold.let_go()
    for future in futures:
        future.result(WAIT_S)
    assert disk.count("fsync_folder", "/packs") == before + 2
    assert disk.count("fsync_file") == 1 + len(futures)
    assert len(names_in(store)) == 22


def test_a_group_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(syscalls, "fsync_folder", steps.append)
    work = Committer("/s", gate=Gate(), group_max=3)
    hold = HoldingStep(work)
    futures = [work.submit(Step(steps, f"{number}")) for number in range(7)]
    hold.let_go()
    work.close()
    assert [future.exception(timeout=0) for future in futures] == [None] * 7
    assert steps.count("folder") == 1 + 3  # the one that held, then 3 + 3 + 1
    assert [step for step in steps if step.startswith("done")] == [f"done {number}" for number in range(7)]


class Step:
    """A commit that only writes down its steps."""

    needs_folders = True
    fd: int | None = None

    def __init__(self, steps: list[str], name: str, *, error: str = "") -> None:
        self._steps = steps
        self._name = name
        self._error = error

    def reveal(self) -> tuple[str, ...]:
        """See `Commit.reveal`."""
        self._steps.append(f"reveal {self._name}")
        if self._error:
            raise RuntimeError(self._error)
        return ("folder",)

    def finish(self, *, durable: bool) -> WedSyncError | None:
        """See `Commit.finish`."""
        self._steps.append(f"{'done' if durable else 'failed'} {self._name}")
        return None


class HoldingStep(Step):
    """A commit that keeps the committer, in a group of its own, until it is let go."""

    def __init__(self, work: Committer) -> None:
        super().__init__([], "holds")
        self._is_held, self._go = threading.Event(), threading.Event()
        self.future = work.submit(self)
        assert self._is_held.wait(WAIT_S)

    def reveal(self) -> tuple[str, ...]:
        """See `Commit.reveal`."""
        self._is_held.set()
        assert self._go.wait(WAIT_S)
        return super().reveal()

    def let_go(self) -> None:
        """Go on."""
        self._go.set()


def test_all_bytes_come_before_all_names_before_all_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(syscalls, "fsync_together", lambda fds: None)
    monkeypatch.setattr(syscalls, "fsync_file", lambda fd: steps.append(f"sync {fd}"))
    monkeypatch.setattr(syscalls, "fsync_folder", steps.append)
    work = Committer("/s", gate=Gate())
    hold = HoldingStep(work)
    for number, name in enumerate(("a", "b")):
        step = Step(steps, name)
        step.fd = number
        work.submit(step)
    hold.let_go()
    work.close()
    assert steps == ["folder", "sync 0", "sync 1", "reveal a", "reveal b", "folder", "done a", "done b"]


def test_a_bug_in_one_commit_reaches_its_caller_and_spares_the_others() -> None:
    work = Committer("/s", gate=Gate())
    steps: list[str] = []
    broken = work.submit(Step(steps, "broken", error="a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        broken.result(WAIT_S)
    assert steps[-1] == "failed broken"
    again = work.submit(Step(steps, "again"))
    assert isinstance(again.exception(WAIT_S), Unavailable)  # there is no folder of that name
    work.close()


def test_a_closed_committer_refuses_and_cleans_up() -> None:
    work = Committer("/s", gate=Gate())
    work.close()
    work.close()
    steps: list[str] = []
    assert isinstance(work.submit(Step(steps, "late")).exception(timeout=0), Unavailable)
    assert steps == ["failed late"]


def test_a_full_queue_makes_the_next_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "QUEUE_MAX", 2)
    monkeypatch.setattr(syscalls, "fsync_folder", lambda path: None)
    work = Committer("/s", gate=Gate(), group_max=1)
    hold = HoldingStep(work)
    steps: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(work.submit, Step(steps, f"{number}")) for number in range(8)]
        hold.let_go()
        for future in futures:
            future.result(WAIT_S).result(WAIT_S)
    work.close()
    assert sum(step.startswith("done") for step in steps) == 8


def test_callbacks_may_not_queue_commits() -> None:
    work = Committer("/s", gate=Gate())
    caught: list[BaseException] = []

    def call(_: Future[None]) -> None:
        try:
            work.submit(Step([], "inner"))
        except BrokenInvariant as error:
            caught.append(error)

    hold = HoldingStep(work)
    hold.future.add_done_callback(call)
    hold.let_go()
    work.close()
    assert len(caught) == 1


def test_the_thread_starts_with_the_first_commit_and_ends_with_close(store: LocalStore) -> None:
    def committers() -> int:
        return sum(thread.name == "wedsync-committer" for thread in threading.enumerate())

    before = committers()
    names_in(store)
    assert committers() == before
    store.put("a", b"")
    assert committers() == before + 1
    store.close()
    assert committers() == before


# --- durability ---


def test_what_is_reported_durable_survives_a_power_cut(store: LocalStore, disk: DiskModel) -> None:
    store.put("config/1", b"x")
    assert disk.survives("config/1")
    publish(store, "weddings/0a/packs/9f", pattern(8192))
    assert disk.survives("weddings/0a/packs/9f")
    store.put("weddings/0a/snapshots/1", b"x")
    assert disk.survives("weddings/0a/snapshots/1")
    publish(store, "top", pattern(4096))
    assert disk.survives("top")
    store.delete("top")
    assert not disk.survives("top")


def test_the_folder_of_the_store_itself_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = DiskModel(str(tmp_path), monkeypatch)
    store = LocalStore(tmp_path / "a" / "b" / "store", create=True)
    store.put("c/d", b"x")
    assert disk.survives("a/b/store/c/d")
    store.close()


def test_a_folder_known_to_last_is_not_fsynced_in_its_parent_again(
    root: Path, store: LocalStore, disk: DiskModel
) -> None:
    store.put("weddings/0a/packs/1", b"")
    first = disk.count("fsync_folder")
    store.put("weddings/0a/packs/2", b"")
    assert disk.count("fsync_folder") == first + 1
    assert disk.calls[-2:] == [("fsync_folder", f"{root}/weddings/0a/packs"), ("unlink", disk.calls[-1][1])]


def test_a_folder_another_engine_made_is_made_to_last_too(root: Path, store: LocalStore, disk: DiskModel) -> None:
    (root / "weddings").mkdir()
    store.put("weddings/1", b"")
    assert disk.count("fsync_folder", str(root)) == 1


def test_a_folder_somebody_removed_is_made_anew(root: Path, store: LocalStore) -> None:
    store.put("weddings/0a/leases/1", b"")
    shutil.rmtree(root / "weddings")
    store.put("weddings/0a/leases/2", b"")
    assert names_in(store) == ["weddings/0a/leases/2"]


def test_a_conflict_is_told_only_once_the_winner_is_durable(root: Path, store: LocalStore, disk: DiskModel) -> None:
    (root / "snapshots").mkdir()
    (root / "snapshots/1").write_bytes(b"of another engine, not yet fsynced in its folder")
    with pytest.raises(Conflict):
        store.put("snapshots/1", b"x")
    assert disk.count("fsync_folder", "/snapshots") == 1
    assert disk.count("fsync_folder", str(root)) == 1


@pytest.mark.parametrize("kind", ["put", "publish"])
def test_a_refusal_at_any_boundary_is_told_and_leaves_a_whole_object_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    data = pattern(8192)

    def change(store: LocalStore, name: str) -> WedSyncError | None:
        try:
            store.put(name, data) if kind == "put" else publish(store, name, data)
        except WedSyncError as error:
            return error
        return None

    refused, number, is_refused = 0, 0, True
    while is_refused:
        root = tmp_path / str(number)
        with monkeypatch.context() as patch:
            store = LocalStore(root, create=True)
            disk = DiskModel(str(root), patch)
            disk.refuse_call = number
            error = change(store, "weddings/0a/objects/1")
            disk.refuse_call, is_refused = None, number < len(disk.calls)
            refused += isinstance(error, Unavailable)
            assert error is not None or disk.survives("weddings/0a/objects/1")
            assert names_in(store) in ([], ["weddings/0a/objects/1"])
            assert all(store.get(name, limit_bytes=8192) == data for name in names_in(store))
            assert change(store, "weddings/0a/objects/2") is None
            assert disk.survives("weddings/0a/objects/2")
            store.close()
            assert list(root.glob("tmp/*")) == []
        number += 1
    assert refused >= 12


def test_after_a_failed_fsync_the_object_is_gone_and_can_be_written_anew(
    root: Path, store: LocalStore, disk: DiskModel
) -> None:
    staged = store.stage()
    staged.append(paged(pattern(4096)))
    disk.refuse_call = len(disk.calls)  # the next change is the fsync of the file
    with pytest.raises(Unavailable, match=str(root)):
        staged.publish("packs/1").result(WAIT_S)
    assert disk.calls[disk.refuse_call][0] == "fsync_file"
    assert names_in(store) == []
    assert [path.name for path in root.glob("tmp/*/*")] == ["lock"]
    publish(store, "packs/1", pattern(4096))
    assert disk.survives("packs/1")


def test_a_failed_commit_spares_the_others_of_its_group(
    store: LocalStore, disk: DiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = [stage_page(store) for _ in range(4)]
    hold = Hold(monkeypatch)
    first = staged[0].publish("packs/first")
    assert hold.is_held.wait(WAIT_S)
    good = [staged[1].publish("packs/1"), staged[2].publish("packs/2")]
    bad = staged[3].publish("packs/first/below")
    with ThreadPoolExecutor(1) as pool:
        gone = pool.submit(store.delete, "packs/none")
        hold.let_go()
        with pytest.raises(NotFound):
            gone.result(WAIT_S)
    assert [future.exception(WAIT_S) for future in (first, *good)] == [None] * 3
    assert isinstance(bad.exception(WAIT_S), Conflict)
    assert disk.survives("packs/1")


# --- the gate ---


def test_an_open_gate_lets_everybody_through() -> None:
    Gate().enter()


def test_a_bulk_writer_waits_for_the_group_that_is_being_made_durable(
    store: LocalStore, disk: DiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk, staged = store.stage(), stage_page(store)
    store._gate._wait_s = WAIT_S
    is_at_gate, enter = threading.Event(), Gate.enter

    def enter_seen(gate: Gate) -> None:
        is_at_gate.set()
        enter(gate)

    monkeypatch.setattr(Gate, "enter", enter_seen)
    hold = Hold(monkeypatch)
    future = staged.publish("packs/holds")
    assert hold.is_held.wait(WAIT_S)
    writes = disk.count("write_at")
    with ThreadPoolExecutor(1) as pool:
        appended = pool.submit(bulk.append, paged(pattern(2 * GATE_PIECE_BYTES)))
        assert is_at_gate.wait(WAIT_S)
        store.stage().discard()  # which does not ask the gate
        assert disk.count("write_at") == writes
        hold.let_go()
        appended.result(WAIT_S)
    future.result(WAIT_S)
    assert disk.count("write_at") == writes + 2
    bulk.discard()


def test_a_writer_waits_for_one_group_at_most() -> None:
    gate, is_waiting = Gate(wait_s=WAIT_S), threading.Event()

    class Seen(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            is_waiting.set()
            return super().wait(timeout)

    gate._changed = Seen()
    with ThreadPoolExecutor(1) as pool:
        with gate.closed():
            future = pool.submit(gate.enter)
            assert is_waiting.wait(WAIT_S)
            assert not future.done()
        with gate.closed():  # the next group, begun at once, does not hold up who waited for the first
            future.result(WAIT_S)


def test_a_group_that_takes_long_does_not_stop_a_writer() -> None:
    gate = Gate(wait_s=0.001)
    with gate.closed():
        gate.enter()


def test_a_group_that_fails_opens_the_gate() -> None:
    gate = Gate()
    with pytest.raises(RuntimeError):
        with gate.closed():
            raise RuntimeError
    gate.enter()
