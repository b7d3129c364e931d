"""One thing of the source, read: its bytes, its metadata, and what happens when it changes under the reader."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.pipeline.excludes import Excludes
from engine.pipeline.extents import ALL_HOLE
from engine.pipeline.source import EXTENTS_MAX, SourceFile, SourceProblem, entry_of, entry_of_file, link_group
from engine.pipeline.walk import WalkItem, walk
from engine.repository.entry import CHARACTER_DEVICE, FIFO, FILE, FOLDER, SOCKET, SYMLINK, Entry
from tests.privileges import IS_ROOT, plain_user, shared_folder
from tests.strategies import acl
from tests.trees import Node, Tree, build, describe, file, folder, symlink

KIB = 1024
LATER_NS = 5_000_000_000 * 10**9


def _items(root: Path, tree: Tree) -> dict[bytes, WalkItem]:
    """Build `tree` and walk it: items by path relative to `root`."""
    build(root, tree)
    found = {}
    for item in walk([bytes(root)], excludes=Excludes()):
        assert isinstance(item, WalkItem)
        found[item.path[len(bytes(root)) :]] = item
    return found


def _item(root: Path, node: Node) -> WalkItem:
    return _items(root, {b"it": node})[b"it"]


def _entry(item: WalkItem) -> Entry:
    entry, problems = entry_of(item, now_ns=LATER_NS)
    assert problems == ()
    return entry


def _read(source: SourceFile, size: int, offset: int = 0) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: source.read_into(memoryview(buffer), offset)])


def test_a_file_is_read_piece_by_piece(tmp_path: Path) -> None:
    """From any offset; the end of the file cuts the last piece short."""
    with SourceFile(_item(tmp_path, file(b"0123456789"))) as source:
        assert source.extents == ()
        assert source.data_bytes == 10
        assert [_read(source, 4, offset) for offset in (0, 4, 8, 12)] == [b"0123", b"4567", b"89", b""]


def test_holes_are_not_part_of_the_data_stream(tmp_path: Path) -> None:
    """Data runs come one after the other, also within one read."""
    block = 64 * KIB
    node = Node(data=((0, b"a" * block), (4 * block, b"b" * block)), size=8 * block)
    with SourceFile(_item(tmp_path, node)) as source:
        assert source.extents == ((0, block), (4 * block, block))
        assert source.data_bytes == 2 * block
        assert _read(source, 4 * block) == b"a" * block + b"b" * block
        assert _read(source, 10, block - 5) == b"a" * 5 + b"b" * 5


def test_a_file_that_is_one_hole_has_no_data(tmp_path: Path) -> None:
    """A terabyte of nothing is read in no time."""
    with SourceFile(_item(tmp_path, Node(size=1 << 40))) as source:
        assert source.extents == ALL_HOLE
        assert source.data_bytes == 0
        assert _read(source, 10) == b""


def test_a_file_of_very_many_holes_keeps_its_largest(tmp_path: Path) -> None:
    """An entry stays small; what is given up is read as zeros, and no byte of data is lost."""
    step, large = 8 * KIB, 1024 * KIB
    runs = [(number * step, b"x") for number in range(EXTENTS_MAX + 50)]
    runs += [(runs[-1][0] + large, b"y")]
    with SourceFile(_item(tmp_path, Node(data=tuple(runs)))) as source:
        assert len(source.extents) == EXTENTS_MAX
        assert source.extents[-1][0] == runs[-1][0]
        stream = _read(source, source.data_bytes)
        assert stream.count(b"x") == len(runs) - 1
        assert stream.count(b"y") == 1


def test_of_holes_of_one_size_only_as_many_are_given_up_as_must_be(tmp_path: Path) -> None:
    """As an image of a disk has them: to fill every one of them would double the file."""
    runs = [(number * 8 * KIB, b"x") for number in range(EXTENTS_MAX + 50)]
    with SourceFile(_item(tmp_path, Node(data=tuple(runs)))) as source:
        assert len(source.extents) == EXTENTS_MAX


def test_a_file_that_shrinks_ends_early(tmp_path: Path) -> None:
    """And has changed."""
    item = _item(tmp_path, file(b"0123456789"))
    with SourceFile(item) as source:
        assert not source.changed()
        os.truncate(tmp_path / "it", 4)
        assert _read(source, 10) == b"0123"
        assert source.changed()


def test_a_file_that_grows_is_read_to_its_first_size(tmp_path: Path) -> None:
    """And has changed."""
    item = _item(tmp_path, file(b"0123"))
    with SourceFile(item) as source:
        with (tmp_path / "it").open("ab") as more:
            more.write(b"4567")
        assert _read(source, 10) == b"0123"
        assert source.changed()


def test_a_change_of_mode_is_a_change(tmp_path: Path) -> None:
    """Metadata is read with the contents and must be of the same moment."""
    with SourceFile(_item(tmp_path, file(b"x", mode=0o644))) as source:
        (tmp_path / "it").chmod(0o600)
        assert source.changed()


@pytest.mark.parametrize("becomes", ["symlink", "fifo", "folder", "nothing"])
def test_a_file_that_becomes_something_else_is_a_problem(tmp_path: Path, becomes: str) -> None:
    """Never followed, never waited for."""
    item = _item(tmp_path, file(b"x"))
    (tmp_path / "it").unlink()
    if becomes == "symlink":
        (tmp_path / "it").symlink_to("/etc/passwd")
    elif becomes == "fifo":
        os.mkfifo(tmp_path / "it")
    elif becomes == "folder":
        (tmp_path / "it").mkdir()
    with pytest.raises(SourceProblem) as caught:
        SourceFile(item)
    assert caught.value.what.startswith("vanished" if becomes == "nothing" else "became something else")


def test_a_file_replaced_by_another_is_read_as_the_other(tmp_path: Path) -> None:
    """As editors save: contents and metadata are both the new one's."""
    item = _item(tmp_path, file(b"old", mode=0o600))
    (tmp_path / "new").write_bytes(b"newer")
    (tmp_path / "new").chmod(0o640)
    (tmp_path / "new").rename(tmp_path / "it")
    with SourceFile(item) as source:
        entry, _ = entry_of_file(item.path, source, now_ns=LATER_NS)
        assert _read(source, 10) == b"newer"
    assert (entry.size, entry.mode, entry.inode) == (5, 0o640, (tmp_path / "it").stat().st_ino)


