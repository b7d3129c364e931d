"""Backups of what a watch says has changed: the same snapshot as a look at everything would give, for less."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.pipeline import recorder, touched
from engine.pipeline.folders import OpenFolder
from engine.pipeline.touched import changed_roots
from engine.pipeline.walk import WalkItem
from engine.repository import manifest
from engine.repository.entry import Entry
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from tests.trees import scratch
from tests.vaults import OTHER_WEDDING, Bench

TAGS = ("watch",)


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests of a few entries a segment, none of them inline."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 4)
    monkeypatch.setattr(recorder, "INLINE_ENTRIES_MAX", 0)


def touched_backup(bench: Bench, source: Path, *changed: str | Path) -> Snapshot:
    paths = tuple(os.fsencode(source / path) for path in changed)
    return bench.backup(source, tags=TAGS, changed=paths)


def full_backup(bench: Bench, source: Path) -> Snapshot:
    return bench.backup(source, tags=TAGS)


def plain(entries: list[Entry]) -> list[Entry]:
    """Entries without what only tells how sure change detection may be."""
    return [msgspec.structs.replace(entry, ctime_ns=0) for entry in entries]


def as_everything_looked_at(bench: Bench, source: Path) -> list[Entry]:
    """The entries that a first backup into another wedding has; chunk ids differ between weddings, hashes do not."""
    other = bench.backup(source, wedding=OTHER_WEDDING)
    return plain(bench.entries(other, wedding=OTHER_WEDDING))


def without_chunks(entries: list[Entry]) -> list[Entry]:
    return [msgspec.structs.replace(entry, chunks=b"", chunk_lists=b"") for entry in entries]


def check_same(bench: Bench, source: Path, snapshot: Snapshot) -> None:
    """Entries, counts, and every chunk there."""
    entries = bench.entries(snapshot)
    expected = as_everything_looked_at(bench, source)
    assert without_chunks(plain(entries)) == without_chunks(expected)
    files = [entry for entry in entries if entry.kind == 1]
    counts = snapshot.body.counts
    assert (counts.entries, counts.files) == (len(entries), len(files))
    assert counts.bytes_source == sum(entry.size for entry in files)
    assert bench.verify().problems == []


def wide_tree(root: Path, folders: int = 12, files: int = 8) -> Path:
    """Folders with files, each of contents of its own."""
    for number in range(folders):
        folder = root / f"card {number:02}"
        folder.mkdir(parents=True)
        for file in range(files):
            (folder / f"IMG_{file:04}.jpg").write_bytes(f"{number} {file}".encode() * 100)
    return root


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Names of the things that scans describe or compare from now on."""
    seen: list[bytes] = []

    def made(path: bytes, folder: OpenFolder, name: bytes, stat: os.stat_result) -> WalkItem:
        seen.append(name)
        return WalkItem(path, folder, name, stat)

    monkeypatch.setattr("engine.pipeline.walk.WalkItem", made)
    return seen


@pytest.mark.usefixtures("small_segments")
def test_a_new_file_costs_its_folder_and_a_few_entries(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = wide_tree(tmp_path / "source")
    before = full_backup(bench, source)
    (source / "card 05" / "IMG_9999.jpg").write_bytes(b"new")
    seen = looked_at(monkeypatch)
    snapshot = touched_backup(bench, source, "card 05/IMG_9999.jpg")
    assert seen == [b"source", b"card 05", b"IMG_9999.jpg"]
    monkeypatch.undo()
    shared = {ref.id for ref in before.body.segments} & {ref.id for ref in snapshot.body.segments}
    assert len(shared) >= len(before.body.segments) - 2
    assert snapshot.body.counts.files_unchanged == 12 * 8
    check_same(bench, source, snapshot)


def test_a_small_manifest_is_taken_over_whole(bench: Bench, tmp_path: Path) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    full_backup(bench, source)
    (source / "card 01" / "IMG_0003.jpg").write_bytes(b"edited")
    (source / "card 00" / "IMG_0001.jpg").unlink()
    snapshot = touched_backup(bench, source, "card 01/IMG_0003.jpg", "card 00/IMG_0001.jpg")
    check_same(bench, source, snapshot)


Change = Callable[[Path], list[str]]


def _write(name: str) -> Change:
    def do(root: Path) -> list[str]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"written " + name.encode())
        return [name]

    return do


