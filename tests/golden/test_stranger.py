"""What the engine writes, a stranger restores, with docs/format.md and public libraries alone."""

from __future__ import annotations

import ast
import datetime as dt
import os
import random
from pathlib import Path

import pytest

from engine.base.errors import WedSyncError
from engine.contract.weddings import Wedding
from engine.pipeline import recorder
from engine.pipeline.chunk import Cutter
from engine.repository import codec, keyring
from engine.repository.snapshot import SnapshotObject
from engine.storage.stores.local import LocalStore
from engine.storage.stores.memory import MemoryStore
from tests.golden import stranger, tiny, world
from tests.trees import build, describe, file, folder, symlink
from tests.vaults import PASSPHRASE, WEDDING, Bench

MIB = 1 << 20
RECUT_BYTES = 6 * MIB  # of each file; pure Python cuts 15 MiB a second


def test_the_stranger_knows_nothing_of_the_engine() -> None:
    """Its imports are the standard library and four public ones."""
    tree = ast.parse(Path(stranger.__file__).read_bytes())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in imported}
    assert roots & {"engine", "fixtures", "tests", "screens", "wedsync_tui"} == set()
    assert {"blake3", "cryptography", "msgspec", "zstandard"} < roots


def test_the_tiny_repository_is_made_again_byte_for_byte() -> None:
    """All but the snapshots, which zstd presses: those have the same payload."""
    made, kept = tiny.build(), tiny.kept()
    assert sorted(made) == sorted(kept)
    different = {name for name in made if made[name] != kept[name]}
    assert {name for name in different if "/snapshots/" not in name} == set()


def test_the_tiny_repository_is_read_by_the_engine() -> None:
    """Opened, listed, verified and read, every byte of it."""
    with Bench(_stored(tiny.kept()), passphrase=world.PASSPHRASE) as bench:
        assert bench.repository.warnings == []
        assert [wedding.name for wedding in bench.repository.register.all()] == ["smith-jones"]
        outcome = bench.verify(wedding=tiny.WEDDING)
        assert outcome.problems == []
        assert outcome.files == len(tiny.FIRST_FILES) + len(tiny.SECOND_FILES)
        snapshots = bench.snapshots(wedding=tiny.WEDDING)
        assert [snapshot.id for snapshot in snapshots] == [tiny.FIRST, tiny.SECOND]
        entries = bench.entries(snapshots[-1], wedding=tiny.WEDDING)
        assert len(entries) == len(tiny.SECOND_FILES) + 4
        with bench.repository.vault(tiny.WEDDING) as vault:
            for entry in entries:
                if entry.path in tiny.SECOND_FILES:
                    found = b"".join(map(vault.read_chunk, stranger.strings32(vault.chunk_ids(entry))))
                    assert found == tiny.SECOND_FILES[entry.path]


def _stored(objects: dict[str, bytes]) -> MemoryStore:
    store = MemoryStore()
    for name, data in objects.items():
        store.put(name, data)
    return store


def test_the_tiny_repository_is_restored_by_the_stranger(tmp_path: Path) -> None:
    """The newest snapshot by parent, though its clock was behind."""
    assert stranger.restore(tiny.KEPT, world.PASSPHRASE, tmp_path) == len(tiny.SECOND_FILES) + 4
    root = tmp_path / tiny.WEDDING / "srv/wedding"
    found = describe(root)
    assert os.readlink(bytes(root) + b"/album/to nowhere") == b"../no\xffwhere"
    assert found[b"album"].mode == 0o2750
    assert found[b"album/to nowhere"].mtime_ns == -1
    assert found[b"pipe"].kind == "fifo"
    assert found[b"album/name 1"].names == (b"album/name 1", b"album/name 2")
    holes = b"\0" * 4096 + b"I " + b"\0" * 4094 + b"do.\n" + b"\0" * 804
    for path, data in tiny.SECOND_FILES.items():
        restored = (tmp_path / tiny.WEDDING / os.fsdecode(path)).read_bytes()
        assert restored == {b"hole": bytes(MIB), b"sparse": holes}.get(path.rpartition(b"/")[2], data)
        assert found[path.removeprefix(b"srv/wedding/")].mode == 0o640


