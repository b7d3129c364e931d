"""Disks that are full or may not be written to: one line, nothing committed lost, and what is stored can be had."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import LimitReached, NotPermitted
from engine.base.units import MIB
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.work import Place
from tests.engine.storage.stores.disks import fills_at, read_only_folder, small_disk
from tests.trees import build, describe
from tests.vaults import CHEAP, OTHER_WEDDING, WEDDING, Bench


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A repository with a snapshot, on a disk that holds 12 MiB and is half full."""
    with small_disk(tmp_path / "disk", size_bytes=12 * MIB) as disk:
        made = Place(disk / "trial", tmp_path / "source")
        made.folder.mkdir()
        build(made.source, work.photos(0))
        with work.opened(made) as bench:
            bench.repository.register.put(work.couple())
            bench.backup(made.source, job_id=work.EARLIER_JOB)
        yield made


def _staged(place: Place) -> list[Path]:
    """Staged files; the lock file of an open store is none."""
    return [path for path in (place.store / "tmp").rglob("*") if path.is_file() and path.name != "lock"]


def test_a_full_disk_ends_a_backup_in_one_line(place: Place, tmp_path: Path) -> None:
    """The earlier snapshot stands; when there is room, the same engine does it."""
    before = describe(place.source)
    film = place.source / "film.mov"
    film.write_bytes(random.Random(1).randbytes(40 * MIB))
    with work.opened(place, streams=3) as bench:
        with pytest.raises(LimitReached, match="is full") as caught:
            bench.backup(place.source)
        assert "\n" not in caught.value.line()
        assert _staged(place) == []
        assert bench.verify().problems == []
        bench.retrieve(tmp_path / "back", strip=place.source)
        assert describe(tmp_path / "back") == before
        film.unlink()
        (place.source / "short.mov").write_bytes(random.Random(2).randbytes(MIB))
        bench.backup(place.source)
        assert bench.verify().problems == []
    assert _staged(place) == []


def test_a_full_disk_can_be_opened_verified_and_restored_from(place: Place, tmp_path: Path) -> None:
    """Not a byte is left: not even for the lease, nor for what the home has seen."""
    filler = place.folder / "filler"
    with open(filler, "wb", buffering=0) as opened:
        for size_bytes in (MIB, 4096, 1):
            try:
                while opened.write(bytes(size_bytes)):
                    pass
            except OSError:
                continue
    with work.opened(place, streams=2) as bench:
        (warning,) = bench.repository.warnings
        assert "can only be read" in warning
        assert bench.verify().problems == []
        bench.retrieve(tmp_path / "back", strip=place.source)
        assert describe(tmp_path / "back") == describe(place.source)
        with pytest.raises(LimitReached):
            bench.backup(place.source, wedding=OTHER_WEDDING)
        filler.unlink()
        bench.backup(place.source, wedding=OTHER_WEDDING)
        assert bench.verify(wedding=OTHER_WEDDING).problems == []


def test_a_limit_on_file_size_is_a_full_disk(tmp_path: Path) -> None:
    """EFBIG, as quotas give it."""
    made = Place(tmp_path / "trial", tmp_path / "source")
    made.folder.mkdir()
    build(made.source, work.photos(0))
    with work.opened(made) as bench:
        with fills_at(MIB):
            with pytest.raises(LimitReached):
                bench.backup(made.source)
        assert _staged(made) == []
        bench.backup(made.source)
        assert bench.verify().problems == []


def test_a_read_only_repository_can_be_verified_and_restored_from(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And refuses what would change it, each in one line."""
    with read_only_folder(place.store, monkeypatch):
        with Bench(LocalStore(place.store, create=False), seen=place.seen) as bench:
            (warning,) = bench.repository.warnings
            assert "can only be read" in warning
            assert bench.verify().problems == []
            bench.retrieve(tmp_path / "back", strip=place.source)
            assert describe(tmp_path / "back") == describe(place.source)
            (place.source / "new").write_bytes(b"new")
            for change in (
                lambda: bench.backup(place.source),
                lambda: bench.backup(place.source, wedding=OTHER_WEDDING),
                lambda: bench.repository.add_slot("another", "x", CHEAP),
                lambda: bench.repository.register.put(work.couple()),
            ):
                with pytest.raises(NotPermitted):
                    change()
            assert os.listdir(place.store / "weddings") == [WEDDING]
