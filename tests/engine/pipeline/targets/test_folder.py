"""The folder target: what is restored is what was read, whatever stood there before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from engine.base.errors import IntegrityError, NotFound, NotPermitted, WedSyncError
from engine.pipeline.targets import folder as folder_module
from engine.pipeline.targets.files import APPEARED, sync_file_system
from engine.pipeline.targets.folder import Overwrite
from engine.repository.entry import FOLDER, SYMLINK
from tests import strategies
from tests.copying import POLICIES, Read, put, read_all, restore_folder, target_at, warned, write_all
from tests.engine.storage.stores.disks import small_disk
from tests.privileges import IS_ROOT, few_descriptors, plain_user, shared_folder
from tests.strategies import acl
from tests.suites.restore_target import entry
from tests.trees import Node, Tree, build, build_chain, describe, file, folder, remove_chain, scratch, symlink


@given(tree=strategies.trees())
def test_any_tree_comes_back_as_it_was(tree: Tree) -> None:
    """Kinds, modes, owners, times, targets, attributes, hard links, holes and bytes."""
    with scratch() as made:
        source, back = made / "source", made / "back"
        build(source, tree)
        target = restore_folder(source, back)
        assert target.warnings == []
        assert describe(back) == describe(source)


@settings(max_examples=25)
@given(tree=strategies.trees())
def test_any_tree_of_a_plain_user_comes_back_as_it_was(tree: Tree) -> None:
    """Read-only folders and files that nobody may read among them: they are the user's own."""
    with shared_folder() as shared, plain_user():
        build(shared / "source", tree)
        target = restore_folder(shared / "source", shared / "back")
        assert target.warnings == []
        assert describe(shared / "back") == describe(shared / "source")


@settings(max_examples=25)
@given(before=strategies.trees(max_size=5), tree=strategies.trees(max_size=5))
def test_restoring_over_any_tree_changes_only_what_the_policy_allows(before: Tree, tree: Tree) -> None:
    """`never` leaves all that stands; `always` ends with the snapshot, but for what it says it could not do."""
    with scratch() as made:
        source, back = made / "source", made / "back"
        build(source, tree)
        build(back, before)
        stood, wanted = describe(back), describe(source)
        restore_folder(source, back, overwrite="never")
        after = describe(back)
        assert {path: after[path].digest for path in stood} == {path: thing.digest for path, thing in stood.items()}
        assert {path: after[path].mode for path in stood} == {path: thing.mode for path, thing in stood.items()}
        target = restore_folder(source, back, overwrite="always")
        failed = {warning.path[len(bytes(source)) :] for warning in target.warnings}
        final = describe(back)
        for path, thing in wanted.items():
            assert path in failed or final[path].digest == thing.digest
            assert path in failed or (final[path].kind, final[path].mode) == (thing.kind, thing.mode)


@settings(max_examples=20)
@given(tree=strategies.trees())
def test_restoring_again_with_changed_writes_nothing(tree: Tree) -> None:
    """Every file is left as it is, down to its inode."""
    with scratch() as made:
        source, back = made / "source", made / "back"
        build(source, tree)
        restore_folder(source, back)
        inodes = {path: os.lstat(os.path.join(bytes(back), path)).st_ino for path in describe(back)}
        target = restore_folder(source, back, overwrite="changed")
        assert target.warnings == []
        assert describe(back) == describe(source)
        assert {path: os.lstat(os.path.join(bytes(back), path)).st_ino for path in describe(back)} == inodes


def test_the_absolute_path_is_appended_without_a_prefix(tmp_path: Path) -> None:
    """Parents of a source have no entries; they are made."""
    build(tmp_path / "in", {b"a/x": file(b"1")})
    target = target_at(tmp_path / "back")
    write_all(target, read_all(bytes(tmp_path / "in/a")))
    assert target.warnings == []
    assert describe(Path(f"{tmp_path}/back{tmp_path}/in/a")) == describe(tmp_path / "in/a")


def test_what_lies_outside_the_prefix_is_a_warning(tmp_path: Path) -> None:
    """Folders above it are passed over."""
    target = target_at(tmp_path / "back", prefix=b"/a/b/")
    for each in (entry(b"a", FOLDER), entry(b"a/b", FOLDER), entry(b"a/b/c"), entry(b"a/bc"), entry(b"a/b/c/d")):
        put(target, each)
    assert [path for path, _ in warned(target)] == [b"a/bc", b"a/b/c/d"]
    assert (tmp_path / "back/c").is_file()


