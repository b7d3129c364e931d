"""What a run shows of itself: when it has ended well, what it dealt with is what it had before it, to the byte."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.units import MIB
from engine.pipeline import backup, reading, units
from engine.pipeline.backup import BackupRun
from engine.pipeline.plan import Selection
from engine.pipeline.pool import Buffers, Progress
from engine.pipeline.restore import RestoreRun
from engine.pipeline.source import SourceFile
from engine.pipeline.targets.archive import TarTarget
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.targets.target import RestoreTarget
from tests.privileges import plain_user, shared_folder
from tests.trees import Node, Tree, build, file
from tests.vaults import WEDDING, Bench

SPARSE = Node(data=((0, b"a" * 4096), (2 * MIB, b"b" * 4096)), size=5 * MIB)
LARGE_AND_SPARSE = Node(data=((0, b"a" * 9 * MIB), (20 * MIB, b"b" * 9 * MIB)), size=31 * MIB)
TREE: Tree = {
    b"first": file(b"1" * 5000),
    b"other name": Node(link_to=b"first"),
    b"small": SPARSE,
    b"third name": Node(link_to=b"first"),
}
TREE_BYTES = 3 * 5000 + 5 * MIB


@pytest.fixture
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 16 MiB and units of 8, so that a large file need not be very large."""
    for module in (units, reading, backup):
        for name, size_bytes in (("UNIT_BYTES", 8 * MIB), ("SEGMENT_BYTES", 16 * MIB)):
            monkeypatch.setattr(module, name, size_bytes, raising=False)
    monkeypatch.setattr(backup, "parse_bytes", lambda text: 8 * MIB)  # what settings say of a unit


def _backed_up(bench: Bench, source: Path) -> Progress:
    with bench.backing_up(source) as run:
        bench.run(run)
    return run.progress


def _retrieved(bench: Bench, target: RestoreTarget) -> Progress:
    with bench.repository.vault(WEDDING) as vault:
        run = RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target)
        bench.run(run)
    return run.progress


def _is_full(progress: Progress) -> bool:
    of_bytes, of_files = (progress.bytes_read, progress.bytes_total), (progress.files_done, progress.files_total)
    return of_bytes[0] == of_bytes[1] and of_files[0] == of_files[1]


def _after_each_read(monkeypatch: pytest.MonkeyPatch, name: str, mutate: Callable[[Path], None]) -> None:
    read_into = SourceFile.read_into

    def hooked(source: SourceFile, buffer: memoryview, data_offset: int) -> int:
        path = Path(os.readlink(f"/proc/self/fd/{source.fd}"))
        count = read_into(source, buffer, data_offset)
        if path.name == name:
            mutate(path)
        return count

    monkeypatch.setattr(SourceFile, "read_into", hooked)


# --- backing up -------------------------------------------------------------------------------------------


def test_a_backup_counts_holes_and_other_names(bench: Bench, tmp_path: Path) -> None:
    build(tmp_path / "source", TREE)
    for _ in ("first", "unchanged"):
        progress = _backed_up(bench, tmp_path / "source")
        assert (progress.bytes_read, progress.files_done) == (TREE_BYTES, 4)
        assert _is_full(progress)


@pytest.mark.usefixtures("small_units")
def test_a_backup_counts_the_holes_of_a_large_file(bench: Bench, tmp_path: Path) -> None:
    build(tmp_path / "source", {b"large": LARGE_AND_SPARSE})
    progress = _backed_up(bench, tmp_path / "source")
    assert progress.bytes_read == 31 * MIB
    assert _is_full(progress)


