"""Watched folders on a real engine: what changes is protected, nothing is lost, and it goes on after a restart."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.base.errors import LimitReached, NotFound, UsageError
from engine.contract import operations as ops
from engine.contract import steering
from engine.jobs import openfiles
from engine.jobs.inotify import Happening, Inotify
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE
from tests.engine.operations.conftest import ANSWER_S, Asking

NAME = "smith-jones"
_TICK = threading.Event()  # never set: waiting for it is a pause


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` holds within twenty seconds."""
    return any(condition() or _TICK.wait(0.02) for _ in range(1000))


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Asking]:
    """An engine with a wedding whose folder `card` is watched and backed up once."""
    (tmp_path / "card" / "raw").mkdir(parents=True)
    (tmp_path / "card" / "first.jpg").write_bytes(b"first")
    made = Asking(LocalEngine.start(tmp_path / "home", PASSPHRASE, streams=2), tmp_path)
    try:
        made.ask(ops.InitRepository(), ops.RepositoryInfo)
        made.ask(ops.AddWedding(name=NAME, date=dt.date(2026, 6, 20)), ops.WeddingResult)
        made.ask(steering.WatchWedding(wedding=NAME, paths=(str(tmp_path / "card"),)), steering.WatchList)
        assert eventually(lambda: is_protected(made, "first.jpg"))
        yield made
    finally:
        made.engine.close(drain_s=0.0).result(ANSWER_S)


def names(asking: Asking) -> set[str]:
    """Names below the card in the newest snapshot; none before there is one."""
    try:
        browse = ops.Browse(wedding=NAME, path=str(asking.folder / "card"), recursive=True)
        return {Path(entry.path).name for entry in asking.ask(browse, ops.EntryList).entries}
    except NotFound:
        return set()


def sizes(asking: Asking) -> dict[str, int | None]:
    """Name → size, of what is below the card in the newest snapshot."""
    browse = ops.Browse(wedding=NAME, path=str(asking.folder / "card"), recursive=True)
    return {Path(entry.path).name: entry.size for entry in asking.ask(browse, ops.EntryList).entries}


def is_protected(asking: Asking, *wanted: str) -> bool:
    return set(wanted) <= names(asking)


def watch_row(asking: Asking) -> steering.WatchRow:
    (row,) = asking.ask(steering.ListWatches(wedding=NAME), steering.WatchList).watches
    return row


def test_what_is_written_moved_in_linked_or_made_is_protected(watching: Asking) -> None:
    card = watching.folder / "card"
    (card / "raw" / "written.nef").write_bytes(b"w" * 1000)
    (watching.folder / "outside").write_bytes(b"o")
    (watching.folder / "outside").rename(card / "moved-in.jpg")
    os.link(card / "first.jpg", card / "hard-link.jpg")
    (card / "soft-link").symlink_to("first.jpg")
    (card / "deep" / "down").mkdir(parents=True)
    (card / "deep" / "down" / "file").write_bytes(b"d")
    wanted = ("written.nef", "moved-in.jpg", "hard-link.jpg", "soft-link", "file")
    assert eventually(lambda: is_protected(watching, *wanted))
    assert eventually(lambda: watch_row(watching).changes_waiting == 0)
    row = watch_row(watching)
    assert (row.state, row.folders, row.problem) == ("watching", 4, "")
    assert row.lag_s is not None
    snapshots = watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots
    assert {snapshot.tags for snapshot in snapshots} == {("watch",)}


def test_a_file_that_is_never_closed_is_protected_while_it_grows(
    watching: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openfiles, "FIRST_S", 0.3)
    with open(watching.folder / "card" / "recording.mov", "wb", buffering=0) as recording:
        recording.write(b"one")
        assert eventually(lambda: sizes(watching).get("recording.mov") == 3)
        recording.write(b"two")
        assert eventually(lambda: sizes(watching).get("recording.mov") == 6)


def test_what_is_removed_or_moved_away_is_gone_and_moved_folders_are_watched_where_they_are(watching: Asking) -> None:
    card = watching.folder / "card"
    (card / "raw" / "a.nef").write_bytes(b"a")
    assert eventually(lambda: is_protected(watching, "a.nef"))
    (card / "raw").rename(card / "sorted")
    assert eventually(lambda: "sorted" in names(watching) and "raw" not in names(watching))
    (card / "sorted" / "b.nef").write_bytes(b"b")
    assert eventually(lambda: is_protected(watching, "b.nef"))
    (card / "sorted").rename(watching.folder / "elsewhere")
    (card / "first.jpg").unlink()
    assert eventually(lambda: not {"sorted", "first.jpg"} & names(watching))


def test_what_changed_while_no_engine_ran_is_protected_after_the_start(watching: Asking) -> None:
    watching.engine.close(drain_s=5.0).result(ANSWER_S)
    (watching.folder / "card" / "meanwhile.jpg").write_bytes(b"m")
    watching.engine = LocalEngine.start(watching.folder / "home", PASSPHRASE, streams=2)
    assert eventually(lambda: is_protected(watching, "meanwhile.jpg"))
    (watching.folder / "card" / "later.jpg").write_bytes(b"l")
    assert eventually(lambda: is_protected(watching, "later.jpg"))


