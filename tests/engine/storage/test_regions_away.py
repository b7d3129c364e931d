"""Regions on real services and on disks that stop, lie, fill up and come back: nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.clock import SystemClock
from engine.base.errors import LimitReached, Unavailable
from engine.repository.damaged import Copies
from engine.storage import asking, region, replicas, replication
from engine.storage.healing import Healer
from engine.storage.healqueue import HealQueue
from engine.storage.region import Region
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy, Replication
from engine.storage.stores.local import LocalStore
from engine.storage.stores.open import open_store
from engine.storage.stores.store import ObjectStore
from tests import s3_servers
from tests.engine.storage.regions import NAMES, everywhere, heal_all
from tests.faults import Fail, FaultyStore, FlipBit, Rule, Truncate
from tests.s3_servers import S3Server
from tests.suites.object_store import pattern
from tests.trees import build, describe, file
from tests.vaults import Bench

pytestmark = pytest.mark.usefixtures("s3_keys")
STUCK_S = 1.0


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that answers nothing is waited for more shortly."""
    for module in (asking, region, replicas, replication):
        monkeypatch.setattr(module, "STUCK_S", STUCK_S)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Some photographs."""
    photos = {b"IMG_%04d.JPG" % number: file(pattern(150_000 + number, seed=number)) for number in range(40)}
    build(tmp_path / "card", photos)
    return tmp_path / "card"


def store_over(stores: list[ObjectStore]) -> ReplicatedStore:
    """Regions that are these stores, the first of them the home region."""
    clock = SystemClock()
    regions = [Region(name, lambda store=store: store, clock) for name, store in zip(NAMES, stores, strict=False)]  # type: ignore[misc]
    names = NAMES[: len(stores)]
    return ReplicatedStore(Replication(regions, everywhere(names), HealQueue(None), clock, policy=Policy()))


def folders_in(tmp_path: Path, *names: str) -> list[ObjectStore]:
    """Stores on the disk."""
    return [LocalStore(tmp_path / name, create=True) for name in names]


def assert_whole(store: ObjectStore, source: Path, target: Path) -> None:
    """A region on its own verifies to the last file, and what is retrieved from it is the source."""
    with Bench(store) as bench:
        assert bench.verify().problems == []
        bench.retrieve(target, strip=source)
    assert describe(target) == describe(source)


@pytest.mark.usefixtures("_impatient")
def test_the_home_region_stops_in_mid_backup_and_goes_on_later(moto: S3Server, tmp_path: Path, source: Path) -> None:
    """A real service that is stopped answers nothing at all, and then everything at once."""
    url = moto.url("stopped/store")
    with Bench(store_over([open_store(url, create=True), *folders_in(tmp_path, "b", "c")])) as bench:
        before = bench.backup(source)
        os.kill(moto.process_id, signal.SIGSTOP)
        try:
            build(source, {b"IMG_9999.JPG": file(pattern(400_000, seed=99))})
            after = bench.backup(source)
            assert [found.id for found in bench.snapshots()] == [before.id, after.id]
            bench.retrieve(tmp_path / "back", strip=source)
            assert describe(tmp_path / "back") == describe(source)
            store = bench.store
            assert isinstance(store, ReplicatedStore)
            assert store.shared.queue.backlog().keys() <= {"alpha"}
        finally:
            os.kill(moto.process_id, signal.SIGCONT)
        heal_all(store)
        assert store.shared.queue.backlog() == {}
    assert_whole(open_store(url, create=False), source, tmp_path / "alone")


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("publish", Fail(Unavailable("reset"), after=True), times=None, share=0.5)],
        [Rule("append", Fail(LimitReached("full")), times=None), Rule("put", Fail(LimitReached("full")), times=None)],
        [Rule("read_into", Truncate(100), times=None, share=0.3), Rule("get", Truncate(10), times=None, share=0.3)],
        [Rule("read_into", FlipBit(), times=None, share=0.3), Rule("get", FlipBit(), times=None, share=0.3)],
        [Rule("append", FlipBit(), times=None, share=0.3), Rule("put", FlipBit(), times=None, share=0.3)],
        [Rule(method, Fail(Unavailable("503")), times=None, share=0.3) for method in ("put", "get", "list", "stat")],
    ],
    ids=["resets", "full", "truncated", "wrong-bytes", "writes-wrong-bytes", "503"],
)
def test_a_region_that_is_faulty_loses_nothing_and_is_whole_when_it_is_healed(
    tmp_path: Path, source: Path, rules: list[Rule]
) -> None:
    stores = folders_in(tmp_path, "a", "b", "c")
    with Bench(store_over(stores)):
        pass
    faulty = FaultyStore(LocalStore(tmp_path / "a", create=False), *rules, seed=7)
    over = store_over([faulty, *folders_in(tmp_path, "b", "c")])
    with Bench(over, copies=Copies(over.recheck, over.verified)) as bench:
        bench.backup(source)
        assert bench.verify().problems == []
        bench.retrieve(tmp_path / "back", strip=source)
        assert describe(tmp_path / "back") == describe(source)
    store = store_over(folders_in(tmp_path, "a", "b", "c"))
    queue = store.shared.queue
    Healer(store).compare("")
    for info in store.list("weddings/"):  # as the scrub would, in time
        queue.owe(info.name, ["alpha"], "copy", 0, on_the_way=False)
    heal_all(store)
    assert queue.backlog() == {}
    store.close()
    assert_whole(LocalStore(tmp_path / "a", create=False), source, tmp_path / "alone")
