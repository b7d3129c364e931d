"""Restoring from a repository that is not whole, onto disks that are not large enough, and stopping in the middle."""

from __future__ import annotations

import errno
import gc
import io
import math
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, LimitReached
from engine.base.units import MIB
from engine.contract.settings import UNIT_BYTES
from engine.pipeline import plan
from engine.pipeline.plan import Selection
from engine.pipeline.pool import Buffers, Cancelled
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.archive import TarTarget, ZipTarget
from engine.pipeline.targets.folder import FolderTarget
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.index import Location
from engine.storage.stores import syscalls
from engine.storage.stores.open import open_store
from tests.engine.storage.stores.disks import small_disk
from tests.trees import Tree, build, describe, file
from tests.vaults import WEDDING, Bench

NAMES = tuple(b"IMG_%02d.nef" % number for number in range(12))


def _photos() -> Tree:
    return {name: file(random.Random(name).randbytes(MIB + 1000 * at)) for at, name in enumerate(NAMES)}


@pytest.fixture
def disk_bench(tmp_path: Path) -> Bench:
    """On a disk, with twelve photos of a MiB backed up from `source`."""
    build(tmp_path / "source", _photos())
    return Bench(open_store(f"file://{tmp_path}/store", create=True))


def _held() -> int:
    """Descriptors of this process, but for the memory of streams, which stays with them."""
    links = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
    return sum(not link.startswith("/memfd:") for link in links)


def _blobs(bench: Bench, name: bytes) -> list[Location]:
    """Where the chunks of a file lie."""
    with bench.repository.vault(WEDDING) as vault:
        (entry,) = [each for each in vault.entries(vault.find_snapshot("latest")) if each.path.endswith(name)]
        return [vault.locate(entry.chunks[at : at + 32]) for at in range(0, len(entry.chunks), 32)]


def _retrieved(bench: Bench, source: Path, back: Path) -> tuple[set[bytes], str]:
    """What came back, all of it right, and what was said about the rest."""
    said = ""
    try:
        with bench.repository.vault(WEDDING) as vault:
            target = FolderTarget(bytes(back), entropy=bench.entropy, strip_prefix=bytes(source))
            bench.run(RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target))
    except IntegrityError as error:
        said = error.line()
    expected, found = describe(source), describe(back)
    assert all(found[path] == expected[path] for path in found if path)
    assert not [name for name in os.listdir(back) if name.startswith(".wedsync-")]
    return set(found) - {b""}, said


def _targets(bench: Bench, folder: Path) -> list[RestoreTarget]:
    return [FolderTarget(bytes(folder), entropy=bench.entropy), TarTarget(io.BytesIO()), ZipTarget(io.BytesIO())]


def test_what_a_retrieval_brings_back_is_charged_whatever_it_is_written_to(disk_bench: Bench, tmp_path: Path) -> None:
    """So its class's share and limit hold for archives as they do for folders."""
    with disk_bench as bench:
        snapshot = bench.backup(tmp_path / "source")
        for target in _targets(bench, tmp_path / "back"):
            before = bench.pool.served["retrieval"]
            with bench.repository.vault(WEDDING) as vault:
                run = RestoreRun(vault, snapshot, Selection(), target)
                run.reclassify("retrieval")
                bench.run(run)
            charged = bench.pool.served["retrieval"] - before
            assert snapshot.body.counts.bytes_source <= charged < 1.2 * snapshot.body.counts.bytes_source


def test_a_retrieval_is_due_until_it_was_given_its_first_bytes(disk_bench: Bench, tmp_path: Path) -> None:
    """However much is left then: no further turn is taken from others for its deadline."""
    with disk_bench as bench:
        snapshot = bench.backup(tmp_path / "source")
        for target in _targets(bench, tmp_path / "back"):
            with bench.repository.vault(WEDDING) as vault:
                run = RestoreRun(vault, snapshot, Selection(), target)
                run.accepted_s = 5.0
                unit = run.take(idle=True)
                assert unit is not None
                assert run.accepted_s == -math.inf
                assert run.progress.first_sealed_monotonic is None
                unit(Buffers(bench.clock, 1))
                assert run.progress.first_sealed_monotonic is not None
                run.abort()


