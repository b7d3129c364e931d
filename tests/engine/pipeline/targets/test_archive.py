"""Tar and zip: everything they can hold comes back, and what they cannot is said."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings

from engine.base.errors import LimitReached
from engine.pipeline.targets.archive import TarTarget, ZipTarget
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.entry import CHARACTER_DEVICE, FIFO, FILE, FOLDER, SOCKET, SYMLINK, Entry
from tests import strategies
from tests.copying import Read, read_all, write_all
from tests.privileges import IS_ROOT
from tests.suites.restore_target import RestoreTargetSuite, entry
from tests.trees import Node, Tree, build, describe, file, folder, scratch, symlink

GIB = 1 << 30


class Drain(io.RawIOBase):
    """A pipe without a reader's end: counts, keeps the first and last bytes, cannot seek."""

    def __init__(self) -> None:
        self.taken = 0
        self.last = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Take it all."""
        view = memoryview(data)  # type: ignore[arg-type]
        self.taken += len(view)
        self.last = (self.last + bytes(view[-4096:]))[-4096:]
        return len(view)


class TestTarTarget(RestoreTargetSuite):
    """The promises, kept by a tar file."""

    def open_target(self, place: Path) -> RestoreTarget:
        """Into a buffer that outlives the target."""
        self._output = io.BytesIO()
        return TarTarget(self._output)

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """Regular files of the archive."""
        self._output.seek(0)
        with tarfile.open(fileobj=self._output, encoding="utf-8") as archive:
            return {
                os.fsencode(member.name): archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isreg()
            }


class TestZipTarget(RestoreTargetSuite):
    """The promises, kept by a zip file."""

    def open_target(self, place: Path) -> RestoreTarget:
        """Into a buffer that outlives the target."""
        self._output = io.BytesIO()
        return ZipTarget(self._output)

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """Files of the archive."""
        with zipfile.ZipFile(self._output) as archive:
            assert archive.testzip() is None
            return {os.fsencode(name): archive.read(name) for name in archive.namelist() if not name.endswith("/")}


class TestZipTargetToAPipe(TestZipTarget):
    """The same, where no header can be filled in afterwards."""

    def open_target(self, place: Path) -> RestoreTarget:
        """Through something that cannot seek."""
        self._output = io.BytesIO()
        kept = self._output

        class Pipe(Drain):
            def write(self, data: object) -> int:
                return kept.write(data)  # type: ignore[arg-type]

        return ZipTarget(Pipe())  # type: ignore[arg-type]


def _tar(read: list[Read], *, prefix: bytes = b"") -> tuple[bytes, TarTarget]:
    output = io.BytesIO()
    target = TarTarget(output, strip_prefix=prefix)
    write_all(target, read)
    return output.getvalue(), target


def _members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as archive:
        return {member.name: member for member in archive}


if shutil.which("tar") and IS_ROOT:  # for a plain user, tar itself cannot give a read-only file its attributes

    @settings(max_examples=25)
    @given(tree=strategies.trees())
    def test_any_tree_comes_back_through_tar(tree: Tree) -> None:
        """Read by the `tar` of this machine, which knows nothing of us."""
        with scratch() as made:
            source, back = made / "source", made / "back"
            build(source, tree)
            back.mkdir()
            data, target = _tar(read_all(bytes(source)), prefix=bytes(source))
            assert target.warnings == []
            subprocess.run(
                ["tar", "-x", "-p", "--xattrs", "--xattrs-include=*", "-C", back, "--warning=no-timestamp"],
                input=data, check=True, capture_output=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            )  # fmt: skip
            assert _comparable(back) == _comparable(source)


def _comparable(root: Path) -> dict[bytes, object]:
    """What tar keeps: everything but holes; the root is not in the archive."""
    things = describe(root)
    del things[b""]
    return {
        path: (t.kind, t.mode, t.owner, t.mtime_ns, t.size, t.target, t.xattrs, t.names, t.digest)
        for path, t in things.items()
    }


def test_tar_holds_all_that_an_entry_says() -> None:
    """Kind, mode, owner, time to the nanosecond, device, attributes."""
    data, target = _tar(
        [
            Read(entry(b"d", FOLDER, mode=0o1777, uid=70000, gid=3_000_000, mtime_ns=-1_500_000_000)),
            Read(entry(b"d/c", CHARACTER_DEVICE, device=os.makedev(5, 300))),
            Read(entry(b"d/f", FILE, mtime_ns=10**18 + 7, xattrs=((b"user.a=b%", b"\0\xff"),))),
            Read(entry(b"d/l", SYMLINK, target=b"x" * 300 + b"\xff")),
            Read(entry(b"d/p", FIFO)),
            Read(entry(b"d/s", SOCKET)),
        ]
    )
    assert [(warning.path, warning.what) for warning in target.warnings] == [
        (b"d/s", "is a socket, which has no place in an archive")
    ]
    members = _members(data)
    assert list(members) == ["d", "d/c", "d/f", "d/l", "d/p"]
    assert (members["d"].mode, members["d"].uid, members["d"].gid) == (0o1777, 70000, 3_000_000)
    assert members["d"].pax_headers["mtime"] == "-1.500000000"
    assert (members["d/c"].devmajor, members["d/c"].devminor) == (5, 300)
    assert members["d/f"].pax_headers["mtime"] == "1000000000.000000007"
    assert members["d/f"].pax_headers["SCHILY.xattr.user.a%3Db%25"].encode("utf-8", "surrogateescape") == b"\0\xff"
    assert members["d/l"].linkname.encode("utf-8", "surrogateescape") == b"x" * 300 + b"\xff"
    assert members["d/p"].isfifo()
    assert len(data) % tarfile.RECORDSIZE == 0


def test_hard_links_in_tar_name_the_first(tmp_path: Path) -> None:
    """Contents once; names below the prefix."""
    build(tmp_path, {b"a": file(b"contents"), b"b": Node(link_to=b"a")})
    data, _ = _tar(read_all(bytes(tmp_path)), prefix=bytes(tmp_path))
    members = _members(data)
    assert (members["b"].type, members["b"].linkname, members["b"].size) == (tarfile.LNKTYPE, "a", 0)


def test_an_aborted_file_keeps_its_length_in_an_archive() -> None:
    """What follows it can still be read."""
    for kind in (TarTarget, ZipTarget):
        output = io.BytesIO()
        target = kind(output)
        writer = target.begin(entry(b"a", size=5))
        assert writer is not None
        writer.write_at(0, memoryview(b"ab"))
        writer.abort("damaged")
        write_all(target, [Read(entry(b"b", size=3), b"xyz")])
        assert [warning.what for warning in target.warnings] == ["damaged; the rest of its contents is zeros"]
        if kind is TarTarget:
            assert {name: member.size for name, member in _members(output.getvalue()).items()} == {"a": 5, "b": 3}
        else:
            with zipfile.ZipFile(output) as archive:
                assert archive.read("a") == b"ab\0\0\0"
                assert archive.read("b") == b"xyz"


@pytest.mark.parametrize("kind", [TarTarget, ZipTarget])
def test_an_archive_that_was_given_up_is_no_archive(kind: type[TarTarget] | type[ZipTarget]) -> None:
    """It has no end that could make it pass for whole, and what is written later goes nowhere."""
    output = io.BytesIO()
    target = kind(output)
    writer = target.begin(entry(b"a", size=5000))
    assert writer is not None
    writer.write_at(0, memoryview(b"ab"))
    target.close()
    length = len(output.getvalue())
    del target, writer
    assert len(output.getvalue()) == length
    read = _read_tar if kind is TarTarget else _read_zip
    with pytest.raises((tarfile.ReadError, zipfile.BadZipFile)):
        read(output)


def _read_tar(output: IO[bytes]) -> None:
    output.seek(0)
    with tarfile.open(fileobj=output) as archive:
        archive.extractfile("a").read()  # type: ignore[union-attr]


def _read_zip(output: IO[bytes]) -> None:
    with zipfile.ZipFile(output) as archive:
        archive.read("a")


def _write_large(target: RestoreTarget, large: Entry) -> None:
    writer = target.begin(large)
    assert writer is not None
    writer.write_at(large.size - 3, memoryview(b"end"))
    assert writer.commit()
    target.finish()


def test_a_file_of_more_than_8_gib_has_its_size_in_tar() -> None:
    """Past what the old header can say."""
    output = io.BytesIO()
    target = TarTarget(output)
    assert target.begin(entry(b"large", size=9 * GIB)) is not None
    target.close()
    output.write(bytes(1024))
    output.seek(0)
    with tarfile.open(fileobj=output) as archive:
        first = archive.next()
    assert first is not None
    assert first.size == 9 * GIB


def test_a_file_of_more_than_4_gib_fits_into_zip() -> None:
    """In the larger form of the format, also through a pipe."""
    drain = Drain()
    output: IO[bytes] = drain  # type: ignore[assignment]
    _write_large(ZipTarget(output), entry(b"large", size=4 * GIB + 5))
    assert drain.taken > 4 * GIB + 5
    assert b"PK\x06\x06" in drain.last  # the end of the larger form


def test_zip_holds_modes_times_symlinks_and_owners(tmp_path: Path) -> None:
    """As unzip of a Unix reads them."""
    build(
        tmp_path,
        {
            b"d/f": file(b"x", mode=0o640, mtime_ns=1_700_000_002 * 10**9),
            b"d": folder(mode=0o750),
            b"l": symlink(b"d/f"),
            b"caf\xc3\xa9": file(b"y"),
        },
    )
    output = io.BytesIO()
    write_all(ZipTarget(output, strip_prefix=bytes(tmp_path)), read_all(bytes(tmp_path)))
    with zipfile.ZipFile(output) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        assert list(infos) == ["café", "d/", "d/f", "l"]
        assert stat.filemode(infos["d/"].external_attr >> 16) == "drwxr-x---"
        assert stat.filemode(infos["d/f"].external_attr >> 16) == "-rw-r-----"
        assert stat.S_ISLNK(infos["l"].external_attr >> 16)
        assert archive.read("l") == b"d/f"
        assert (1_700_000_002).to_bytes(4, "little") in infos["d/f"].extra
        assert infos["d/f"].date_time == (2023, 11, 14, 22, 13, 22)


def test_what_zip_cannot_hold_is_said() -> None:
    """Kinds, attributes (once), names that are not UTF-8; times outside its range are moved to its ends."""
    output = io.BytesIO()
    target = ZipTarget(output)
    write_all(
        target,
        [
            Read(entry(b"a", FIFO)),
            Read(entry(b"b", xattrs=((b"user.a", b"1"),), mtime_ns=-(10**18))),
            Read(entry(b"c", xattrs=((b"user.a", b"1"),), mtime_ns=10**20)),
            Read(entry(b"d\xff")),
        ],
    )
    assert [(warning.path, warning.what.partition(" ")[0]) for warning in target.warnings] == [
        (b"a", "is"), (b"b", "extended"), (b"d\xff", "its"),
    ]  # fmt: skip
    with zipfile.ZipFile(output) as archive:
        assert [info.date_time[0] for info in archive.infolist()][:2] == [1980, 2107]
        assert archive.namelist() == ["b", "c", "d\\xff"]


@pytest.mark.parametrize("kind", [TarTarget, ZipTarget])
def test_what_lies_outside_the_prefix_is_a_warning(kind: type[TarTarget] | type[ZipTarget]) -> None:
    """Folders above it are passed over; the prefix itself is the archive's root."""
    target = kind(io.BytesIO(), strip_prefix=b"/a/b/")
    read = [
        Read(entry(path, kind_))
        for path, kind_ in ((b"a", FOLDER), (b"a/b", FOLDER), (b"a/b/c", FILE), (b"a/bc", FILE), (b"x", FOLDER))
    ]
    write_all(target, read)
    assert [warning.path for warning in target.warnings] == [b"a/bc", b"x"]


@pytest.mark.parametrize("kind", [TarTarget, ZipTarget])
def test_a_full_disk_ends_the_restore(kind: type[TarTarget] | type[ZipTarget]) -> None:
    """In one line; giving up afterwards raises nothing."""
    with open("/dev/full", "wb", buffering=0) as output:
        target = kind(output)
        with pytest.raises(LimitReached):
            write_all(target, [Read(entry(b"a", size=3), b"abc")])
        target.close()
