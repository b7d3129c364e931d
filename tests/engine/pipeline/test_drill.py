"""Drills: how the sample is drawn, and that nothing which came back otherwise goes unnoticed."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.base.entropy import SystemEntropy
from engine.pipeline import drill
from engine.pipeline.drill import DrillOutcome, DrillRun, Sample, album, sample
from engine.pipeline.targets.folder import FolderTarget
from engine.pipeline.targets.target import FileWriter
from engine.repository.entry import FILE, FOLDER, Entry
from tests.vaults import WEDDING, Bench


def entries_of(count: int) -> list[Entry]:
    files = [Entry(b"card/%04d" % number, FILE, 0o644, 0, 0, 0, size=10, hash=b"h" * 32) for number in range(count)]
    return [Entry(b"card", FOLDER, 0o755, 0, 0, 0), *files]


def test_each_file_is_as_likely_as_any_other() -> None:
    drawn = Counter(entry.path for seed in range(4000) for entry in sample(entries_of(8), 2, random.Random(seed)))
    assert len(drawn) == 8
    assert all(900 <= times <= 1100 for times in drawn.values())


def test_a_sample_has_no_file_twice_and_no_more_than_there_are() -> None:
    for count in (1, 3, 8, 20):
        paths = [entry.path for entry in sample(entries_of(8), count, random.Random(1))]
        assert len(paths) == len(set(paths)) == min(count, 8)
    assert sample([], 5, random.Random(1)) == []


def test_of_several_names_of_one_file_one_is_drawn() -> None:
    names = [
        Entry(b"card/%d" % number, FILE, 0o644, 0, 0, 0, link_group=7, size=1, hash=b"h" * 32) for number in range(5)
    ]
    assert len(sample(names, 5, random.Random(1))) == 1


def test_a_sample_is_cut_where_it_grows_too_large_but_never_to_nothing(monkeypatch: object) -> None:
    large = [
        Entry(b"card/%d" % number, FILE, 0o644, 0, 0, 0, size=drill.BYTES_MAX // 2, hash=b"h" * 32)
        for number in range(5)
    ]
    assert len(sample(large, 5, random.Random(1))) == 2
    huge = Entry(b"film", FILE, 0o644, 0, 0, 0, size=3 * drill.BYTES_MAX, hash=b"h" * 32)
    assert sample([huge], 5, random.Random(1)) == [huge]


@dataclass
class _RottenWriter:
    """Loses a bit of the file on its way to the disk."""

    inner: FileWriter
    path: Path

    def write_at(self, offset: int, data: memoryview) -> None:
        self.inner.write_at(offset, data)

    def commit(self) -> bool:
        stands = self.inner.commit()
        before = self.path.stat()
        data = bytearray(self.path.read_bytes())
        data[0] ^= 1
        self.path.write_bytes(data)
        os.utime(self.path, ns=(before.st_mtime_ns, before.st_mtime_ns))
        return stands

    def abort(self, reason: str) -> None:
        self.inner.abort(reason)


class _RottenTarget(FolderTarget):
    """A folder on a disk that spoils `spoilt`."""

    root = Path()
    spoilt = b""

    def begin(self, entry: Entry) -> FileWriter | None:  # type: ignore[override]
        writer = super().begin(entry)
        if writer is None or entry.path != self.spoilt:
            return writer
        return _RottenWriter(writer, self.root / os.fsdecode(entry.path))


def drilled(bench: Bench, root: Path, target: FolderTarget) -> DrillOutcome:
    with bench.repository.vault(WEDDING) as vault:
        snapshot = vault.find_snapshot("latest")
        entries = sample(vault.entries(snapshot), 100, random.Random(1))
        outcome = bench.run(DrillRun(vault, snapshot, Sample(entries), target, root=os.fsencode(root)))
        assert isinstance(outcome, DrillOutcome)
        return outcome


def card(folder: Path) -> Path:
    """Small files, one of several segments' kind (sparse), one empty."""
    source = folder / "card"
    source.mkdir()
    for number in range(30):
        (source / f"IMG_{number:02}.JPG").write_bytes(random.Random(number).randbytes(3000 + number))
    (source / "empty").touch()
    with (source / "film.mov").open("wb") as film:
        film.write(b"begin" * 1000)
        film.seek(70 * 1024 * 1024)
        film.write(b"end")
    return source


def test_a_drill_of_what_is_whole_compares_every_file_with_its_hash_and_its_source(tmp_path: Path) -> None:
    root = tmp_path / "scratch"
    with Bench() as bench:
        bench.backup(card(tmp_path))
        outcome = drilled(bench, root, FolderTarget(os.fsencode(root), entropy=SystemEntropy()))
    assert (outcome.problems, outcome.source_changes) == ((), ())
    assert outcome.files == outcome.compared_with_source == 32
    assert 0.0 <= outcome.first_file_s <= outcome.restored_s


def test_a_disk_that_spoils_a_bit_is_found_out(tmp_path: Path) -> None:
    root, source = tmp_path / "scratch", card(tmp_path)
    with Bench() as bench:
        bench.backup(source)
        target = _RottenTarget(os.fsencode(root), entropy=SystemEntropy())
        target.root, target.spoilt = root, os.fsencode(source / "IMG_07.JPG")[1:]
        outcome = drilled(bench, root, target)
    assert outcome.problems == (f"{source}/IMG_07.JPG: came back with other bytes",)
    assert outcome.compared_with_source == 31


def test_a_source_that_rotted_in_silence_is_told(tmp_path: Path) -> None:
    root, source = tmp_path / "scratch", card(tmp_path)
    with Bench() as bench:
        bench.backup(source)
        image = source / "IMG_03.JPG"
        before = image.stat()
        image.write_bytes(image.read_bytes()[:-1] + b"?")
        os.utime(image, ns=(before.st_mtime_ns, before.st_mtime_ns))
        outcome = drilled(bench, root, FolderTarget(os.fsencode(root), entropy=SystemEntropy()))
    assert outcome.problems == ()
    assert outcome.source_changes == (
        f"{image} has other bytes than when it was backed up, behind the same size and time",
    )


def _files(*sizes: int) -> list[Entry]:
    return [Entry(b"%03d" % number, FILE, 0o644, 0, 0, 0, size=size) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 200), st.integers(0, 2**32))
def test_an_album_is_files_that_lie_together(sizes: list[int], wanted: int, seed: int) -> None:
    """As much as is asked for, or all there is; without its last file it would be too little."""
    entries = _files(*sizes)
    chosen = album(entries, wanted, random.Random(seed))
    if chosen:
        first = entries.index(chosen[0])
        assert chosen == entries[first : first + len(chosen)]
    total = sum(entry.size for entry in chosen)
    assert total >= min(wanted, sum(sizes))
    assert not chosen or total - chosen[-1].size < wanted


def test_an_album_begins_anywhere() -> None:
    """Not at the first file of the card alone."""
    entries = _files(*[10] * 20)
    firsts = {album(entries, 50, random.Random(seed))[0].path for seed in range(200)}
    assert len(firsts) >= 14