def test_a_bad_sector_costs_the_file_that_lies_on_it(
    disk_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses to read a place in the middle of a pack; verify tells of it too."""
    with disk_bench as bench:
        bench.backup(tmp_path / "source")
        bad = _blobs(bench, NAMES[5])[0].offset + 100
        read_at: Callable[[int, memoryview, int], int] = syscalls.read_at

        def refusing(fd: int, buffer: memoryview, offset: int) -> int:
            is_pack = "/packs/" in os.readlink(f"/proc/self/fd/{fd}")
            if is_pack and offset <= bad < offset + len(buffer):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read_at(fd, buffer, offset)

        monkeypatch.setattr(syscalls, "read_at", refusing)
        found, said = _retrieved(bench, tmp_path / "source", tmp_path / "back")
        assert found == set(NAMES) - {NAMES[5]}
        assert "IMG_05.nef" in said
        assert "the disk cannot read" in said
        (problem, *_) = bench.verify().problems
        assert "the disk cannot read" in problem


def test_a_pack_cut_short_costs_what_lies_behind_the_cut(disk_bench: Bench, tmp_path: Path) -> None:
    """Files before it come back, though they would have been read in one go with those behind."""
    with disk_bench as bench:
        bench.backup(tmp_path / "source")
        place = _blobs(bench, NAMES[7])[0]
        pack = tmp_path / "store" / "weddings" / WEDDING / "packs" / place.pack.name.hex()
        os.truncate(pack, place.offset + 1)
        found, said = _retrieved(bench, tmp_path / "source", tmp_path / "back")
        behind = {name for name in NAMES if any(each.offset >= place.offset for each in _blobs(bench, name))}
        assert NAMES[7] in behind
        assert found == set(NAMES) - behind
        assert f"and {len(behind) - 1} more" in said


def test_a_missing_pack_costs_its_files(disk_bench: Bench, tmp_path: Path) -> None:
    """And nothing else: a later snapshot's files are in other packs."""
    with disk_bench as bench:
        bench.backup(tmp_path / "source")
        (tmp_path / "source" / "later").write_bytes(b"later" * 1000)
        bench.backup(tmp_path / "source")
        place = _blobs(bench, NAMES[0])[0]
        (tmp_path / "store" / "weddings" / WEDDING / "packs" / place.pack.name.hex()).unlink()
        found, said = _retrieved(bench, tmp_path / "source", tmp_path / "back")
        assert found == {b"later"}
        assert "11 more" in said


def test_an_archive_holds_what_could_be_read(disk_bench: Bench, tmp_path: Path) -> None:
    """A damaged file is left out of the tar, or filled and named; the others are whole."""
    with disk_bench as bench:
        bench.backup(tmp_path / "source")
        place = _blobs(bench, NAMES[3])[0]
        pack = tmp_path / "store" / "weddings" / WEDDING / "packs" / place.pack.name.hex()
        with open(pack, "r+b") as opened:
            os.pwrite(opened.fileno(), b"\0" * 64, place.offset + 500)
        output = io.BytesIO()
        with bench.repository.vault(WEDDING) as vault:
            target = TarTarget(output, strip_prefix=bytes(tmp_path / "source"))
            with pytest.raises(IntegrityError, match="IMG_03"):
                bench.run(RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target))
        output.seek(0)
        with tarfile.open(fileobj=output) as archive:
            members = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
            whole = {name.decode() for name in NAMES} - {NAMES[3].decode()}
            assert whole <= set(members)
            for name in whole:
                member = members[name]
                assert member is not None
                assert member.read() == (tmp_path / "source" / name).read_bytes()