def _remove_folder(root: Path) -> list[str]:
    shutil.rmtree(root / "card 03")
    return ["card 03", "card 03/IMG_0001.jpg"]


def _remove_folder_and_tell_of_its_files_only(root: Path) -> list[str]:
    shutil.rmtree(root / "card 03")
    return ["card 03/IMG_0001.jpg", "card 03/IMG_0007.jpg"]


def _move_folder(root: Path) -> list[str]:
    (root / "card 03").rename(root / "card 11" / "moved")
    return ["card 03", "card 11/moved"]


def _folder_becomes_file(root: Path) -> list[str]:
    shutil.rmtree(root / "card 03")
    (root / "card 03").write_bytes(b"now a file")
    return ["card 03"]


def _file_becomes_folder(root: Path) -> list[str]:
    (root / "card 03" / "IMG_0002.jpg").unlink()
    (root / "card 03" / "IMG_0002.jpg").mkdir()
    (root / "card 03" / "IMG_0002.jpg" / "inner").write_bytes(b"inner")
    return ["card 03/IMG_0002.jpg"]


def _mode(root: Path) -> list[str]:
    (root / "card 03").chmod(0o700)
    (root / "card 04" / "IMG_0002.jpg").chmod(0o600)
    return ["card 03", "card 04/IMG_0002.jpg"]


def _ignore_file(root: Path) -> list[str]:
    (root / "card 03" / ".wedsyncignore").write_bytes(b"IMG_000[2-5]*\n")
    return ["card 03/.wedsyncignore"]


def _nothing(root: Path) -> list[str]:
    return ["card 03/IMG_0001.jpg", "no such file"]


def _odd_names(root: Path) -> list[str]:
    for name in (b"card 03.x", b"card 0", b"card 03-", b"\xff\n", b"z"):
        (root / os.fsdecode(name)).write_bytes(name)
    return [os.fsdecode(name) for name in (b"card 03.x", b"card 0", b"card 03-", b"\xff\n", b"z")]


def _symlink_in_place_of_a_folder(root: Path) -> list[str]:
    shutil.rmtree(root / "card 03")
    (root / "card 03").symlink_to("card 04")
    return ["card 03/IMG_0001.jpg"]


CHANGES: dict[str, Change] = {
    "before everything": _write("aaa/first"),
    "after everything": _write("zzz/last"),
    "between two folders": _write("card 03a/x"),
    "an edit": _write("card 07/IMG_0001.jpg"),
    "deep down": _write("card 07/a/b/c/d"),
    "a folder is removed": _remove_folder,
    "a folder is removed, told by its files": _remove_folder_and_tell_of_its_files_only,
    "a folder is moved": _move_folder,
    "a folder becomes a file": _folder_becomes_file,
    "a file becomes a folder": _file_becomes_folder,
    "modes": _mode,
    "an ignore file": _ignore_file,
    "nothing": _nothing,
    "odd names": _odd_names,
    "a symlink in place of a folder": _symlink_in_place_of_a_folder,
}


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("change", CHANGES)
def test_the_snapshot_is_that_of_a_full_scan(bench: Bench, tmp_path: Path, change: str) -> None:
    source = wide_tree(tmp_path / "source")
    full_backup(bench, source)
    changed = CHANGES[change](source)
    snapshot = touched_backup(bench, source, *changed)
    check_same(bench, source, snapshot)
    assert snapshot.body.counts.files_unchanged > 60


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_after_any_run_of_changes_the_snapshot_is_that_of_a_full_scan(seed: int) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch, scratch() as folder, Bench() as bench:
        patch.setattr(manifest, "_SEGMENT_MODULUS", chance.choice((2, 5, 1 << 16)))
        patch.setattr(recorder, "INLINE_ENTRIES_MAX", chance.choice((0, 0, 256)))
        source = wide_tree(folder / "source", folders=5, files=4)
        full_backup(bench, source)
        for _ in range(3):
            changed = [path for _ in range(chance.randrange(1, 5)) for path in _changed_at_random(source, chance)]
            snapshot = touched_backup(bench, source, *changed)
            assert without_chunks(plain(bench.entries(snapshot))) == without_chunks(
                as_everything_looked_at(bench, source)
            )
        assert bench.verify().problems == []