def test_a_file_that_is_the_prefix_is_a_warning(tmp_path: Path) -> None:
    """Nothing is left to name it by."""
    target = target_at(tmp_path / "back", prefix=b"a")
    assert not put(target, entry(b"a"))
    assert [path for path, _ in warned(target)] == [b"a"]


@pytest.mark.parametrize("overwrite", POLICIES)
@pytest.mark.parametrize("stands", ["same", "longer", "later", "symlink", "fifo", "folder", "full folder"])
def test_what_stands_in_the_place_of_a_file(tmp_path: Path, overwrite: Overwrite, stands: str) -> None:
    """Each policy on each thing that may be there."""
    mtime_ns = 10**18
    nodes: dict[str, Tree] = {
        "same": {b"a": file(b"old", mtime_ns=mtime_ns, mode=0o600)},
        "longer": {b"a": file(b"older", mtime_ns=mtime_ns)},
        "later": {b"a": file(b"old", mtime_ns=mtime_ns + 1)},
        "symlink": {b"a": symlink(b"victim"), b"victim": file(b"kept")},
        "fifo": {b"a": Node(kind="fifo")},
        "folder": {b"a": folder()},
        "full folder": {b"a/x": file()},
    }
    build(tmp_path, nodes[stands])
    before = describe(tmp_path)
    target = target_at(tmp_path, overwrite=overwrite)
    replaced = put(target, entry(b"a", size=3), b"new")
    target.finish()
    after = describe(tmp_path)
    assert after.get(b"victim") == before.get(b"victim")
    expected = {"ask": set(), "never": set(), "changed": {"longer", "later", "symlink", "fifo"}}
    if overwrite == "always":
        assert replaced == (stands != "full folder")
    else:
        assert replaced == (stands in expected[overwrite])
    assert bool(target.warnings) == (not replaced and ("folder" in stands or (overwrite == "ask" and stands != "same")))
    if replaced:
        assert (tmp_path / "a").read_bytes() == b"new"
    elif stands == "same" and overwrite == "changed":
        assert target.kept == 1
        assert after[b"a"].digest == before[b"a"].digest
        assert after[b"a"].mode == 0o644
    else:
        assert after[b"a"] == before[b"a"]


@pytest.mark.parametrize("overwrite", POLICIES)
@pytest.mark.parametrize("stands", [symlink(b"elsewhere"), file(b"x"), Node(kind="fifo")], ids=lambda node: node.kind)
def test_what_stands_in_the_place_of_a_folder(tmp_path: Path, overwrite: Overwrite, stands: Node) -> None:
    """Only `always` takes it away; else all below is warned of, and nothing behind a symlink is touched."""
    build(tmp_path, {b"in/f/x": file(b"1"), b"in/f/g/y": file(b"2"), b"in/z": file(b"3")})
    build(tmp_path, {b"back/f": stands, b"back/elsewhere/x": file(b"kept")})
    elsewhere = describe(tmp_path / "back/elsewhere")
    target = restore_folder(tmp_path / "in", tmp_path / "back", overwrite=overwrite)
    assert describe(tmp_path / "back/elsewhere") == elsewhere
    assert (tmp_path / "back/z").read_bytes() == b"3"
    if overwrite == "always":
        assert target.warnings == []
        assert describe(tmp_path / "back/f") == describe(tmp_path / "in/f")
    else:
        assert [path[len(bytes(tmp_path / "in")) :] for path, _ in warned(target)] == [b"f", b"f/g", b"f/g/y", b"f/x"]
        assert "stands where a folder is to be" in target.warnings[0].what