def test_an_archive_holds_no_more_of_a_file_in_memory_than_a_buffer(bench: Bench, tmp_path: Path) -> None:
    """Chunks may be four times their usual length each."""
    build(tmp_path / "source", {b"film": file(_of_longest_chunks(6))})
    bench.backup(tmp_path / "source")
    held: list[int] = []

    class Watched(RestoreRun):
        def _plan_batch(self, bytes_max: int, files_max: int) -> list[tuple[Location, plan.Piece]]:
            needed = super()._plan_batch(bytes_max, files_max)
            held.append(sum(location.length for location, _ in needed))
            return needed

    archive = io.BytesIO()
    with bench.repository.vault(WEDDING) as vault:
        bench.run(Watched(vault, vault.find_snapshot("latest"), Selection(), TarTarget(archive)))
    assert sum(held) == 24 * MIB
    assert max(held) <= UNIT_BYTES
    with tarfile.open(fileobj=io.BytesIO(archive.getvalue())) as tar:
        (member,) = [each for each in tar if each.isfile()]
        stream = tar.extractfile(member)
        assert stream is not None
        assert stream.read() == _of_longest_chunks(6)


def _of_longest_chunks(count: int) -> bytes:
    """Nothing in zeros makes a cut, and the number of each chunk lies before where cuts are looked for."""
    return b"".join(number.to_bytes(8, "little") + bytes(4 * MIB - 8) for number in range(1, count + 1))


def test_a_full_target_ends_the_restore_in_one_line(bench: Bench, tmp_path: Path) -> None:
    """What is there is whole, nothing half-done is left, and the rest comes once there is room."""
    source = tmp_path / "source"
    build(source, _photos())
    bench.backup(source)
    with small_disk(tmp_path / "disk", size_bytes=6 * MIB) as disk:
        with bench.repository.vault(WEDDING) as vault:
            target = FolderTarget(bytes(disk / "back"), entropy=bench.entropy, strip_prefix=bytes(source))
            with pytest.raises(LimitReached):
                bench.run(RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target))
        expected, found = describe(source), describe(disk / "back")
        for path in set(found) - {b""}:
            assert found[path].digest == expected[path].digest
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_cancelled_restore_leaves_nothing_half_done(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """Files that are whole stay, and a second go makes the rest."""
    source, back = tmp_path / "source", tmp_path / "back"
    build(source, _photos())
    bench.backup(source)
    monkeypatch.setattr(plan, "UNIT_BYTES", 2 * MIB)
    gc.collect()  # what other tests have left must not go in the middle of this one
    before = _held()
    with bench.repository.vault(WEDDING) as vault:
        target = FolderTarget(bytes(back), entropy=bench.entropy, strip_prefix=bytes(source))
        run = RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target)
        next_unit = run.next_unit
        given = 0

        def stopping(*, idle: bool) -> object:
            nonlocal given
            given += 1
            if given > pieces:
                run.cancel()
                return None
            return next_unit(idle=idle)

        monkeypatch.setattr(run, "next_unit", stopping)
        bench.pool.submit(run)
        assert isinstance(run.done.exception(60), Cancelled)
    assert _held() == before
    expected, found = describe(source), describe(back)
    assert all(found[path].digest == expected[path].digest for path in found)
    assert not [name for name in os.listdir(back) if name.startswith(".wedsync-")]
    bench.retrieve(back, strip=source, overwrite="changed")
    assert describe(back) == expected


def test_the_plan_counts_what_the_restore_reads(bench: Bench, tmp_path: Path) -> None:
    """Files, bytes and packs; blobs that files share count once."""
    source = tmp_path / "source"
    build(source, {**_photos(), b"copy.nef": _photos()[NAMES[0]]})
    snapshot = bench.backup(source)
    with bench.repository.vault(WEDDING) as vault:
        counts = plan.plan(vault, snapshot, Selection(), [])
    sizes = [path.stat().st_size for path in source.iterdir()]
    assert (counts.files, counts.bytes_restored, counts.packs) == (13, sum(sizes), 1)
    once = sum(sizes) - (source / "copy.nef").stat().st_size
    assert once < counts.bytes_fetched < once + 1000 * 16
    outcome = bench.retrieve(tmp_path / "back", strip=source)
    assert (outcome.files, outcome.bytes_restored) == (counts.files, counts.bytes_restored)
