"""`BucketTarget` on two real services: the suite of every target, and what of a snapshot no bucket can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from blake3 import blake3

from engine.base.clock import SystemClock
from engine.pipeline.targets import bucket
from engine.pipeline.targets.bucket import BucketTarget
from engine.repository.entry import FIFO, FOLDER, SYMLINK, Entry
from engine.storage.stores import objects
from engine.storage.stores.buckets import open_objects
from tests.s3_servers import S3Server
from tests.suites.restore_target import RestoreTargetSuite, entry
from tests.uploads import Place

pytestmark = pytest.mark.usefixtures("s3_keys")
_numbers = iter(range(10_000))


def _target(place: Place, overwrite: Literal["ask", "never", "changed", "always"] = "ask") -> BucketTarget:
    opened, prefix = open_objects(place.server.url(place.prefix), SystemClock())
    return BucketTarget(opened, prefix, overwrite=overwrite)


class _OnAService(RestoreTargetSuite):
    """The promises every target makes."""

    server: S3Server

    def open_target(self, place: Path) -> BucketTarget:
        """A prefix named after the test's folder."""
        return _target(Place(self.server, f"back/{place.parent.name}"))

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """What a listing of it gives."""
        found = Place(self.server, f"back/{place.parent.name}")
        return {os.fsencode(key): data for key, data in found.contents().items()}


class TestOnSeaweed(_OnAService):
    """A service that checks signatures."""

    @pytest.fixture(autouse=True)
    def _server(self, weed: S3Server) -> None:
        self.server = weed


class TestOnMoto(_OnAService):
    """Another one."""

    @pytest.fixture(autouse=True)
    def _server(self, moto: S3Server) -> None:
        self.server = moto


@pytest.fixture
def place(weed: S3Server) -> Place:
    """A fresh prefix."""
    return Place(weed, f"target-{next(_numbers)}")


def _file(path: bytes, data: bytes) -> Entry:
    return entry(path, size=len(data), hash=blake3(data).digest())


def _restore(target: BucketTarget, path: bytes, data: bytes) -> bool | None:
    writer = target.begin(_file(path, data))
    if writer is None:
        return None
    writer.write_at(0, memoryview(data))
    return writer.commit()


@pytest.mark.parametrize("overwrite", ["ask", "never"])
def test_what_stands_there_is_left(place: Place, overwrite: Literal["ask", "never"]) -> None:
    place.put("a", b"standing")
    target = _target(place, overwrite)
    assert _restore(target, b"a", b"restored") is None
    assert _restore(target, b"b", b"restored")
    assert (target.kept, place.contents()) == (1, {"a": b"standing", "b": b"restored"})


def test_changed_replaces_what_differs(place: Place) -> None:
    """What we wrote tells its hash, so the same is not sent again; what others wrote tells none."""
    assert _restore(_target(place), b"ours", b"restored")
    place.put("theirs", b"RESTORED")
    place.put("shorter", b"x")
    target = _target(place, "changed")
    assert [_restore(target, name, b"restored") for name in (b"ours", b"theirs", b"shorter")] == [None, True, True]
    assert set(place.contents().values()) == {b"restored"}


def test_always_replaces(place: Place) -> None:
    place.put("a", b"standing")
    assert _restore(_target(place, "always"), b"a", b"restored")
    assert place.contents() == {"a": b"restored"}


@pytest.mark.parametrize("in_parts", [False, True])
def test_what_appeared_meanwhile_is_left(place: Place, monkeypatch: pytest.MonkeyPatch, in_parts: bool) -> None:
    """It was not there when the retrieval began; a put that creates only finds it."""
    if in_parts:
        monkeypatch.setattr(objects, "MULTIPART_FROM_BYTES", 1)
    target = _target(place, "always")
    place.put("a", b"appeared")
    assert _restore(target, b"a", b"restored") is False
    assert [warning.what for warning in target.warnings] == [
        "something was put in its place meanwhile; that is left as it is"
    ]
    assert place.contents() == {"a": b"appeared"}


def test_a_large_file_goes_through_the_disk_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces in any order, the end first, a hole in the middle; uploaded in three parts."""
    monkeypatch.setattr(bucket, "_IN_MEMORY_BYTES", 1)
    monkeypatch.setattr(objects, "MULTIPART_FROM_BYTES", 1)
    monkeypatch.setattr(objects, "_PART_BYTES", 5 << 20)
    size = 11 << 20
    target = _target(place)
    writer = target.begin(entry(b"film", size=size, extents=((0, 4), (size - 4, 4)), hash=bytes(32)))
    assert writer is not None
    writer.write_at(size - 4, memoryview(b"last"))
    writer.write_at(0, memoryview(b"1st!"))
    assert writer.commit()
    assert place.contents() == {"film": b"1st!" + bytes(size - 8) + b"last"}


def test_what_no_bucket_can_hold_is_warned_of(place: Place) -> None:
    """Links, pipes, names that are not UTF-8, paths that are too long; folders need no object."""
    target = _target(place)
    link = msgspec.structs.replace(entry(b"link", SYMLINK), target=b"a")
    long = b"/".join([b"x" * 200] * 6)
    for each in (entry(b"folder", FOLDER), link, entry(b"pipe", FIFO), entry(b"caf\xe9"), entry(long)):
        assert target.begin(each) is None
    target.finish()
    assert [warning.what.split(" which")[0] for warning in target.warnings] == [
        "is a symlink,", "is a fifo,", "has a name that is not UTF-8,", "has a path of more than 1,024 bytes,",
    ]  # fmt: skip
    assert place.contents() == {}


def test_nothing_of_an_unfinished_object_is_seen(place: Place) -> None:
    """Closed in the middle, as when the job is stopped."""
    target = _target(place)
    writer = target.begin(_file(b"a", b"restored"))
    assert writer is not None
    writer.write_at(0, memoryview(b"rest"))
    target.close()
    target.close()
    assert place.contents() == {}