@pytest.mark.parametrize("again", POLICIES)
def test_a_restore_that_was_killed_leaves_folders_that_the_next_one_finishes(tmp_path: Path, again: Overwrite) -> None:
    """Their modes and times are set last, so no attempt may take them for somebody else's."""
    build(tmp_path / "in", {b"f/x": file(b"1"), b"f": folder(mode=0o750, mtime_ns=5), b"g": folder(mode=0o700)})
    target = target_at(tmp_path / "back", prefix=tmp_path / "in")
    for read in read_all(bytes(tmp_path / "in")):
        put(target, read.entry, read.data)
    target.close()  # no `finish`
    assert describe(tmp_path / "back") != describe(tmp_path / "in")
    assert restore_folder(tmp_path / "in", tmp_path / "back", overwrite=again).warnings == []
    assert describe(tmp_path / "back") == describe(tmp_path / "in")


def test_existing_folders_are_merged(tmp_path: Path) -> None:
    """What else is in them stays; `never` leaves their metadata alone, the others set it."""
    build(tmp_path, {b"in/f/x": file(b"1"), b"in/f": folder(mode=0o750, mtime_ns=5)})
    build(tmp_path, {b"back/f/mine": file(b"2"), b"back/f": folder(mode=0o711)})
    restore_folder(tmp_path / "in", tmp_path / "back")
    assert (tmp_path / "back/f").stat().st_mode & 0o777 == 0o711
    restore_folder(tmp_path / "in", tmp_path / "back", overwrite="changed")
    assert describe(tmp_path / "back")[b"f"] == describe(tmp_path / "in")[b"f"]
    assert (tmp_path / "back/f/mine").read_bytes() == b"2"


@pytest.mark.parametrize(
    "path", [b"", b"/", b"/a", b"a/", b"a//b", b"..", b"../a", b"a/../b", b"a/..", b".", b"a/./b", b"a\0"]
)
def test_a_path_that_could_lead_outside_is_an_integrity_error(tmp_path: Path, path: bytes) -> None:
    """No writer of ours makes one."""
    with pytest.raises(IntegrityError):
        target_at(tmp_path / "back").begin(entry(path))


def test_a_name_that_is_too_long_is_a_warning(tmp_path: Path) -> None:
    """Other file systems allow what this one does not."""
    target = target_at(tmp_path)
    assert not put(target, entry(b"a" * 256))
    assert put(target, entry(b"b"))
    assert warned(target) == [(b"a" * 256, "cannot be restored: file name too long")]


def test_a_path_of_4096_bytes_and_thousands_of_levels_come_back(tmp_path: Path) -> None:
    """Component by component, with few descriptors."""
    build_chain(tmp_path / "long", b"n" * 250, 16)
    depth = (4096 - len(bytes(tmp_path / "deep/end"))) // 2
    build_chain(tmp_path / "deep", b"d", depth)
    try:
        read = read_all(bytes(tmp_path / "deep"), bytes(tmp_path / "long"))
        assert max(len(each.entry.path) for each in read) > 4090
        target = target_at(tmp_path / "back", prefix=tmp_path)
        with few_descriptors(400):
            write_all(target, read)
        assert target.warnings == []
        assert remove_chain(tmp_path / "back/deep", b"d") == depth
        assert remove_chain(tmp_path / "back/long", b"n" * 250) == 16
    finally:
        remove_chain(tmp_path / "deep", b"d")
        remove_chain(tmp_path / "long", b"n" * 250)


def test_hard_links_come_back_and_only_with_their_file(tmp_path: Path) -> None:
    """A name whose first one could not be restored is warned of, also when something else stands there."""
    build(tmp_path, {b"in/a": file(b"1"), b"in/b": Node(link_to=b"in/a"), b"back/a": file(b"stranger")})
    target = target_at(tmp_path / "back", prefix=tmp_path / "in", overwrite="always")
    read = read_all(bytes(tmp_path / "in"))
    writer = target.begin(read[1].entry)
    assert writer is not None
    writer.abort("damaged")
    assert target.begin(read[2].entry) is None
    target.finish()
    assert [what for _, what in warned(target)] == ["damaged", "the file it is a hard link of could not be restored"]
    assert os.listdir(tmp_path / "back") == ["a"]


def test_a_name_is_not_linked_to_a_stranger_that_was_kept(tmp_path: Path) -> None:
    """With `never` the first name may be taken by anything; the second is then a file of its own."""
    build(tmp_path, {b"in/a": file(b"1"), b"in/b": Node(link_to=b"in/a"), b"back/a": file(b"stranger")})
    target = restore_folder(tmp_path / "in", tmp_path / "back")
    assert target.warnings == []
    assert (tmp_path / "back/a").read_bytes() == b"stranger"
    assert (tmp_path / "back/b").read_bytes() == b"1"


