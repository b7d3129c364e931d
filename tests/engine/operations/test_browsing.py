"""snapshots, browse, find, diff: pure parts by example, then the real thing."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import NotFound, UsageError
from engine.contract import operations as ops
from engine.operations.browsing import change_between, differences, name_matcher
from engine.operations.rows import path_bytes
from engine.repository.entry import FILE, FOLDER, SYMLINK, Entry, path_text
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source


def entry(path: str, *, kind: int = FILE, size: int = 1, mtime_ns: int = 0, target: bytes = b"") -> Entry:
    return Entry(
        path=path.encode(), kind=kind, mode=0o644, uid=0, gid=0, mtime_ns=mtime_ns, size=size, target=target,
        hash=bytes([size % 256]) * 32,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.jpg", "srv/photos/dance.jpg", True),
        ("*.jpg", "srv/photos/dance.jpeg", False),
        ("dance.*", "srv/photos/dance.jpg", True),
        ("/srv/*.jpg", "srv/photos/dance.jpg", True),
        ("srv/photos/*", "srv/photos/dance.jpg", True),
        ("photos", "srv/photos/dance.jpg", False),
        ("[0-9]*.nef", "srv/0001.nef", True),
    ],
)
def test_a_glob_fits_the_name_or_the_whole_path(pattern: str, path: str, fits: bool) -> None:
    assert name_matcher(pattern)(path.encode()) is fits


def test_a_path_is_taken_as_people_write_it() -> None:
    assert path_bytes("/srv//photos/") == b"srv/photos"
    assert path_bytes("srv/./photos/../raw") == b"srv/raw"
    assert path_bytes("/../..") == b""
    assert path_bytes("") == b""
    assert path_text(b"caf\xe9") == "/caf\\xe9"


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (entry("a"), entry("a"), None),
        (entry("a"), entry("a", size=2), "contents"),
        (entry("a"), entry("a", mtime_ns=5), "metadata"),
        (entry("a"), entry("a", kind=FOLDER), "type"),
        (entry("a", kind=SYMLINK, target=b"x"), entry("a", kind=SYMLINK, target=b"y"), "contents"),
    ],
)
def test_a_change_has_the_name_a_person_would_give_it(before: Entry, after: Entry, change: str | None) -> None:
    assert change_between(before, after) == change


_PATHS = st.sets(st.lists(st.sampled_from(["a", "b", "a.b", "a-b", "ä"]), min_size=1, max_size=3).map("/".join))


@given(_PATHS, _PATHS)
def test_any_two_manifests_differ_by_what_only_one_of_them_has(older: set[str], newer: set[str]) -> None:
    def walk(paths: set[str]) -> list[Entry]:
        return sorted((entry(path) for path in paths), key=lambda item: item.components)

    rows = list(differences(iter(walk(older)), iter(walk(newer))))
    assert {row.path[1:] for row in rows if row.change == "added"} == newer - older
    assert {row.path[1:] for row in rows if row.change == "removed"} == older - newer
    assert {row.change for row in rows} <= {"added", "removed"}


# --- on a real wedding --------------------------------------------------------------------------------


def listed(asking: Asking, path: str, *, recursive: bool = False, limit: int = 100) -> ops.EntryList:
    operation = ops.Browse(wedding="smith-jones", path=path, recursive=recursive, limit=limit)
    return asking.ask(operation, ops.EntryList)


def names(found: ops.EntryList) -> list[str]:
    return [row.path.rpartition("/")[2] for row in found.entries]


def test_a_folder_is_listed_without_what_lies_deeper(asking: Asking) -> None:
    source = asking.folder / "source"
    assert names(listed(asking, str(source))) == ["caf\\xe9.txt", "link", "photos", "speeches.txt"]
    assert names(listed(asking, f"{source}/photos")) == ["first dance.jpg", "raw"]
    assert names(listed(asking, str(source), recursive=True)) == [
        "caf\\xe9.txt", "link", "photos", "first dance.jpg", "raw", "0001.nef", "0002.nef", "speeches.txt",
    ]  # fmt: skip


def test_the_way_from_the_root_to_a_source_can_be_browsed(asking: Asking) -> None:
    (row,) = listed(asking, "/").entries
    assert (row.path, row.type) == ("/" + asking.folder.parts[1], "folder")


def test_a_file_is_listed_as_itself_with_what_is_known_of_it(asking: Asking) -> None:
    (row,) = listed(asking, f"{asking.folder}/source/speeches.txt").entries
    assert (row.type, row.mode, row.size, len(row.hash)) == ("file", "0644", 22, 64)


def test_a_name_that_is_no_utf8_brings_its_bytes(asking: Asking) -> None:
    row = listed(asking, f"{asking.folder}/source").entries[0]
    assert base64.b64decode(row.path_base64) == os.fsencode(asking.folder) + b"/source/caf\xe9.txt"


def test_a_path_that_is_not_there_is_not_found(asking: Asking) -> None:
    with pytest.raises(NotFound, match="/nowhere is not in snapshot"):
        listed(asking, "/nowhere")


def test_a_limit_cuts_and_says_so(asking: Asking) -> None:
    found = listed(asking, str(asking.folder / "source"), limit=2)
    assert (len(found.entries), found.truncated) == (2, True)
    assert not listed(asking, str(asking.folder / "source"), limit=4).truncated


def test_a_file_is_found_in_every_snapshot_the_newest_first(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "find-me")
    source = make_source(asking.folder / "find-source")
    first = asking.ask(backup_of(wedding, source), ops.JobResult).job.snapshot
    second = asking.ask(backup_of(wedding, source), ops.JobResult).job.snapshot
    found = asking.ask(ops.Find(wedding=wedding, pattern="*.nef"), ops.EntryList)
    assert [row.snapshot for row in found.entries] == [second, second, first, first]
    one = asking.ask(ops.Find(wedding=wedding, pattern="0001*", snapshot=first[:8]), ops.EntryList)
    assert [row.snapshot for row in one.entries] == [first]
    cut = asking.ask(ops.Find(wedding=wedding, pattern="*.nef", limit=3), ops.EntryList)
    assert (len(cut.entries), cut.truncated) == (3, True)


def test_a_diff_counts_all_and_lists_up_to_its_limit(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "diff-me")
    source = make_source(asking.folder / "diff-source")
    first = asking.ask(backup_of(wedding, source), ops.JobResult).job.snapshot
    (source / "speeches.txt").write_text("Shorter.\n")
    (source / "link").unlink()
    (source / "photos" / "raw" / "0003.nef").write_bytes(b"third")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    found = asking.ask(ops.Diff(wedding=wedding, older=first), ops.DiffResult)
    changes = {Path(row.path).name: row.change for row in found.rows}
    assert changes["speeches.txt"] == "contents"
    assert changes["link"] == "removed"
    assert changes["0003.nef"] == "added"
    assert (found.added, found.removed) == (1, 1)
    cut = asking.ask(ops.Diff(wedding=wedding, older=first, limit=1), ops.DiffResult)
    assert (len(cut.rows), cut.truncated, cut.changed) == (1, True, found.changed)


def test_snapshots_are_listed_oldest_first_and_by_tag(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "tag-me")
    source = asking.folder / "source"
    plain = asking.ask(backup_of(wedding, source), ops.JobResult).job.snapshot
    operation = ops.StartBackup(wedding=wedding, sources=(str(source),), tags=("album", "final"), wait=True)
    tagged = asking.ask(operation, ops.JobResult).job.snapshot
    found = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList)
    assert [row.id for row in found.snapshots] == [plain, tagged]
    assert found.snapshots[1].sources == (str(source),)
    only = asking.ask(ops.ListSnapshots(wedding=wedding, tags=("final",)), ops.SnapshotList)
    assert [row.id for row in only.snapshots] == [tagged]


def test_a_snapshot_is_named_by_its_first_digits_and_an_unknown_one_refused(asking: Asking) -> None:
    with pytest.raises(NotFound, match="no snapshot"):
        asking.ask(ops.Browse(wedding="smith-jones", snapshot="0123456789"), ops.EntryList)
    with pytest.raises(UsageError):
        asking.ask(ops.StartBackup(wedding="smith-jones", sources=()), ops.JobResult)
