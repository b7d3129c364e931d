"""A wedding costs what it costs, however many others there are: no call of a job touches what is not its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.contract.weddings import Wedding
from engine.storage.stores.memory import MemoryObjects, MemoryStagedObject, MemoryStore
from engine.storage.stores.store import ObjectInfo
from tests.trees import build, file
from tests.vaults import WEDDING, Bench, new_job

OTHERS = 30


class CountedStore(MemoryStore):
    """Notes the name, or folder, of every call."""

    def __init__(self, objects: MemoryObjects) -> None:
        super().__init__(objects)
        self.calls: list[tuple[str, str]] = []

    def put(self, name: str, data: bytes) -> None:
        """Noted, as all below."""
        self.calls.append(("put", name))
        super().put(name, data)

    def stage(self) -> MemoryStagedObject:
        self.calls.append(("stage", ""))
        return super().stage()

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self.calls.append(("get", name))
        return super().get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self.calls.append(("read_into", name))
        super().read_into(name, offset, buffer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.calls.append(("list", prefix))
        return super().list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        self.calls.append(("folders", prefix))
        return super().folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        self.calls.append(("stat", name))
        return super().stat(name)

    def delete(self, name: str) -> None:
        self.calls.append(("delete", name))
        super().delete(name)


def _calls(bench: Bench, source: Path, back: Path) -> dict[str, list[tuple[str, str]]]:
    """The calls of a first backup, an unchanged one, a verification and a retrieval of one wedding."""
    store = bench.store
    assert isinstance(store, CountedStore)
    jobs: dict[str, Callable[[], object]] = {
        "first backup": partial(bench.backup, source),
        "unchanged backup": partial(bench.backup, source),
        "verify": bench.verify,
        "retrieve": partial(bench.retrieve, back, strip=source),
    }
    calls = {}
    for name, job in jobs.items():
        store.calls.clear()
        job()
        calls[name] = [(call, "*" if "/packs/" in what else what) for call, what in store.calls]
    return calls


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A few files."""
    build(tmp_path / "source", {b"%d" % number: file(b"%d" % number * 99) for number in range(20)})
    return tmp_path / "source"


def test_other_weddings_cost_a_job_nothing(source: Path, tmp_path: Path) -> None:
    """The same calls in an empty repository and beside thirty weddings with snapshots; none names another wedding."""
    with Bench(CountedStore(MemoryObjects())) as alone:
        expected = _calls(alone, source, tmp_path / "alone")
    with Bench(CountedStore(MemoryObjects())) as crowded:
        for number in range(OTHERS):
            wedding = Wedding(id=new_job(), name=f"couple-{number}", date=dt.date(2026, 6, 20))
            crowded.repository.register.put(wedding)
            crowded.backup(source, wedding=wedding.id)
        found = _calls(crowded, source, tmp_path / "crowded")
    for job, calls in found.items():
        own = (f"weddings/{WEDDING}/", "leases/")  # an engine looks whether it is still itself
        assert [what for _, what in calls if what not in ("", "*") and not what.startswith(own)] == [], job
        assert sorted(call for call, _ in calls) == sorted(call for call, _ in expected[job]), job


def test_a_long_history_costs_a_job_one_list(source: Path, tmp_path: Path) -> None:
    """A backup reads the snapshots that it has not seen: each once, however often the wedding is opened again."""
    with Bench(CountedStore(MemoryObjects())) as bench:
        store = bench.store
        assert isinstance(store, CountedStore)
        with bench.repository.vault(WEDDING):  # kept open, as by a job that runs for days
            for number in range(12):
                (source / "0").write_bytes(b"%d" % number)
                bench.backup(source)
            store.calls.clear()
            bench.backup(source)
            assert [call for call, what in store.calls if "/snapshots/" in what].count("get") == 0


def test_opening_a_repository_reads_no_wedding(source: Path) -> None:
    """Only config, key slots, register and the own lease, and which weddings have a folder."""
    objects = MemoryObjects()
    with Bench(CountedStore(objects)) as bench:
        bench.repository.register.put(Wedding(id=WEDDING, name="smith-jones", date=dt.date(2026, 6, 20)))
        for number in range(OTHERS):
            bench.repository.register.put(Wedding(id=new_job(), name=f"couple-{number}", date=dt.date(2026, 6, 20)))
        bench.backup(source)
    with Bench(CountedStore(objects)) as bench:
        store = bench.store
        assert isinstance(store, CountedStore)
        assert [call for call in store.calls if call[1].startswith("weddings/")] == [("folders", "weddings/")]