def test_a_wedding_that_the_register_has_lost_is_restored_by_its_id(tmp_path: Path) -> None:
    """By the stranger, and shown by the engine."""
    kept = {name: data for name, data in tiny.kept().items() if not name.startswith("register/")}
    for name, data in kept.items():
        (tmp_path / "kept" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kept" / name).write_bytes(data)
    assert stranger.restore(tmp_path / "kept", world.PASSPHRASE, tmp_path / "back") == len(tiny.SECOND_FILES) + 4
    with Bench(_stored(kept), passphrase=world.PASSPHRASE) as bench:
        (lost,) = bench.repository.register.all()
        assert (lost.id, lost.name) == (tiny.WEDDING, f"lost-{tiny.WEDDING[:8]}")
        oldest = min(snapshot.body.time_ns for snapshot in bench.snapshots(partial=True, wedding=tiny.WEDDING))
        assert lost.date == dt.datetime.fromtimestamp(oldest // 10**9, dt.UTC).date()


def test_a_wrong_passphrase_opens_nothing(tmp_path: Path) -> None:
    """Neither for the engine nor for the stranger."""
    with pytest.raises(stranger.Refused):
        stranger.restore(tiny.KEPT, "battery staple", tmp_path)
    with pytest.raises(WedSyncError) as refused:
        Bench(_stored(tiny.kept()), passphrase="battery staple")
    assert refused.value.code == "wrong-passphrase"


def test_a_real_backup_is_restored_by_the_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of two segments, holes, hard links, odd names, many small files, fragments, chunk lists, two snapshots."""
    monkeypatch.setattr(recorder, "INLINE_CHUNKS_MAX", 16)  # 70 MiB are at least 18 chunks, wherever they are cut
    source, target = tmp_path / "source", tmp_path / "target"
    noise = random.Random(1).randbytes(5 * MIB)
    text = b"".join(b"line %d of a long list\n" % number for number in range(120_000))
    tree = {
        b"raw": file(),
        b"text": file(text),
        b"album": folder(mode=0o2750, mtime_ns=-1_500_000_000),
        b"album/\xff\n odd": file(b"odd", xattrs={b"user.a": b"\0b"}),
        b"album/again": file(link_to=b"raw"),
        b"album/nowhere": symlink(b"../\xfe", mtime_ns=7),
        b"empty": file(mode=0o400),
        **{b"small/%03d" % number: file(b"%d" % number * number) for number in range(300)},
    }
    build(source, tree)
    with open(source / "raw", "wb") as raw:
        raw.writelines(noise[number:] for number in range(14))
    with open(source / "holes", "wb") as holes:
        os.pwrite(holes.fileno(), b"data", 3 * MIB)
        os.truncate(holes.fileno(), 9 * MIB)
    with open(source / "hole", "wb") as hole:
        os.truncate(hole.fileno(), 2 * MIB)
    repository = tmp_path / "repository"
    with Bench(LocalStore(repository, create=True)) as bench:
        bench.repository.register.put(Wedding(id=WEDDING, name="smith-jones", date=dt.date(2026, 6, 20)))
        bench.backup(source)
        (source / "late").write_bytes(b"later")
        newest = bench.backup(source)
        with bench.repository.vault(WEDDING) as vault:
            assert vault.fragments() != []
            assert any(entry.chunk_lists for entry in vault.entries(newest))
    assert stranger.restore(repository, PASSPHRASE, target, recut_limit=RECUT_BYTES) == newest.body.counts.entries
    assert describe(target / WEDDING / str(source)[1:]) == describe(source)


@pytest.mark.parametrize("seed", [1, 2**63 - 1])
def test_the_chunker_is_the_one_of_the_page(seed: int) -> None:
    """pyfastcdc, a stream at a time, against the loop of section 4."""
    data = random.Random(seed).randbytes(3 * MIB) + b"ab" * MIB + random.Random(seed + 1).randbytes(MIB + 77)
    expected = list(stranger.cuts(data, seed))
    assert sum(expected) == len(data)
    assert Cutter(seed).cut(memoryview(bytearray(data)), is_end=True) == expected


@pytest.mark.parametrize("length", [1, 262_143, 262_144, 262_145, 262_146, 524_289])
def test_short_data_is_cut_as_the_page_says(length: int) -> None:
    """Up to the minimum it is one chunk; odd lengths keep their last byte."""
    data = random.Random(length).randbytes(length)
    assert Cutter(5).cut(memoryview(bytearray(data)), is_end=True) == list(stranger.cuts(data, 5))


def test_the_cut_points_differ_between_weddings_and_not_by_where_reading_stops() -> None:
    """The seed moves them; a unit that ends early does not."""
    data = memoryview(bytearray(random.Random(3).randbytes(6 * MIB)))
    whole = Cutter(7).cut(data, is_end=True)
    assert whole != Cutter(8).cut(data, is_end=True)
    first = Cutter(7).cut(data[: 5 * MIB], is_end=False)
    assert first == whole[: len(first)]
    assert first + Cutter(7).cut(data[sum(first) :], is_end=True) == whole


def test_the_snapshots_of_the_tiny_repository_have_the_payload_that_is_made_today() -> None:
    """Pressed or not, the same value in the same encoding."""
    for made, kept in zip(_bodies(tiny.build()), _bodies(tiny.kept()), strict=True):
        assert codec.encode(made) == codec.encode(kept)


def _bodies(objects: dict[str, bytes]) -> list[SnapshotObject]:
    with Bench(_stored(objects), passphrase=world.PASSPHRASE) as bench:
        return [item.body for item in bench.snapshots(wedding=tiny.WEDDING)]


def test_the_least_costs_are_those_of_tests_only() -> None:
    """The tiny repository is cheap to open; what people make is not."""
    costs = [keyring.slot_cost(data, name) for name, data in tiny.kept().items() if name.startswith("keys/")]
    assert costs == [keyring.KdfCost(1, 64, 1)]
    assert keyring.KdfCost() == keyring.KdfCost(iterations=3, memory_kib=64 * 1024, lanes=4)