def test_a_file_that_may_not_be_read_is_a_problem() -> None:
    """With the reason in the system's words."""
    with shared_folder() as shared, plain_user():
        with pytest.raises(SourceProblem) as caught:
            SourceFile(_item(shared, file(b"x", mode=0)))
        assert caught.value.what == "cannot be read: permission denied"


def test_a_file_of_somebody_else_is_read_though_its_time_of_access_moves() -> None:
    """O_NOATIME is for owners; others read without it."""
    with shared_folder() as shared:
        item = _item(shared, file(b"x", mode=0o644))
        with plain_user(), SourceFile(item) as source:
            assert _read(source, 1) == b"x"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    """Neither after a close, nor after a problem."""
    item = _item(tmp_path, file(b"x"))
    before = len(os.listdir("/proc/self/fd"))
    source = SourceFile(item)
    source.close()
    source.close()
    (tmp_path / "it").unlink()
    os.mkfifo(tmp_path / "it")
    with pytest.raises(SourceProblem):
        SourceFile(item)
    assert len(os.listdir("/proc/self/fd")) == before


def test_every_kind_is_recorded_as_what_it_is(tmp_path: Path) -> None:
    """With what belongs to the kind, and nothing else."""
    items = _items(
        tmp_path,
        {
            b"folder": folder(mode=0o2755, mtime_ns=-1_500_000_000),
            b"link": symlink(b"to\xff nowhere", mtime_ns=7),
            b"fifo": Node(kind="fifo", mode=0o640),
            b"socket": Node(kind="socket"),
        },
    )
    entries = {path: _entry(item) for path, item in items.items()}
    assert {path: entry.kind for path, entry in entries.items()} == {
        b"": FOLDER, b"folder": FOLDER, b"link": SYMLINK, b"fifo": FIFO, b"socket": SOCKET,
    }  # fmt: skip
    assert (entries[b"folder"].mode, entries[b"folder"].mtime_ns) == (0o2755, -1_500_000_000)
    assert (entries[b"link"].target, entries[b"link"].mtime_ns) == (b"to\xff nowhere", 7)
    assert all(entry.size == 0 and entry.device == 0 for entry in entries.values())
    assert entries[b"fifo"].uid == os.geteuid()