@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("size_bytes", [5_000, 18 * MIB])
@pytest.mark.parametrize("by_bytes", [-500, 500])
def test_a_file_that_keeps_changing_counts_as_long_as_it_was_met(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, size_bytes: int, by_bytes: int
) -> None:
    """It is read twice, and counts once; the snapshot counts what it holds of it."""
    build(tmp_path / "source", {b"a": file(b"1" * 100), b"victim": file(b"v" * size_bytes), b"z": file(b"2" * 100)})
    _after_each_read(monkeypatch, "victim", lambda path: os.truncate(path, max(1, path.stat().st_size + by_bytes)))
    progress = _backed_up(bench, tmp_path / "source")
    assert progress.bytes_total == size_bytes + 200
    assert _is_full(progress)
    (snapshot,) = bench.snapshots()
    assert snapshot.body.counts.bytes_source == sum(entry.size for entry in bench.entries(snapshot))


def test_a_file_that_cannot_be_read_is_dealt_with_and_not_in_the_snapshot(bench: Bench) -> None:
    """Neither as a file nor with its bytes: a retrieval would wait for them at its end."""
    with shared_folder() as shared:
        with plain_user():
            build(shared / "source", {b"a": file(b"1" * 100), b"closed": file(b"2" * 900, mode=0)})
            progress = _backed_up(bench, shared / "source")
        assert (progress.bytes_total, progress.files_total, progress.warnings) == (1000, 2, 1)
        assert _is_full(progress)
        (snapshot,) = bench.snapshots()
        assert (snapshot.body.counts.files, snapshot.body.counts.bytes_source) == (1, 100)
        back = _retrieved(bench, FolderTarget(bytes(shared / "back"), entropy=bench.entropy))
        assert back.bytes_total == 100
        assert _is_full(back)


def test_progress_never_runs_past_its_total_nor_back(bench: Bench, tmp_path: Path) -> None:
    """Looked at after each unit."""
    build(tmp_path / "source", {**TREE, b"zz": file(b"z" * MIB)})
    shown: list[int] = []

    class Watched(BackupRun):
        def _advance(self, buffers: Buffers, *, read_bytes: int, stored_bytes: int) -> None:
            super()._advance(buffers, read_bytes=read_bytes, stored_bytes=stored_bytes)
            shown.append(self.progress.bytes_read)

    with bench.repository.vault(WEDDING) as vault:
        run = Watched(
            vault,
            bench.request(tmp_path / "source"),
            clock=bench.clock,
            entropy=bench.entropy,
            settings=bench.settings,
        )
        bench.run(run)
    assert shown == sorted(shown)
    assert shown[-1] == run.progress.bytes_total == TREE_BYTES + MIB


# --- retrieving -------------------------------------------------------------------------------------------


def test_a_retrieval_counts_other_names_and_holes(bench: Bench, tmp_path: Path) -> None:
    """And tells apart what it had no need to write."""
    build(tmp_path / "source", TREE)
    bench.backup(tmp_path / "source")
    progress = _retrieved(bench, FolderTarget(bytes(tmp_path / "back"), entropy=bench.entropy))
    assert (progress.bytes_read, progress.bytes_reused) == (TREE_BYTES, 2 * 5000)
    assert _is_full(progress)


@pytest.mark.parametrize("overwrite", ["never", "changed"])
def test_a_retrieval_counts_what_it_keeps(bench: Bench, tmp_path: Path, overwrite: Overwrite) -> None:
    build(tmp_path / "source", TREE)
    bench.backup(tmp_path / "source")
    for kept_bytes in (2 * 5000, TREE_BYTES):
        target = FolderTarget(bytes(tmp_path / "back"), entropy=bench.entropy, overwrite=overwrite)
        progress = _retrieved(bench, target)
        assert progress.bytes_reused == kept_bytes
        assert _is_full(progress)


def test_a_retrieval_into_an_archive_counts_all_of_it(bench: Bench, tmp_path: Path) -> None:
    build(tmp_path / "source", TREE)
    bench.backup(tmp_path / "source")
    progress = _retrieved(bench, TarTarget(io.BytesIO()))
    assert progress.bytes_read == TREE_BYTES
    assert _is_full(progress)
