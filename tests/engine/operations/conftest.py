"""An engine for the tests of operations: real, on a home of its own, with one small wedding backed up."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from engine.contract import operations as ops
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository

ANSWER_S = 60.0  # what no answer of a test takes

R = TypeVar("R", bound=ops.Result)


class Asking:
    """An engine, asked one operation at a time."""

    def __init__(self, engine: LocalEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder  # free for the test's own files

    def ask(self, operation: ops.Operation, kind: type[R]) -> R:
        """The answer, of the kind it must be. Raises what the operation raises."""
        result = self.engine.call(operation).result(ANSWER_S)
        assert isinstance(result, kind), result
        return result


def make_source(root: Path) -> Path:
    """A few files of every manner that these tests tell apart."""
    (root / "photos" / "raw").mkdir(parents=True)
    (root / "photos" / "first dance.jpg").write_bytes(b"dance" * 1000)
    (root / "photos" / "raw" / "0001.nef").write_bytes(bytes(range(256)) * 2000)
    (root / "photos" / "raw" / "0002.nef").write_bytes(b"second" * 5000)
    (root / "speeches.txt").write_text("For the happy couple.\n")
    (root / "link").symlink_to("speeches.txt")
    (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"latin")
    return root


@pytest.fixture(scope="package")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A running engine with the wedding `smith-jones`, backed up once from `source/`."""
    folder = tmp_path_factory.mktemp("operations")
    make_source(folder / "source")
    engine = LocalEngine.start(home_with_repository(folder / "home"), PASSPHRASE, streams=2)
    made = Asking(engine, folder)
    try:
        made.ask(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20), venue="Bath, UK"), ops.WeddingResult)
        made.ask(backup_of("smith-jones", folder / "source"), ops.JobResult)
        yield made
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def backup_of(wedding: str, *sources: Path, wait: bool = True) -> ops.StartBackup:
    """A backup that is waited for."""
    return ops.StartBackup(wedding=wedding, sources=tuple(str(source) for source in sources), wait=wait)


def fresh_wedding(asking: Asking, name: str, date: dt.date = dt.date(2026, 6, 20)) -> str:
    """Register one more wedding, for a test that changes something."""
    asking.ask(ops.AddWedding(name=name, date=date), ops.WeddingResult)
    return name
