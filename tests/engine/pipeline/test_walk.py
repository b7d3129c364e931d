"""The walk: everything that stands there, once, in order, and nothing from elsewhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given

from engine.base.errors import NotFound, UsageError
from engine.pipeline.excludes import Excludes
from engine.pipeline.walk import WalkItem, WalkWarning, check_sources, normal_sources, walk
from tests import strategies
from tests.privileges import few_descriptors, plain_user, shared_folder
from tests.trees import Node, Tree, build, build_chain, describe, file, folder, remove_chain, scratch, symlink


def _walk(
    root: Path, *sources: str, excludes: Sequence[str] = (), one_file_system: bool = False
) -> list[WalkItem | WalkWarning]:
    paths = [bytes(root / source) for source in sources or ("",)]
    return list(walk(paths, excludes=Excludes(excludes), one_file_system=one_file_system))


def _seen(root: Path, *sources: str, excludes: Sequence[str] = ()) -> list[str]:
    """Paths relative to `root`, of items only; a warning fails."""
    found = _walk(root, *sources, excludes=excludes)
    assert [each for each in found if isinstance(each, WalkWarning)] == []
    return [os.path.relpath(os.fsdecode(b"/" + each.path), root) for each in found]


@given(tree=strategies.trees())
def test_everything_is_seen_once_in_manifest_order(tree: Tree) -> None:
    """By path component, bytewise, a folder before what it holds."""
    with scratch() as made:
        root = made / "root"
        build(root, tree)
        paths = [each.path for each in _walk(root)]
        base = bytes(root)[1:]
        assert sorted(paths, key=lambda path: path.split(b"/")) == paths
        assert set(paths) == {base + b"/" * bool(path) + path for path in describe(root)}
        assert len(set(paths)) == len(paths)


def test_a_dash_sorts_after_what_is_inside_a_folder(tmp_path: Path) -> None:
    """Components decide, not the bytes of the whole path, in which `-` comes before `/`."""
    build(tmp_path, {b"a/z": file(), b"a-b": file(), b"a.txt": file()})
    assert _seen(tmp_path) == [".", "a", "a/z", "a-b", "a.txt"]


def test_several_sources_become_one_tree(tmp_path: Path) -> None:
    """Sorted, without parents, each thing once, whichever way it was named."""
    build(tmp_path, {b"b/x": file(), b"a/deep/y": file(), b"a/other": file(), b"c": file()})
    assert _seen(tmp_path, "b", "c", "a/deep", "b/x", "b/.") == ["a/deep", "a/deep/y", "b", "b/x", "c"]


def test_a_source_inside_an_excluded_folder_is_walked_all_the_same(tmp_path: Path) -> None:
    """What somebody named is never left out because of another name."""
    build(tmp_path, {b"a/cache/keep/x": file(), b"a/cache/lost": file(), b"a/y": file()})
    assert _seen(tmp_path, "a", "a/cache/keep", excludes=["cache"]) == ["a", "a/cache/keep", "a/cache/keep/x", "a/y"]


def test_a_source_inside_another_adds_and_never_takes_away(tmp_path: Path) -> None:
    """An anchored pattern leaves out below the inner source only what the outer one leaves out, too."""
    build(tmp_path, {b"a/b/c": file(), b"a/c": file()})
    assert _seen(tmp_path, "a", excludes=["/c"]) == ["a", "a/b", "a/b/c"]
    assert _seen(tmp_path, "a", "a/b", excludes=["/c"]) == ["a", "a/b", "a/b/c"]


def test_a_symlink_as_source_is_recorded_as_one(tmp_path: Path) -> None:
    """What it points to is not followed, while symlinks above a source are."""
    build(tmp_path, {b"real/inside": file(), b"link": symlink(b"real")})
    assert _seen(tmp_path, "link") == ["link"]
    assert _seen(tmp_path, "link/inside") == ["link/inside"]


def test_the_root_itself_has_no_entry() -> None:
    """Its path would be empty; what is in it begins without a slash."""
    first = next(iter(walk([b"/"], excludes=Excludes())))
    assert first.path
    assert b"/" not in first.path


@pytest.mark.parametrize("source", ["", "relative/path", "/a/../b", "/a\0b"])
def test_a_source_that_is_no_plain_absolute_path_is_a_usage_error(source: str) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError):
        check_sources([os.fsencode(source)])


def test_no_source_is_a_usage_error() -> None:
    """There would be nothing to do."""
    with pytest.raises(UsageError):
        check_sources([])


def test_a_missing_source_is_not_found(tmp_path: Path) -> None:
    """Also one below a file."""
    build(tmp_path, {b"file": file()})
    check_sources([bytes(tmp_path), bytes(tmp_path / "file")])
    for missing in ("nowhere", "file/below"):
        with pytest.raises(NotFound, match=missing):
            check_sources([bytes(tmp_path / missing)])


def test_a_source_behind_a_symlink_inside_another_is_refused(tmp_path: Path) -> None:
    """A restored tree could not hold the symlink and, in its place, what is behind it."""
    build(tmp_path, {b"a/link": symlink(b"../b"), b"b/x": file()})
    check_sources([bytes(tmp_path / "a/link/x")])
    with pytest.raises(UsageError, match="symlink"):
        check_sources([bytes(tmp_path / "a"), bytes(tmp_path / "a/link/x")])


def test_sources_are_normalised_and_sorted() -> None:
    """Doubled slashes, dots and doubles go; the order is that of the manifest."""
    assert normal_sources([b"/b/", b"//a//./c", b"/a-b", b"/b"]) == (b"/a/c", b"/a-b", b"/b")


def test_a_folder_that_cannot_be_read_is_a_warning() -> None:
    """It is recorded itself, and the walk goes on."""
    with shared_folder() as shared, plain_user():
        build(shared, {b"shut/x": file(), b"shut": folder(mode=0), b"z": file()})
        found = _walk(shared)
        assert [each.path.rpartition(b"/")[2] for each in found] == [b"shared", b"shut", b"shut", b"z"]
        assert found[2] == WalkWarning(found[1].path, "its contents cannot be read: permission denied")
        os.chmod(shared / "shut", 0o700)


def test_a_source_in_a_folder_that_cannot_be_listed_is_read() -> None:
    """Only the way to it must be open."""
    with shared_folder() as shared:
        build(shared, {b"home/me/x": file(), b"home": folder(mode=0o311)})
        with plain_user():
            assert _seen(shared, "home/me") == ["home/me", "home/me/x"]


def test_what_vanishes_during_the_walk_is_a_warning(tmp_path: Path) -> None:
    """A name that was listed and is gone."""
    build(tmp_path, {b"a": file(), b"b": file(), b"c": file()})
    walking = walk([bytes(tmp_path)], excludes=Excludes())
    next(walking), next(walking)
    (tmp_path / "b").unlink()
    rest = list(walking)
    assert rest[0] == WalkWarning(bytes(tmp_path / "b")[1:], "vanished while the backup looked at it")
    assert [each.path.rpartition(b"/")[2] for each in rest] == [b"b", b"c"]


def test_a_symlink_put_in_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    """Between the look at the folder and its opening."""
    build(tmp_path, {b"in/a/x": file(), b"in/b": file(), b"out/secret": file()})
    found: list[WalkItem | WalkWarning] = []
    for each in walk([bytes(tmp_path / "in")], excludes=Excludes()):
        found.append(each)
        if each.path.endswith(b"/a") and isinstance(each, WalkItem):
            (tmp_path / "in/a").rename(tmp_path / "moved")
            (tmp_path / "in/a").symlink_to("../out")
    assert [each.path.rpartition(b"/")[2] for each in found] == [b"in", b"a", b"a", b"b"]
    assert isinstance(found[2], WalkWarning)


def test_a_folder_that_is_moved_away_while_it_is_read_is_read_on(tmp_path: Path) -> None:
    """It is held by descriptor; what stands in its place now is not looked at."""
    build(tmp_path, {b"in/a/x": file(), b"in/a/y": file(), b"out/y": file(b"secret")})
    found: list[WalkItem | WalkWarning] = []
    for each in walk([bytes(tmp_path / "in")], excludes=Excludes()):
        found.append(each)
        if each.path.endswith(b"/x"):
            (tmp_path / "in/a").rename(tmp_path / "moved")
            (tmp_path / "in/a").symlink_to("../out")
    last = found[-1]
    assert isinstance(last, WalkItem)
    assert last.stat.st_ino == (tmp_path / "moved/y").stat().st_ino


def test_thousands_of_levels_need_few_descriptors(tmp_path: Path) -> None:
    """No recursion, no path longer than a name, and folders that were closed are found again on the way up."""
    depth = (4096 - len(bytes(tmp_path / "a/end")[1:])) // 2
    build_chain(tmp_path / "a", b"d", depth)
    (tmp_path / "a/zz").touch()
    try:
        with few_descriptors(400):
            found = _walk(tmp_path, "a")
        assert [each for each in found if isinstance(each, WalkWarning)] == []
        assert len(found) == depth + 3
        assert found[-1].path.endswith(b"a/zz")
    finally:
        assert remove_chain(tmp_path / "a", b"d") == depth


def test_a_path_over_the_limit_is_a_warning(tmp_path: Path) -> None:
    """It is left out with all below it; what comes after is seen."""
    build_chain(tmp_path / "a", b"d" * 200, 22)
    (tmp_path / "b").touch()
    try:
        found = _walk(tmp_path)
        long = [each for each in found if len(each.path) > 4096]
        assert [type(each) for each in long] == [WalkWarning]
        assert found[-1].path.endswith(b"/b")
        assert len(found) == 3 + len([each for each in found if b"ddd" in each.path])
    finally:
        remove_chain(tmp_path / "a", b"d" * 200)


def test_the_repository_is_never_entered(tmp_path: Path) -> None:
    """Neither recorded nor read, wherever it lies in the source."""
    build(tmp_path, {b"a/repository/pack": file(), b"b": file()})
    stat = (tmp_path / "a/repository").stat()
    found = walk([bytes(tmp_path)], excludes=Excludes(), skip=frozenset({(stat.st_dev, stat.st_ino)}))
    assert [each.path.rpartition(b"/")[2] for each in found][1:] == [b"a", b"b"]


def _a_mount_point() -> Path:
    """A folder on another file system than the one above it, which holds few things."""
    for path in map(Path, ("/dev/mqueue", "/dev/shm", "/dev/pts")):
        if path.is_dir() and path.stat().st_dev != path.parent.stat().st_dev:
            return path
    raise AssertionError("a machine has at least one file system mounted below /dev")


def test_one_file_system_stops_at_a_mount_point() -> None:
    """It is recorded, not entered; a source of its own inside is walked by its own file system."""
    mount = _a_mount_point()
    with tempfile.NamedTemporaryFile(dir=mount) if os.access(mount, os.W_OK) else open(os.devnull) as inside:
        walked = walk([bytes(mount.parent)], excludes=Excludes(), one_file_system=True)
        paths = {each.path for each in walked if isinstance(each, WalkItem)}
        assert bytes(mount)[1:] in paths
        assert not any(path.startswith(bytes(mount)[1:] + b"/") for path in paths)
        both = walk([bytes(mount.parent), bytes(mount)], excludes=Excludes(), one_file_system=True)
        within = {each.path for each in both}
        assert os.fsencode(inside.name)[1:] in within


def test_ignore_files_count_below_their_folder(tmp_path: Path) -> None:
    """They are recorded themselves; patterns of the request win over them."""
    build(
        tmp_path,
        {
            b".wedsyncignore": file(b"*.tmp\n/only-here\nsub/cache/\n"),
            b"a.tmp": file(),
            b"only-here": file(),
            b"sub/.wedsyncignore": file(b"!keep.tmp\n"),
            b"sub/cache/x": file(),
            b"sub/keep.tmp": file(),
            b"sub/only-here": file(),
            b"sub/lost.tmp": file(),
        },
    )
    assert _seen(tmp_path) == [
        ".", ".wedsyncignore", "sub", "sub/.wedsyncignore", "sub/keep.tmp", "sub/only-here",
    ]  # fmt: skip
    assert "sub/keep.tmp" not in _seen(tmp_path, excludes=["*.tmp"])
    assert "a.tmp" in _seen(tmp_path, excludes=["!*.tmp"])


@pytest.mark.parametrize("kind", ["symlink", "large", "fifo", "folder"])
def test_an_ignore_file_that_cannot_be_used_is_a_warning(tmp_path: Path, kind: str) -> None:
    """Nothing is left out because of it."""
    unusable = {
        "symlink": symlink(b"patterns"),
        "large": file(b"a\n" * (1 << 19) + b"b"),
        "fifo": Node(kind="fifo"),
        "folder": folder(),
    }
    before = len(os.listdir("/proc/self/fd"))
    build(tmp_path, {b"patterns": file(b"*\n"), b"a": file(), b".wedsyncignore": unusable[kind]})
    found = _walk(tmp_path)
    warnings = [each for each in found if isinstance(each, WalkWarning)]
    assert [each.path.rpartition(b"/")[2] for each in warnings] == [b".wedsyncignore"]
    assert {b"a", b"patterns"} <= {each.path.rpartition(b"/")[2] for each in found}
    del found
    assert len(os.listdir("/proc/self/fd")) == before