def test_a_link_group_of_different_contents_is_not_joined(tmp_path: Path) -> None:
    """Whatever the numbers say, no file is given the bytes of another."""
    target = target_at(tmp_path)
    assert put(target, entry(b"a", size=1, link_group=7, hash=b"1" * 32), b"1")
    assert put(target, entry(b"b", size=1, link_group=7, hash=b"2" * 32), b"2")
    target.finish()
    assert (tmp_path / "b").read_bytes() == b"2"


def test_a_socket_is_a_warning(tmp_path: Path) -> None:
    """Its program makes a new one."""
    build(tmp_path / "in", {b"s": Node(kind="socket")})
    target = restore_folder(tmp_path / "in", tmp_path / "back")
    assert [what for _, what in warned(target)] == ["is a socket, which only its own program can make"]


def test_devices_need_root(tmp_path: Path) -> None:
    """Root gets the node, a plain user a warning."""
    device = Read(entry(b"null", 5, mode=0o640, device=os.makedev(1, 3)))
    with shared_folder() as shared:
        with plain_user():
            target = target_at(shared / "back")
            write_all(target, [device])
            assert [what for _, what in warned(target)] == ["cannot be restored: operation not permitted"]
        target = target_at(tmp_path / "back")
        write_all(target, [device])
        made = describe(tmp_path / "back").get(b"null")
        if made is not None:
            assert IS_ROOT
            assert (made.kind, made.mode, made.device) == ("character device", 0o640, os.makedev(1, 3))
        assert bool(target.warnings) == (made is None)  # root of a container may not be allowed to, either


def test_a_root_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """A file in its place, or no right to make it."""
    (tmp_path / "file").touch()
    for impossible in ("file", "file/below"):
        with pytest.raises(NotFound):
            target_at(tmp_path / impossible)
    with shared_folder() as shared:
        build(shared, {b"shut": folder(mode=0o555)})
        with plain_user(), pytest.raises(NotPermitted):
            target_at(shared / "shut/back")


def test_a_folder_that_denies_writing_is_a_warning_for_what_is_in_it() -> None:
    """Somebody else's folder; the restore goes on."""
    with shared_folder() as shared:
        readable = file(mode=0o644)
        build(shared, {b"back/theirs/x": file(), b"in/theirs/y": readable, b"in/z": readable})
        os.chmod(shared / "back", 0o777)
        with plain_user():
            target = restore_folder(shared / "in", shared / "back", overwrite="never")
            failed = [path.rpartition(b"/")[2] for path, _ in warned(target)]
        assert failed == ([b"y"] if IS_ROOT else [])
        assert (shared / "back/z").exists()


def test_a_read_only_folder_of_ones_own_is_written_to_and_read_only_again() -> None:
    """A restore that was cut off after it had set the mode goes on."""
    with shared_folder() as shared, plain_user():
        build(shared, {b"in/f/x": file(b"1"), b"in/f": folder(mode=0o555)})
        restore_folder(shared / "in", shared / "back")
        os.chmod(shared / "back/f", 0o755)
        os.unlink(shared / "back/f/x")
        os.chmod(shared / "back/f", 0o555)
        target = restore_folder(shared / "in", shared / "back", overwrite="changed")
        assert target.warnings == []
        assert describe(shared / "back") == describe(shared / "in")


def test_a_symlink_keeps_its_place_when_it_is_the_same(tmp_path: Path) -> None:
    """`changed` compares targets; another one is replaced."""
    build(tmp_path, {b"in/a": symlink(b"x", mtime_ns=5), b"in/b": symlink(b"y")})
    build(tmp_path, {b"back/a": symlink(b"x"), b"back/b": symlink(b"other")})
    inode = (tmp_path / "back/a").lstat().st_ino
    target = restore_folder(tmp_path / "in", tmp_path / "back", overwrite="changed")
    assert target.kept == 1
    assert (tmp_path / "back/a").lstat().st_ino == inode
    assert describe(tmp_path / "back") == describe(tmp_path / "in")


