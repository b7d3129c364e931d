"""Files with several names: one is read, the others have its contents, whichever of them can be read."""

from __future__ import annotations

import os
from pathlib import Path

from engine.pipeline.links import LinkGroups
from engine.pipeline.recorder import Slot
from engine.pipeline.source import link_group
from engine.pipeline.units import FileWork
from engine.pipeline.walk import WalkItem
from engine.repository.entry import FILE, Entry


def _work(path: Path) -> FileWork:
    item = WalkItem(bytes(path)[1:], None, path.name.encode(), os.lstat(path))  # type: ignore[arg-type]
    return FileWork(item, item.path, Slot(), item.stat.st_size)


def _names(tmp_path: Path, count: int) -> list[FileWork]:
    (tmp_path / "0").write_bytes(b"contents")
    for number in range(1, count):
        os.link(tmp_path / "0", tmp_path / str(number))
    return [_work(tmp_path / str(number)) for number in range(count)]


def _entry(work: FileWork) -> Entry:
    assert work.item is not None
    group = link_group(work.item.stat)
    return Entry(path=work.path, kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, link_group=group, hash=bytes(32))


def test_a_file_of_one_name_follows_nobody(tmp_path: Path) -> None:
    links = LinkGroups()
    (work,) = _names(tmp_path, 1)
    assert links.join(work) is None
    assert links.complete(work, _entry(work)) == []
    assert links.give_up(work) is None


def test_names_that_are_met_meanwhile_follow_the_first_and_later_ones_its_entry(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second, third = _names(tmp_path, 3)
    assert links.join(first) is None
    assert links.join(second) is first
    entry = _entry(first)
    assert links.complete(first, entry) == [(second.item, second.slot)]
    assert links.join(third) is entry


def test_followers_are_not_lost_when_the_file_has_one_name_by_the_time_it_is_read(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second = _names(tmp_path, 2)
    links.join(first), links.join(second)
    entry = Entry(path=first.path, kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, hash=bytes(32))
    assert links.complete(first, entry) == [(second.item, second.slot)]


def test_another_name_is_heir_of_one_that_cannot_be_read(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second, third, fourth = _names(tmp_path, 4)
    for work in (first, second, third):
        links.join(work)
    heir = links.give_up(first)
    assert heir is not None
    assert (heir.item, heir.slot, heir.followers) == (second.item, second.slot, [(third.item, third.slot)])
    assert links.join(fourth) is heir


def test_a_name_that_is_met_after_the_only_one_was_given_up_is_read_itself(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second = _names(tmp_path, 2)
    links.join(first)
    assert links.give_up(first) is None
    assert links.join(second) is None
