"""The walk joined with the parent: what is read again and what is not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.pipeline.excludes import Excludes
from engine.pipeline.scan import Changed, Metadata, Scan, Scanned, Unchanged
from engine.pipeline.source import SourceProblem, entry_of
from engine.pipeline.walk import WalkItem, WalkWarning, walk
from engine.repository.entry import Entry
from tests import strategies
from tests.copying import NOW_NS, read_all
from tests.trees import Node, Tree, build, file, folder, scratch, symlink


def _describe(item: WalkItem) -> tuple[Entry, tuple[str, ...]]:
    return entry_of(item, now_ns=NOW_NS)


def _no_need(item: WalkItem) -> tuple[Entry, tuple[str, ...]]:
    raise AssertionError(f"{item.path!r} needs no second look")


def _scan(root: Path, parent: Iterable[Entry]) -> tuple[dict[str, Scanned], Scan]:
    """What the scan says by path relative to `root`; warnings under `!path`."""
    scan = Scan(walk([bytes(root)], excludes=Excludes()), parent, describe=_describe)
    found: dict[str, Scanned] = {}
    for each in scan:
        path = each.path if isinstance(each, WalkWarning) else each.item.path
        shown = os.path.relpath(b"/" + path, bytes(root)).decode("utf-8", "backslashreplace")
        found["!" * isinstance(each, WalkWarning) + shown] = each
    return found, scan


def _entries(root: Path) -> list[Entry]:
    return [each.entry for each in read_all(bytes(root))]


@settings(max_examples=20)
@given(tree=strategies.trees())
def test_a_tree_that_did_not_change_is_not_read_again(tree: Tree) -> None:
    """Every entry is the parent's, without a second look at anything."""
    with scratch() as made:
        root = made / "root"
        build(root, tree)
        parent = _entries(root)
        scan = Scan(walk([bytes(root)], excludes=Excludes()), parent, describe=_no_need)
        found = list(scan)
        assert all(isinstance(each, Unchanged | Metadata) for each in found)
        assert [each.entry for each in found if isinstance(each, Unchanged | Metadata)] == parent
        assert scan.gone == 0


@settings(max_examples=20)
@given(first=strategies.trees(), second=strategies.trees())
def test_any_two_trees_are_told_apart(first: Tree, second: Tree) -> None:
    """Everything of the second is seen, everything only in the first is gone, nothing is taken for unchanged."""
    with scratch() as made:
        root = made / "root"
        build(root, first)
        before = [msgspec.structs.replace(entry, inode=0) for entry in _entries(root)]
        root.rename(made / "old")
        build(root, second)
        found, scan = _scan(root, before)
        paths = {entry.path for entry in _entries(root)}
        assert not any(isinstance(each, Unchanged) for each in found.values())
        assert {each.item.path for each in found.values() if isinstance(each, Changed | Metadata)} == paths
        assert scan.gone == len({entry.path for entry in before} - paths)


def test_what_differs_in_any_way_is_read_again(tmp_path: Path) -> None:
    """Size, time, ctime, inode; the rest is not."""
    names = ("size", "mtime", "mode", "inode", "same")
    build(tmp_path, {name.encode(): file(b"contents") for name in names})
    parent = _entries(tmp_path)
    (tmp_path / "size").write_bytes(b"longer contents")
    os.utime(tmp_path / "size", ns=(0, Node().mtime_ns))
    os.utime(tmp_path / "mtime", ns=(0, 1))
    (tmp_path / "mode").chmod(0o600)
    (tmp_path / "copy").write_bytes(b"contents")
    (tmp_path / "copy").rename(tmp_path / "inode")
    os.utime(tmp_path / "inode", ns=(0, Node().mtime_ns))
    found, _ = _scan(tmp_path, parent)
    assert isinstance(found["same"], Unchanged)
    for name in names[:-1]:
        changed = found[name]
        assert isinstance(changed, Changed)
        assert changed.previous in parent


@pytest.mark.parametrize(
    "doubt",
    [{"ctime_ns": 0}, {"hash": b""}, {"hash": b"\0" + b"h" * 64}],
    ids=["ctime too fresh", "no contents", "unfinished in a checkpoint"],
)
def test_a_parent_that_cannot_vouch_for_a_file_has_it_read(tmp_path: Path, doubt: dict[str, object]) -> None:
    """The entry goes along, so that what is finished of it can be used."""
    build(tmp_path, {b"a": file(b"contents")})
    parent = [msgspec.structs.replace(entry, **doubt) for entry in _entries(tmp_path)]
    found, _ = _scan(tmp_path, parent)
    assert isinstance(found["a"], Changed)
    assert found["a"].previous == parent[-1]


def test_a_file_without_counterpart_is_read(tmp_path: Path) -> None:
    """New ones, and all of them when there is no parent."""
    build(tmp_path, {b"a": file(), b"b": file()})
    assert all(each.previous is None for each in _scan(tmp_path, [])[0].values() if isinstance(each, Changed))
    parent = _entries(tmp_path)
    build(tmp_path, {b"aa": file()})
    found, scan = _scan(tmp_path, parent)
    assert isinstance(found["aa"], Changed)
    assert isinstance(found["b"], Unchanged)
    assert scan.gone == 0


