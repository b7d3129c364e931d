"""Any tree, backed up and retrieved, is equal: kinds, modes, owners, times, names, holes, links, attributes, bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from engine.repository import crypto
from engine.storage.stores.open import open_store
from tests import strategies
from tests.privileges import IS_ROOT, plain_user, shared_folder
from tests.trees import Node, Tree, build, describe, file, folder, scratch, symlink
from tests.vaults import WEDDING, Bench


def _round_trip(bench: Bench, folder_made: Path, tree: Tree) -> None:
    """Back up and retrieve `tree` as a wedding of its own, and verify it."""
    wedding = bench.repository.new_wedding_id()
    source, back = folder_made / "source", folder_made / "back"
    build(source, tree)
    before = describe(source)
    bench.backup(source, wedding=wedding)
    bench.retrieve(back, strip=source, wedding=wedding)
    assert describe(back) == before
    assert bench.verify(wedding=wedding).problems == []


@settings(max_examples=60)
@given(tree=strategies.trees())
def test_any_tree_comes_back_as_it_was(bench: Bench, tree: Tree) -> None:
    """Through chunks, seals, packs, manifest and snapshot, and back."""
    with scratch() as made:
        _round_trip(bench, made, tree)


@settings(max_examples=15)
@given(tree=strategies.trees(max_size=6))
def test_any_tree_of_a_plain_user_comes_back_to_them(bench: Bench, tree: Tree) -> None:
    """Without root: also folders that their owner may not write to."""
    with shared_folder() as shared, plain_user():
        _round_trip(bench, shared, tree)
        for path in sorted(shared.rglob("*")):
            if not path.is_symlink() and path.is_dir():
                os.chmod(path, 0o700)


def test_a_tree_with_everything_comes_back(bench: Bench, tmp_path: Path) -> None:
    """One of each, so that nothing depends on what hypothesis happens to draw."""
    rights = strategies.acl(user=12345)
    tree: dict[bytes, Node] = {
        b"": folder(mode=0o750, mtime_ns=1),
        b"empty folder": folder(mode=0o711, mtime_ns=-5_000_000_001),
        b"empty file": file(b"", mode=0o400),
        b"same": file(b"same bytes" * 100),
        b"same again": file(b"same bytes" * 100, mtime_ns=999_999_999),
        b"a link": Node(link_to=b"same"),
        b"deep/er/and/deeper": file(b"x"),
        b"deep/link to the same": Node(link_to=b"same"),
        b"dangling": symlink(b"nowhere/at all", mtime_ns=7),
        b"absolute": symlink(b"/"),
        b"pipe": Node(kind="fifo", mode=0o640, mtime_ns=11),
        b"holes": Node(data=((65536, b"d" * 4096), (1 << 20, b"e" * 4096)), size=3 << 20),
        b"all hole": Node(size=1 << 20),
        b"setuid": file(b"#!", mode=0o4711),
        b"with attributes": file(b"a", xattrs={b"user.rating": b"\0\xff5", b"user.empty": b""}),
        b"with rights": file(b"a", mode=0o754, xattrs={b"system.posix_acl_access": rights}),
        b"rights for what comes": folder(mode=0o755, xattrs={b"system.posix_acl_default": rights}),
        b"\xff\xfe\n": file(b"not a text"),
        b"n" * 255: file(b"long name"),
    }
    if IS_ROOT:
        tree[b"somebody's"] = file(b"mine", owner=(1234, 4321))
        tree[b"somebody's link"] = symlink(b"same", owner=(1234, 4321))
        tree[b"device"] = Node(kind="device", device=os.makedev(1, 3), owner=(0, 6))
    source = tmp_path / "source"
    build(source, tree)
    snapshot = bench.backup(source)
    expected = 1 if IS_ROOT else 0  # a device is recorded with a warning
    assert snapshot.body.counts.warnings == expected
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)


def test_without_a_prefix_the_absolute_path_is_appended(bench: Bench, tmp_path: Path) -> None:
    """As `--to DIR` does it."""
    build(tmp_path / "source", {b"a/b": file(b"text")})
    bench.backup(tmp_path / "source")
    bench.retrieve(tmp_path / "back")
    assert describe(Path(f"{tmp_path}/back{tmp_path}/source")) == describe(tmp_path / "source")


def test_several_sources_make_one_snapshot(bench: Bench, tmp_path: Path) -> None:
    """Also a single file as a source, and one source inside another."""
    build(tmp_path, {b"a/x": file(b"1"), b"b/y": file(b"2"), b"c": file(b"3"), b"a/in/z": file(b"4"), b"d": file(b"5")})
    snapshot = bench.backup(tmp_path / "b", tmp_path / "a", tmp_path / "c", tmp_path / "a/in")
    assert snapshot.body.counts.files == 4
    bench.retrieve(tmp_path / "back", strip=tmp_path)
    (tmp_path / "d").unlink()
    expected = {path: thing for path, thing in describe(tmp_path).items() if not path.startswith(b"back")}
    found = describe(tmp_path / "back")
    assert {path: thing for path, thing in found.items() if path} == {p: t for p, t in expected.items() if p}


@pytest.mark.parametrize("path", [b"a", b"a/b", b"a/b/deep", b"zebra"])
def test_a_part_of_a_snapshot_can_be_had(bench: Bench, tmp_path: Path, path: bytes) -> None:
    """Whatever is at and below a path; the folders above it come along without their metadata."""
    tree = {
        b"a/b/deep": file(b"1"),
        b"a/b/other": file(b"2"),
        b"a-": file(b"3"),
        b"a/c": file(b"4"),
        b"zebra": file(b"5"),
    }
    source = tmp_path / "source"
    build(source, tree)
    bench.backup(source)
    base = bytes(source)[1:]
    bench.retrieve(tmp_path / "back", strip=source, paths=(base + b"/" + path,))
    found = {name: thing for name, thing in describe(tmp_path / "back").items() if thing.kind == "file"}
    wanted = {name for name in tree if name == path or name.startswith(path + b"/")}
    assert set(found) == wanted
    assert found == {name: thing for name, thing in describe(source).items() if name in wanted}


def test_a_file_with_the_bytes_of_a_manifest_segment_is_data(bench: Bench, tmp_path: Path) -> None:
    """Not taken for stored because metadata holds the same bytes: the two never share a pack."""
    source, copies = tmp_path / "source", tmp_path / "copies"
    build(source, {b"%03d" % number: file(b"x") for number in range(300)})
    first = bench.backup(source)
    with bench.repository.vault(WEDDING) as vault:
        segments = [vault.read_metadata(segment.id) for segment in first.body.segments]
    assert segments
    build(copies, {b"%d" % number: file(segment) for number, segment in enumerate(segments)})
    second = bench.backup(copies)
    with bench.repository.vault(WEDDING) as vault:
        chunks = [entry.chunks for entry in vault.entries(second) if entry.size]
        types = {vault.locate(chunk_id).pack.pack_type for chunk_id in chunks}
    assert len(chunks) == len(segments)
    assert types == {crypto.DATA_PACK}
    bench.retrieve(tmp_path / "back", strip=copies)
    assert describe(tmp_path / "back") == describe(copies)
    assert bench.verify().problems == []


def test_the_repository_inside_the_source_is_left_out(tmp_path: Path) -> None:
    """Else each backup would back up the one before; also where its path has signs that a URL escapes."""
    build(tmp_path / "source", {b"a": file(b"text")})
    url = f"file://{tmp_path}/source/my%20own%20%23repository"
    with Bench(open_store(url, create=True)) as bench:
        snapshot = bench.backup(tmp_path / "source")
        assert (tmp_path / "source" / "my own #repository").is_dir()
        names = [entry.path.rpartition(b"/")[2] for entry in bench.entries(snapshot)]
        assert names == [b"source", b"a"]