def test_after_a_start_the_weddings_of_today_are_watched_first(watching: Asking) -> None:
    today = dt.datetime.now(tz=dt.UTC).date()
    for number in range(10):
        name = f"couple-{number}"
        (watching.folder / name).mkdir()
        date = today if number % 2 else today + dt.timedelta(days=40)
        watching.ask(ops.AddWedding(name=name, date=date), ops.WeddingResult)
        watching.ask(steering.WatchWedding(wedding=name, paths=(str(watching.folder / name),)), steering.WatchList)
    watching.engine.close(drain_s=5.0).result(ANSWER_S)
    watching.engine = LocalEngine.start(watching.folder / "home", PASSPHRASE, streams=2)
    inside = watching.engine._life._engine
    assert eventually(lambda: inside.kept.watcher is not None and len(inside.kept.watcher.watches) == 11)
    assert inside.kept.watcher is not None
    ranks = [watch.rank for watch in inside.kept.watcher.watches.values()]
    assert ranks == sorted(ranks)
    assert set(ranks) == {0, 2}


def test_an_overflow_of_the_kernels_queue_loses_no_file(watching: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Inotify.read
    lost: list[Happening] = []

    def overflowing(inotify: Inotify) -> list[Happening]:
        found = read(inotify)
        if not found or lost:
            return found
        lost.extend(found)
        return [Happening(-1, b"", False, "overflow")]

    monkeypatch.setattr(Inotify, "read", overflowing)
    (watching.folder / "card" / "lost").mkdir()
    (watching.folder / "card" / "lost" / "file.jpg").write_bytes(b"f")
    assert eventually(lambda: is_protected(watching, "file.jpg"))
    assert lost
    (watching.folder / "card" / "lost" / "after.jpg").write_bytes(b"a")
    assert eventually(lambda: is_protected(watching, "after.jpg"))


def test_where_the_system_watches_no_more_folders_everything_is_looked_at_again_and_again(
    watching: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching.ask(ops.Configure(key="watch.poll", value="1s"), ops.ConfigureResult)
    add = Inotify.add

    def full(inotify: Inotify, path: bytes) -> int:
        if path.endswith((b"/unwatched", b"/card")):
            raise LimitReached("the system watches no more folders", "raise fs.inotify.max_user_watches")
        return add(inotify, path)

    monkeypatch.setattr(Inotify, "add", full)
    (watching.folder / "card" / "unwatched").mkdir()
    assert eventually(lambda: watch_row(watching).state == "polling")
    assert "max_user_watches" in watch_row(watching).problem
    (watching.folder / "card" / "unwatched" / "file.jpg").write_bytes(b"f")
    assert eventually(lambda: is_protected(watching, "file.jpg"))


def test_a_folder_that_is_gone_is_looked_for_and_watched_when_it_is_back(watching: Asking) -> None:
    watching.ask(ops.Configure(key="watch.poll", value="1s"), ops.ConfigureResult)
    card = watching.folder / "card"
    shutil.rmtree(card)
    assert eventually(lambda: watch_row(watching).state == "gone")
    card.mkdir()
    (card / "back.jpg").write_bytes(b"b")
    assert eventually(lambda: is_protected(watching, "back.jpg"))
    assert watch_row(watching).state == "watching"


def test_what_the_patterns_leave_out_starts_no_backup(watching: Asking) -> None:
    card = watching.folder / "card"
    watching.ask(steering.WatchWedding(wedding=NAME, exclude=("*.tmp",)), steering.WatchList)
    (card / "after.jpg").write_bytes(b"a")
    assert eventually(lambda: is_protected(watching, "after.jpg") and watch_row(watching).changes_waiting == 0)
    before = watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots
    (card / "render.tmp").write_bytes(b"t")
    assert not any(watch_row(watching).changes_waiting or _TICK.wait(0.02) for _ in range(20))
    assert watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots == before


def test_unwatched_folders_are_left_alone(watching: Asking) -> None:
    watching.ask(steering.UnwatchWedding(wedding=NAME), steering.WatchList)
    before = watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots
    (watching.folder / "card" / "unseen.jpg").write_bytes(b"u")
    _TICK.wait(0.5)
    assert watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots == before
    with pytest.raises(NotFound):
        watching.ask(steering.UnwatchWedding(wedding=NAME), steering.WatchList)


def test_an_archived_wedding_is_watched_again_when_it_is_brought_back(watching: Asking) -> None:
    watching.ask(ops.ArchiveWedding(name=NAME), ops.WeddingResult)
    assert watching.ask(steering.ListWatches(), steering.WatchList).watches == ()
    (watching.folder / "card" / "archived.jpg").write_bytes(b"a")
    watching.ask(ops.ArchiveWedding(name=NAME, undo=True), ops.WeddingResult)
    assert eventually(lambda: is_protected(watching, "archived.jpg"))


def test_the_home_around_which_a_watch_lies_wakes_nobody(watching: Asking) -> None:
    watching.ask(steering.WatchWedding(wedding=NAME, paths=(str(watching.folder),)), steering.WatchList)
    assert eventually(lambda: watch_row(watching).state == "watching" and watch_row(watching).changes_waiting == 0)
    assert watch_row(watching).paths == (str(watching.folder),)
    before = len(watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots)
    _TICK.wait(1.0)
    assert len(watching.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots) <= before + 1


def test_what_cannot_be_watched_says_why(watching: Asking) -> None:
    card = watching.folder / "card"
    (watching.folder / "link").symlink_to(card)
    for path, kind in (
        (card / "first.jpg", UsageError),
        (watching.folder / "link", UsageError),
        (card / "no", NotFound),
    ):
        with pytest.raises(kind):
            watching.ask(steering.WatchWedding(wedding=NAME, paths=(str(path),)), steering.WatchList)
