"""Files of a restored folder while they are written: no name before they are whole, nothing left when they are not."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from engine.base.errors import LimitReached, NotPermitted, WedSyncError
from engine.pipeline.targets import files
from engine.pipeline.targets.folder import Overwrite
from tests.copying import POLICIES, put, read_all, target_at, warned, write_all
from tests.engine.storage.stores.disks import small_disk
from tests.suites.restore_target import entry
from tests.trees import Node, build, describe, file, symlink

MIB = 1 << 20


def test_parts_may_come_in_any_order_and_from_any_thread(tmp_path: Path) -> None:
    """Several files at once; a hole is what nobody wrote."""
    target = target_at(tmp_path)
    first = target.begin(entry(b"a", size=3 * MIB))
    second = target.begin(entry(b"b", size=2 * MIB, extents=((MIB, MIB),)))
    assert first is not None
    assert second is not None
    for number in (2, 0, 1):
        first.write_at(number * MIB, memoryview(bytes([number]) * MIB))
    second.write_at(MIB, memoryview(b"x" * MIB))
    assert second.commit()
    assert first.commit()
    target.finish()
    assert (tmp_path / "a").read_bytes() == b"".join(bytes([number]) * MIB for number in range(3))
    assert describe(tmp_path)[b"b"].data_map == ((MIB, MIB),)


def test_a_file_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    """Neither its own nor a temporary one, where the file system can do that."""
    target = target_at(tmp_path)
    writer = target.begin(entry(b"a", size=1))
    assert writer is not None
    writer.write_at(0, memoryview(b"x"))
    assert os.listdir(tmp_path) == []
    assert writer.commit()
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("overwrite", POLICIES)
def test_a_file_system_without_unnamed_files_gets_temporary_names(tmp_path: Path, overwrite: Overwrite) -> None:
    """The same restore; what is given up leaves nothing behind."""
    build(tmp_path / "in", {b"f/a": file(b"1"), b"f/b": Node(link_to=b"f/a"), b"f/c": symlink(b"x"), b"f/d": file()})
    target = target_at(tmp_path / "back", prefix=tmp_path / "in", overwrite=overwrite)
    target._placer._unnamed = False
    writer = target.begin(entry(bytes(tmp_path / "in/x")[1:]))
    assert writer is not None
    writer.write_at(0, memoryview(b""))
    assert os.listdir(tmp_path / "back")[0].startswith(".wedsync-")
    writer.abort("given up")
    write_all(target, read_all(bytes(tmp_path / "in")))
    assert describe(tmp_path / "back") == describe(tmp_path / "in")


@pytest.mark.parametrize("is_one_step", [True, False])
def test_without_hard_links_nothing_is_replaced_that_appeared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_one_step: bool
) -> None:
    """FAT has none, and there A.jpg and a.jpg are one name: the second of them is a warning, the first stays."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "operation not permitted")

    target = target_at(tmp_path)
    target._placer._unnamed = False
    monkeypatch.setattr(os, "link", refuse)
    if not is_one_step:
        monkeypatch.setattr(files, "_renameat2", None)
    first, second = target.begin(entry(b"a", size=1)), target.begin(entry(b"b", size=1))
    assert first is not None
    assert second is not None
    (tmp_path / "b").write_bytes(b"another")
    for writer in (first, second):
        writer.write_at(0, memoryview(b"x"))
    assert (first.commit(), second.commit()) == (True, False)
    target.finish()
    assert warned(target) == [(b"b", "something appeared in its place during the restore and was left there")]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"x", "b": b"another"}


def test_an_aborted_file_leaves_what_stood_there(tmp_path: Path) -> None:
    """With the warning it was aborted with."""
    (tmp_path / "a").write_bytes(b"old")
    target = target_at(tmp_path, overwrite="always")
    writer = target.begin(entry(b"a", size=3))
    assert writer is not None
    writer.write_at(0, memoryview(b"new"))
    writer.abort("its contents are damaged")
    target.finish()
    assert warned(target) == [(b"a", "its contents are damaged")]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_closing_in_the_middle_leaves_nothing_half_done(tmp_path: Path) -> None:
    """What was committed stays; no descriptor and no temporary file does."""
    before = len(os.listdir("/proc/self/fd"))
    target = target_at(tmp_path / "back")
    target._placer._unnamed = False
    assert put(target, entry(b"f/whole", size=1), b"x")
    assert target.begin(entry(b"f/half", size=5)) is not None
    target.close()
    target.close()
    assert list(describe(tmp_path / "back")) == [b"", b"f", b"f/whole"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_half_done_is_left_on_a_disk_that_is_too_small(tmp_path: Path) -> None:
    """Where tests may not mount one, a file that grows too large stands for it, which is a warning of that file."""
    with small_disk(tmp_path / "disk", size_bytes=4 * MIB) as disk:
        target = target_at(disk)
        with contextlib.suppress(LimitReached):
            assert not put(target, entry(b"a", size=8 * MIB), b"x" * 8 * MIB)
        target.close()
        assert os.listdir(disk) == []


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, LimitReached), (errno.EROFS, NotPermitted)])
def test_what_would_meet_every_file_ends_the_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[WedSyncError]
) -> None:
    """In one line, and nothing stands."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, "refused")

    target = target_at(tmp_path)
    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(error):
        put(target, entry(b"a", size=1), b"x")
    target.close()
    assert os.listdir(tmp_path) == []