def test_an_empty_symlink_target_is_a_warning(tmp_path: Path) -> None:
    """The system makes no such thing."""
    target = target_at(tmp_path)
    target.begin(entry(b"a", SYMLINK))
    assert [path for path, _ in warned(target)] == [b"a"]


def test_acls_of_folders_do_not_rub_off(tmp_path: Path) -> None:
    """What a default ACL gives to new things is taken away again where the snapshot has none."""
    default = {b"system.posix_acl_default": acl(user=1)}
    build(tmp_path, {b"in/f/x": file(b"1"), b"in/f/g": folder(), b"in/f": folder()})
    build(tmp_path, {b"back/f": folder(xattrs=default)})
    restore_folder(tmp_path / "in", tmp_path / "back", overwrite="changed")
    assert describe(tmp_path / "back") == describe(tmp_path / "in")


def test_what_is_restored_is_on_the_disk_before_a_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync of the file system for all files, and one for the folders' metadata; not one a small file."""
    build(tmp_path / "in", {b"f": folder(mode=0o750), b"f/a": file(b"1"), b"f/b": file(b"2")})
    states: list[tuple[list[str], int]] = []

    def noting(fd: int) -> None:
        sync_file_system(fd)
        made = tmp_path / "back/f"
        states.append((sorted(os.listdir(made)), made.stat().st_mode & 0o7777))

    monkeypatch.setattr(folder_module, "sync_file_system", noting)
    restore_folder(tmp_path / "in", tmp_path / "back")
    assert [names for names, _ in states] == [["a", "b"]] * 2
    assert states[0][1] != 0o750
    assert states[1][1] == 0o750


def test_each_disk_that_was_restored_to_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a whole system is restored in place, and its homes are a disk of their own."""
    build(tmp_path / "in", {b"f/a": file(b"1"), b"homes/a": file(b"2"), b"homes/f/b": file(b"3")})
    (tmp_path / "back").mkdir()
    synced: list[int] = []
    monkeypatch.setattr(folder_module, "sync_file_system", lambda fd: synced.append(os.fstat(fd).st_dev))
    with small_disk(tmp_path / "back/homes", size_bytes=1 << 20) as homes:
        restore_folder(tmp_path / "in", tmp_path / "back", overwrite="changed")
        disks = {os.stat(path).st_dev for path in (tmp_path / "back", homes)}
        assert sorted(synced) == sorted([*disks, *disks])


def test_a_disk_that_fails_when_it_is_synced_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that a restore is done whose bytes never arrived."""
    build(tmp_path / "in", {b"a": file(b"1")})

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder_module, "sync_file_system", failing)
    with pytest.raises(WedSyncError, match="may not all have reached the disk: input/output error"):
        restore_folder(tmp_path / "in", tmp_path / "back")


def test_a_descriptor_that_is_none_cannot_be_synced() -> None:
    """The system's refusal arrives as what it is."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync_file_system(-1)


def test_in_a_new_folder_nothing_is_looked_for_and_nothing_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody puts there meanwhile stays, whatever the policy; a folder that stood before is looked into."""
    build(tmp_path / "in", {b"f/a": file(b"ours"), b"g/a": file(b"ours")})
    build(tmp_path / "back", {b"g/a": file(b"theirs")})
    looked: list[bytes] = []
    lstat = folder_module._lstat

    def noting(folder_fd: int, name: bytes) -> os.stat_result | None:
        looked.append(name)
        return lstat(folder_fd, name)

    monkeypatch.setattr(folder_module, "_lstat", noting)
    target = target_at(tmp_path / "back", prefix=tmp_path / "in", overwrite="always")
    for read in read_all(bytes(tmp_path / "in")):
        if read.entry.path.endswith(b"f/a"):
            (tmp_path / "back/f/a").write_bytes(b"somebody's")
        writer = target.begin(read.entry)
        if writer is not None:
            writer.write_at(0, memoryview(read.data))
            writer.commit()
    target.finish()
    assert looked == [b"f", b"g", b"a"]
    assert [warning.what for warning in target.warnings] == [APPEARED]
    assert (tmp_path / "back/f/a").read_bytes() == b"somebody's"
    assert (tmp_path / "back/g/a").read_bytes() == b"ours"