def test_a_device_is_recorded_with_its_number() -> None:
    """Without opening it."""
    for item in walk([b"/dev/null"], excludes=Excludes()):
        assert isinstance(item, WalkItem)
        entry = _entry(item)
        assert (entry.kind, entry.device) == (CHARACTER_DEVICE, os.stat("/dev/null").st_rdev)


def test_extended_attributes_and_acls_are_sorted_bytes(tmp_path: Path) -> None:
    """Of files and folders, default ACLs among them."""
    items = _items(
        tmp_path,
        {
            b"file": file(
                mode=0o754, xattrs={b"user.b": b"\0\xff", b"user.a": b"", b"system.posix_acl_access": acl(user=1)}
            ),
            b"folder": folder(xattrs={b"system.posix_acl_default": acl(user=2)}),
        },
    )
    with SourceFile(items[b"file"]) as source:
        entry, problems = entry_of_file(items[b"file"].path, source, now_ns=LATER_NS)
    assert problems == ()
    assert entry.xattrs == (
        (b"system.posix_acl_access", acl(user=1)),
        (b"user.a", b""),
        (b"user.b", b"\0\xff"),
    )
    assert entry.mode == 0o754
    assert _entry(items[b"folder"]).xattrs == ((b"system.posix_acl_default", acl(user=2)),)


if IS_ROOT:

    def test_attributes_of_a_symlink_are_its_own(tmp_path: Path) -> None:
        """Not those of what it points to."""
        build(tmp_path, {b"to": file(xattrs={b"user.a": b"1"})})
        item = _item(tmp_path, symlink(b"to", xattrs={b"trusted.mine": b"2"}))
        assert _entry(item).xattrs == describe(tmp_path)[b"it"].xattrs
        assert b"user.a" not in dict(_entry(item).xattrs)


def test_a_fresh_ctime_is_not_trusted(tmp_path: Path) -> None:
    """What was changed within the last second may change once more without a trace."""
    item = _item(tmp_path, folder())
    ctime_ns = item.stat.st_ctime_ns
    for now_ns, kept in ((ctime_ns + 10**9 + 1, True), (ctime_ns + 10**9, False), (ctime_ns - 10**12, False)):
        entry, _ = entry_of(item, now_ns=now_ns)
        assert entry.ctime_ns == (ctime_ns if kept else 0)


def test_names_of_one_inode_share_a_link_group(tmp_path: Path) -> None:
    """A single name has none, nor has a folder, whose links are its own business."""
    items = _items(
        tmp_path,
        {
            b"a": file(b"1"),
            b"b": Node(link_to=b"a"),
            b"c": file(),
            b"d": symlink(b"x"),
            b"e": Node(link_to=b"d"),
            b"f/g": folder(),
        },
    )
    groups = {path: link_group(item.stat) for path, item in items.items()}
    assert groups[b"a"] == groups[b"b"] > 0
    assert groups[b"d"] == groups[b"e"] > 0
    assert groups[b"a"] != groups[b"d"]
    assert groups[b"c"] == groups[b"f"] == groups[b""] == 0
    assert max(groups.values()) < 2**63


def test_a_thing_that_becomes_another_kind_is_a_problem(tmp_path: Path) -> None:
    """The entry must be of what the walk announced."""
    item = _item(tmp_path, symlink(b"x"))
    (tmp_path / "it").unlink()
    (tmp_path / "it").mkdir()
    with pytest.raises(SourceProblem, match="became something else"):
        entry_of(item, now_ns=LATER_NS)
    (tmp_path / "it").rmdir()
    with pytest.raises(SourceProblem, match="vanished"):
        entry_of(item, now_ns=LATER_NS)


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    """Of size 0, without extents."""
    item = _item(tmp_path, file())
    with SourceFile(item) as source:
        entry, _ = entry_of_file(item.path, source, now_ns=LATER_NS)
    assert (entry.kind, entry.size, entry.extents) == (FILE, 0, ())
