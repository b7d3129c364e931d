"""Objects of a bucket as a source, on two real services: what is recorded, read, noticed and warned of."""

from __future__ import annotations

import os
import random
from contextlib import closing

import pytest

from engine.base.errors import NotFound
from engine.pipeline.excludes import Excludes
from engine.pipeline.objects import ObjectItem, Origin, open_source, reading_ahead, walk_objects
from engine.pipeline.source import SourceProblem
from engine.pipeline.walk import WalkWarning
from engine.repository.entry import KIND_NAMES
from tests.s3_servers import BUCKET, S3Server
from tests.uploads import Place

pytestmark = pytest.mark.usefixtures("s3_keys")
_numbers = iter(range(10_000))


@pytest.fixture(params=["weed", "moto"])
def place(request: pytest.FixtureRequest) -> Place:
    """A fresh prefix of a service."""
    return Place(request.getfixturevalue(request.param), f"upload-{next(_numbers)}")


def _walked(origin: Origin, *exclude: str) -> tuple[list[tuple[str, str]], list[WalkWarning]]:
    """(path below the prefix, kind), and the warnings."""
    with closing(origin):
        found = list(walk_objects([origin], Excludes(exclude)))
    items = [item for item in found if isinstance(item, ObjectItem)]
    begins = len(origin.path) - 1
    kinds = [KIND_NAMES[item.describe().kind] if item.stat.st_mode & 0o040000 else "file" for item in items]
    paths = [os.fsdecode(item.path)[begins:] for item in items]
    return list(zip(paths, kinds, strict=True)), [item for item in found if isinstance(item, WalkWarning)]


def test_objects_come_in_the_order_of_a_manifest(place: Place) -> None:
    """Folder by folder, which is not the order of keys; names of any letters."""
    for key in ("a-b.jpg", "a/1.jpg", "a/x/~[1]{2}.jpg", "caf é/50%.jpg", "a#b?.jpg", "ü+&=.jpg"):
        place.put(key, b"x")
    found, warnings = _walked(place.origin())
    assert warnings == []
    assert found == [
        ("", "folder"), ("/a", "folder"), ("/a/1.jpg", "file"), ("/a/x", "folder"), ("/a/x/~[1]{2}.jpg", "file"),
        ("/a#b?.jpg", "file"), ("/a-b.jpg", "file"), ("/caf é", "folder"), ("/caf é/50%.jpg", "file"),
        ("/ü+&=.jpg", "file"),
    ]  # fmt: skip


def test_a_source_may_be_a_single_object(place: Place) -> None:
    place.put("cards/1.jpg", b"one")
    place.put("cards/1.jpg.xmp", b"two")
    assert _walked(place.origin("/cards/1.jpg")) == ([("", "file")], [])


def test_excludes_are_those_of_folders(place: Place) -> None:
    for key in ("keep/1.jpg", "keep/1.tmp", "skip/2.jpg"):
        place.put(key, b"x")
    found, _ = _walked(place.origin(), "*.tmp", "skip/")
    assert [path for path, kind in found if kind == "file"] == ["/keep/1.jpg"]


def test_an_object_below_whose_name_others_lie_is_warned_of(moto: S3Server) -> None:
    """A tree of files cannot have both. SeaweedFS cannot either."""
    place = Place(moto, f"upload-{next(_numbers)}")
    place.put("a", b"object")
    place.put("a/b", b"below")
    found, warnings = _walked(place.origin())
    assert [path for path, _ in found] == ["", "/a", "/a/b"]
    assert [warning.what for warning in warnings] == ["other objects lie below its name as in a folder; left out"]


def test_a_folder_with_a_key_that_is_no_path_is_warned_of(moto: S3Server) -> None:
    """What lies beside that folder is found all the same."""
    import urllib.request

    place = Place(moto, f"upload-{next(_numbers)}")
    place.put("good/1.jpg", b"x")
    url = f"{moto.endpoint}/{BUCKET}/{place.prefix}/bad//1.jpg"
    urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT")).close()
    found, warnings = _walked(place.origin())
    assert ("/good/1.jpg", "file") in found
    assert len(warnings) == 1
    assert "cannot be a path" in warnings[0].what


def test_nothing_below_the_prefix_is_not_found(place: Place) -> None:
    """A mistyped prefix must not look like an empty backup."""
    with closing(place.origin("/nowhere")) as origin, pytest.raises(NotFound, match="nothing below"):
        origin.check()
    place.put("1.jpg", b"x")
    with closing(place.origin()) as origin:
        origin.check()


def _items(origin: Origin) -> list[ObjectItem]:
    return [each for each in walk_objects([origin], Excludes()) if isinstance(each, ObjectItem) and each.found.etag]


def test_an_object_is_read_by_ranges(place: Place) -> None:
    """And one after the other or side by side gives the same."""
    contents = {f"{number}.jpg": random.Random(number).randbytes(number * 1000) for number in range(5)}
    for key, data in contents.items():
        place.put(key, data)
    buffer = memoryview(bytearray(5000))
    with closing(place.origin()) as origin:
        items = _items(origin)
        for ahead in (items, []):
            with reading_ahead(ahead):
                for item in items:
                    with open_source(item) as source:
                        count = source.read_into(buffer, 0)
                        assert bytes(buffer[:count]) == contents[os.fsdecode(item.name)]
                        assert not source.changed()
        with open_source(items[4]) as source:
            assert source.read_into(buffer[:100], 1234) == 100
            assert bytes(buffer[:100]) == contents["4.jpg"][1234:1334]
            assert source.read_into(buffer, 3990) == 10


def test_a_new_version_is_noticed_and_read_the_next_time(place: Place) -> None:
    """Never the beginning of one and the end of the other, also at the same size."""
    place.put("1.jpg", b"a" * 1000)
    buffer = memoryview(bytearray(2000))
    with closing(place.origin()) as origin:
        (item,) = _items(origin)
        with open_source(item) as source:
            assert source.read_into(buffer[:500], 0) == 500
            place.put("1.jpg", b"b" * 1000)
            assert source.read_into(buffer[:500], 500) == 0
            assert source.changed()
        with open_source(item) as source:
            assert source.read_into(buffer, 0) == 1000
            assert bytes(buffer[:1000]) == b"b" * 1000
            assert not source.changed()


def test_an_object_that_vanished_is_a_problem_of_it_alone(place: Place) -> None:
    """As a file that was deleted under the backup."""
    place.put("1.jpg", b"a" * 1000)
    place.put("2.jpg", b"a" * 1000)
    with closing(place.origin()) as origin:
        items = _items(origin)
        place.client.delete(f"{place.prefix}/1.jpg")
        place.client.delete(f"{place.prefix}/2.jpg")
        with reading_ahead(items):
            for item in items:
                with open_source(item) as source, pytest.raises(SourceProblem, match="vanished"):
                    source.read_into(memoryview(bytearray(1000)), 0)


def test_an_upload_of_the_same_bytes_is_no_other_inode(place: Place) -> None:
    """ETag, size and time tell versions apart: what is the same in all three is not read again."""
    place.put("1.jpg", b"a" * 1000)
    with closing(place.origin()) as origin:
        (first,), (again,) = _items(origin), _items(origin)
        assert first.stat.st_ino == again.stat.st_ino
        place.put("1.jpg", b"b" * 1000)
        (other,) = _items(origin)
        assert other.stat.st_ino != first.stat.st_ino