def test_what_was_removed_is_gone(tmp_path: Path) -> None:
    """At the start, in the middle and at the end of the parent."""
    build(tmp_path, {b"a": file(), b"b/x": file(), b"b/y": file(), b"c": file(), b"d": file()})
    parent = _entries(tmp_path)
    for name in ("a", "b/x", "d"):
        (tmp_path / name).unlink()
    found, scan = _scan(tmp_path, parent)
    assert scan.gone == 3
    assert isinstance(found["c"], Unchanged)


def test_a_folder_whose_mode_changed_is_described_anew(tmp_path: Path) -> None:
    """And what it holds is not read again."""
    build(tmp_path, {b"f/x": file(), b"f": folder(mode=0o755)})
    parent = _entries(tmp_path)
    (tmp_path / "f").chmod(0o700)
    found, _ = _scan(tmp_path, parent)
    assert isinstance(found["f"], Metadata)
    assert found["f"].entry.mode == 0o700
    assert isinstance(found["f/x"], Unchanged)


def test_a_file_that_took_the_place_of_a_folder_is_read(tmp_path: Path) -> None:
    """What was in the folder is gone."""
    build(tmp_path, {b"f/x": file(), b"f/y": file(), b"g": file()})
    parent = _entries(tmp_path)
    for name in ("x", "y"):
        (tmp_path / "f" / name).unlink()
    (tmp_path / "f").rmdir()
    (tmp_path / "f").touch()
    found, scan = _scan(tmp_path, parent)
    assert isinstance(found["f"], Changed)
    assert scan.gone == 2


def test_the_link_group_is_of_today_even_when_nothing_changed(tmp_path: Path) -> None:
    """It is made of the device number, which a restart may change: an old one could join strangers."""
    build(tmp_path, {b"a": file(b"1"), b"b": Node(link_to=b"a"), b"s": symlink(b"x"), b"t": Node(link_to=b"s")})
    today = _entries(tmp_path)
    parent = [msgspec.structs.replace(entry, link_group=entry.link_group and 77) for entry in today]
    found, _ = _scan(tmp_path, parent)
    assert [each.entry for each in found.values() if isinstance(each, Unchanged | Metadata)] == today


def test_sockets_and_devices_are_recorded_with_a_warning(tmp_path: Path) -> None:
    """There is an entry, and it is said that no more can be done."""
    build(tmp_path, {b"s": Node(kind="socket")})
    found, _ = _scan(tmp_path, [])
    assert isinstance(found["s"], Metadata)
    assert isinstance(found["!s"], WalkWarning)
    assert found["!s"].what == "recorded as a socket; what is behind it cannot be backed up"


def test_what_cannot_be_described_is_a_warning(tmp_path: Path) -> None:
    """And so is each part of its metadata that could not be read."""
    build(tmp_path, {b"s": symlink(b"x"), b"t": symlink(b"y")})

    def describe(item: WalkItem) -> tuple[Entry, tuple[str, ...]]:
        if item.name == b"s":
            raise SourceProblem("is gone")
        return _describe(item)[0], ("an attribute cannot be read",)

    scanned = list(Scan(walk([bytes(tmp_path)], excludes=Excludes()), [], describe=describe))
    warnings = [(each.path[-1:], each.what) for each in scanned if isinstance(each, WalkWarning)]
    assert warnings[1:] == [(b"s", "is gone"), (b"t", "an attribute cannot be read")]
    assert [each.item.name for each in scanned if isinstance(each, Metadata)][1:] == [b"t"]


@given(places=st.lists(strategies.paths(), max_size=20))
def test_the_order_of_the_join_is_that_of_components(places: list[bytes]) -> None:
    """A parent in manifest order is met without loss: each of its entries is either matched or gone."""
    parent = [
        Entry(path=path, kind=0, mode=0, uid=0, gid=0, mtime_ns=0)
        for path in sorted(set(places), key=lambda path: path.split(b"/"))
    ]
    stat = os.stat("/")
    with scratch() as made:
        some = next(iter(walk([bytes(made)], excludes=Excludes())))
    assert isinstance(some, WalkItem)
    items = [WalkItem(entry.path, some.folder, some.name, stat) for entry in parent[::2]]
    scan = Scan(items, parent, describe=lambda item: (parent[0], ()))
    assert len(list(scan)) == len(items)
    assert scan.gone == len(parent) - len(items)


def test_another_inode_is_no_change_where_numbers_are_drawn_anew(tmp_path: Path) -> None:
    """As on a card that was mounted again. Any other change is one there, too; and elsewhere the number counts."""
    build(tmp_path, {b"same": file(b"same"), b"edited": file(b"before"), b"sub": folder()})
    parent = [msgspec.structs.replace(entry, inode=entry.inode + 1_000_000) for entry in _entries(tmp_path)]
    (tmp_path / "edited").write_bytes(b"after!")
    items = list(walk([bytes(tmp_path)], excludes=Excludes()))
    cards = frozenset({tmp_path.stat().st_dev})

    def read_again(renumbering: frozenset[int]) -> list[str]:
        scan = Scan(items, parent, describe=_describe, renumbering=renumbering)
        return [os.fsdecode(each.item.name) for each in scan if isinstance(each, Changed)]

    assert read_again(cards) == ["edited"]
    assert read_again(frozenset()) == ["edited", "same"]
