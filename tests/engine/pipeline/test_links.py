"""Files with several names: one is read, the others have its contents, whichever of them can be read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from engine.pipeline.links import LinkGroups
from engine.pipeline.recorder import Slot
from engine.pipeline.source import link_group
from engine.pipeline.units import FileWork
from engine.pipeline.walk import WalkItem
from engine.repository.entry import FILE, Entry


def _work(path: Path) -> FileWork:
    item = WalkItem(bytes(path)[1:], None, path.name.encode(), os.lstat(path))
    return FileWork(item, item.path, Slot(), item.stat.st_size)


def _names(tmp_path: Path, count: int) -> list[FileWork]:
    (tmp_path / "0").write_bytes(b"contents")
    for number in range(1, count):
        os.link(tmp_path / "0", tmp_path / str(number))
    return [_work(tmp_path / str(number)) for number in range(count)]


def _entry(work: FileWork) -> Entry:
    assert work.item is not None
    stat = work.item.stat
    entry = Entry(path=work.path, kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, hash=bytes(32))
    return msgspec.structs.replace(entry, inode=stat.st_ino, link_group=link_group(stat))


def test_a_file_of_one_name_follows_nobody(tmp_path: Path) -> None:
    links = LinkGroups()
    (work,) = _names(tmp_path, 1)
    assert links.join(work) is None
    assert links.complete(work, _entry(work)) == ([], None)
    assert links.give_up(work) is None


def test_names_that_are_met_meanwhile_follow_the_first_and_later_ones_its_entry(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second, third = _names(tmp_path, 3)
    assert links.join(first) is None
    assert links.join(second) is first
    entry = _entry(first)
    assert links.complete(first, entry) == ([(second.item, second.slot)], None)
    assert links.join(third) is entry


def test_followers_are_not_lost_when_the_file_has_one_name_by_the_time_it_is_read(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second, third = _names(tmp_path, 3)
    links.join(first), links.join(second)
    entry = msgspec.structs.replace(_entry(first), link_group=0)
    assert links.complete(first, entry) == ([(second.item, second.slot)], None)
    assert links.join(third) is entry


def test_another_name_is_read_when_another_file_took_the_first_one(tmp_path: Path) -> None:
    """As a program does that saves by renaming, before the file is opened: what it holds is not the others'."""
    links = LinkGroups()
    first, second, third, fourth = _names(tmp_path, 4)
    for work in (first, second, third):
        links.join(work)
    entry = msgspec.structs.replace(_entry(first), inode=_entry(first).inode + 1, link_group=0)
    followers, heir = links.complete(first, entry)
    assert heir is not None
    assert followers == []
    assert (heir.item, heir.slot, heir.followers) == (second.item, second.slot, [(third.item, third.slot)])
    assert links.join(fourth) is heir


def test_a_name_that_is_met_after_the_first_was_taken_is_read_itself(tmp_path: Path) -> None:
    links = LinkGroups()
    first, second = _names(tmp_path, 2)
    links.join(first)
    entry = msgspec.structs.replace(_entry(first), inode=_entry(first).inode + 1, link_group=0)
    assert links.complete(first, entry) == ([], None)
    assert links.join(second) is None


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