def _changed_at_random(source: Path, chance: random.Random) -> list[Path]:
    """Change something; the paths that a watch would tell of."""
    things = sorted(source.rglob("*"))
    folders = [source, *(thing for thing in things if thing.is_dir())]
    what = chance.choice(("write", "write", "folder", "remove", "move"))
    place = chance.choice(folders) / chance.choice(("a", "card 02", "m", "zz", "card 02x"))
    victim = chance.choice(things)
    if what == "remove":
        shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
        return [victim]
    if what == "move" and not place.exists() and victim not in (place, *place.parents):
        victim.rename(place)
        return [victim, place]
    if what == "folder" and not place.exists():
        place.mkdir()
    elif not place.is_dir():
        place.write_bytes(chance.randbytes(50))
    return [place]


# --- where it is not sound, everything is looked at ---------------------------------------------------


def _scanned_everything(bench: Bench, source: Path, **options: object) -> bool:
    """Whether a backup that is told of one changed file finds another that it was not told of."""
    (source / "card 00" / "IMG_0000.jpg").write_bytes(b"told")
    (source / "card 01" / "untold").write_bytes(b"untold")
    changed = (os.fsencode(source / "card 00" / "IMG_0000.jpg"),)
    snapshot = bench.backup(source, **{"tags": TAGS, "changed": changed, **options})  # type: ignore[arg-type]
    return any(entry.path.endswith(b"/untold") for entry in bench.entries(snapshot))


def test_told_of_one_change_it_does_not_look_at_others(bench: Bench, tmp_path: Path) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    full_backup(bench, source)
    assert not _scanned_everything(bench, source)


def test_without_a_parent_everything_is_looked_at(bench: Bench, tmp_path: Path) -> None:
    assert _scanned_everything(bench, wide_tree(tmp_path / "source", folders=2))


def test_a_parent_of_other_sources_tags_or_host_is_not_built_upon(bench: Bench, tmp_path: Path) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    bench.backup(source)
    assert _scanned_everything(bench, source)
    other = wide_tree(tmp_path / "other", folders=2)
    bench.backup(other, source, tags=TAGS)
    assert _scanned_everything(bench, other)


def test_a_changed_source_itself_is_looked_at_whole(bench: Bench, tmp_path: Path) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    full_backup(bench, source)
    assert _scanned_everything(bench, source, changed=(os.fsencode(source),))


def test_a_large_part_of_the_manifest_is_not_held_in_memory(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_segments: None
) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    full_backup(bench, source)
    monkeypatch.setattr(touched, "READ_ENTRIES_MAX", 1)
    assert _scanned_everything(bench, source)


def test_where_chunks_are_missing_everything_is_looked_at(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    full_backup(bench, source)
    with bench.repository.vault("0f" * 16) as vault:
        monkeypatch.setattr(WeddingVault, "problems", property(lambda _: ["a fragment is damaged"]))
        assert vault.problems
        assert _scanned_everything(bench, source)


def test_what_the_parent_warned_of_is_looked_at_again(bench: Bench, tmp_path: Path) -> None:
    source = wide_tree(tmp_path / "source", folders=2)
    odd = source / "card 01" / "queue"
    os.mkfifo(odd)
    os.mknod(source / "card 01" / "socket", 0o140600)
    first = full_backup(bench, source)
    assert first.body.counts.warnings == 1
    second = touched_backup(bench, source, "card 00/IMG_0000.jpg")
    assert [warning.path for warning in second.body.warnings] == [warning.path for warning in first.body.warnings]
    (source / "card 01" / "socket").unlink()
    assert touched_backup(bench, source, "card 00/IMG_0001.jpg").body.counts.warnings == 0


# --- roots --------------------------------------------------------------------------------------------


def test_roots_are_inside_the_sources_and_apart(tmp_path: Path) -> None:
    source = os.fsencode(wide_tree(tmp_path / "s", folders=2, files=1))
    inside = [source + b"/card 00/IMG_0000.jpg", source + b"/card 00", source + b"/card 01/gone/deep", b"/elsewhere"]
    assert changed_roots(inside, [source]) == [source + b"/card 00", source + b"/card 01/gone"]
    assert changed_roots([b"/elsewhere"], [source]) == []
    assert changed_roots([source], [source]) is None
    assert changed_roots([source + b"/.wedsyncignore"], [source]) is None
    assert changed_roots([source + b"/card 00/.wedsyncignore"], [source]) == [source + b"/card 00"]
