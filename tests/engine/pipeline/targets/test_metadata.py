"""Metadata of restored things: in the right order, and said once where it cannot be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from engine.pipeline.targets.metadata import MetadataWriter
from engine.repository.entry import FILE, FOLDER, Entry
from tests.privileges import IS_ROOT, NOBODY, plain_user, shared_folder
from tests.strategies import acl
from tests.trees import describe

ACCESS = b"system.posix_acl_access"


def _entry(**more: object) -> Entry:
    base = Entry(path=b"it", kind=FILE, mode=0o640, uid=os.geteuid(), gid=os.getegid(), mtime_ns=-7)
    return msgspec.structs.replace(base, **more)


class _Given:
    """A file and what was reported while it got its metadata."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "it"
        self.path.touch()
        self.reported: list[str] = []
        self.renew()

    def renew(self) -> None:
        """As whoever this process is now."""
        self._writer = MetadataWriter(lambda path, what: self.reported.append(what))

    def give(self, entry: Entry) -> None:
        """Through a descriptor, as the target does."""
        fd = os.open(self.path, os.O_PATH)
        try:
            self._writer.give(f"/proc/self/fd/{fd}", entry)
        finally:
            os.close(fd)

    @property
    def mode(self) -> int:
        """The permission bits now."""
        return self.path.stat().st_mode & 0o7777


def test_a_read_only_file_of_a_plain_user_gets_its_attributes() -> None:
    """They are set while it can still be written to; also the second time."""
    with shared_folder() as shared, plain_user():
        given = _Given(shared)
        for value in (b"1", b"2"):
            given.give(_entry(mode=0o400, xattrs=((b"user.a", value),)))
            assert given.reported == []
            assert given.mode == 0o400
            assert os.getxattr(given.path, "user.a") == value


def test_attributes_that_are_not_recorded_are_taken_away(tmp_path: Path) -> None:
    """Those of people, that is: the system's own are left."""
    given = _Given(tmp_path)
    os.setxattr(given.path, "user.old", b"x")
    os.setxattr(given.path, ACCESS, acl(user=7))
    given.give(_entry(xattrs=((b"user.new", b"y"),)))
    assert describe(tmp_path)[b"it"].xattrs == ((b"user.new", b"y"),)
    assert given.mode == 0o640


def test_an_acl_and_its_mode_agree(tmp_path: Path) -> None:
    """The ACL comes after the mode, which it is a part of."""
    given = _Given(tmp_path)
    given.give(_entry(mode=0o754, xattrs=((ACCESS, acl(user=7)),)))
    thing = describe(tmp_path)[b"it"]
    assert (thing.mode, thing.xattrs, thing.mtime_ns) == (0o754, ((ACCESS, acl(user=7)),), -7)


def test_a_program_that_changes_hands_loses_its_set_id_bits() -> None:
    """A plain user cannot give it back to its owner, so it must not run as the one who restored it."""
    with shared_folder() as shared, plain_user():
        given = _Given(shared)
        given.give(_entry(mode=0o6755, uid=os.geteuid() + 1, gid=os.getegid() + 1))
        assert given.mode == 0o755
        given.give(_entry(mode=0o6755))
        assert given.mode == 0o6755
        assert given.reported == []


def test_a_folder_keeps_its_set_gid_bit() -> None:
    """There it only says who owns what is made in it."""
    with shared_folder() as shared, plain_user():
        given = _Given(shared)
        given.path.unlink()
        given.path.mkdir()
        given.give(_entry(kind=FOLDER, mode=0o2755, uid=os.geteuid() + 1))
        assert given.mode == 0o2755


if IS_ROOT:

    def test_root_gives_things_back_to_their_owners(tmp_path: Path) -> None:
        """With their set-id bits, which a change of owner takes away."""
        given = _Given(tmp_path)
        given.give(_entry(mode=0o6755, uid=NOBODY, gid=12))
        stat = given.path.stat()
        assert (stat.st_uid, stat.st_gid, given.mode) == (NOBODY, 12, 0o6755)


def test_what_cannot_be_set_anywhere_is_said_once(tmp_path: Path) -> None:
    """One warning a restore, not one a file."""
    given = _Given(tmp_path)
    for _ in range(3):
        given.give(_entry(xattrs=((b"nonsense.a", b"1"), (b"nonsense.b", b"2"))))
    (reported,) = given.reported
    assert reported.startswith("extended attributes (nonsense) cannot be set here: operation not supported; said once")
    assert given.mode == 0o640


if IS_ROOT:

    def test_what_belongs_to_somebody_else_is_a_warning() -> None:
        """A plain user cannot correct it."""
        with shared_folder() as shared:
            given = _Given(shared)
            with plain_user():
                given.renew()
                given.give(_entry())
            assert given.reported == ["its metadata cannot be set: operation not permitted"]


def test_a_full_disk_is_not_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would meet every other entry, too."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    given = _Given(tmp_path)
    monkeypatch.setattr(os, "setxattr", full)
    with pytest.raises(OSError, match="full"):
        given.give(_entry(xattrs=((b"user.a", b"1"),)))
