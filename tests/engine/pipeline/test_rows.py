"""Rows: what a scan finds unchanged, together; nothing lost, nothing out of order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pipeline import rows
from engine.pipeline.rows import Row, in_rows
from engine.pipeline.scan import Changed, Metadata, Scanned, Unchanged
from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.entry import FILE, FOLDER, Entry
from tests.trees import build, file
from tests.vaults import Bench


def _entry(number: int, kind: int = FILE) -> Entry:
    path = b"%04d" % number
    return Entry(path=path, kind=kind, mode=0, uid=0, gid=0, mtime_ns=0, hash=bytes(32 * (kind == FILE)))


def _scanned(kinds: Iterable[str]) -> list[Scanned]:
    """One thing for each letter, its number in its path."""
    made: list[Scanned] = []
    for number, kind in enumerate(kinds):
        item = WalkItem(b"%04d" % number, None, b"", None)  # type: ignore[arg-type]
        each: dict[str, Scanned] = {
            "u": Unchanged(item, _entry(number)),
            "l": Unchanged(item, _entry(number), is_parents=False),
            "m": Metadata(item, _entry(number, FOLDER), is_parents=True),
            "n": Metadata(item, _entry(number, FOLDER)),
            "c": Changed(item, None),
            "w": WalkWarning(item.path, "cannot be read"),
        }
        made.append(each[kind])
    return made


def _paths(found: Iterable[object]) -> list[bytes]:
    return [
        path
        for each in found
        if not isinstance(each, WalkWarning)
        for path in ([entry.path for entry in each.entries] if isinstance(each, Row) else [each.item.path])  # type: ignore[attr-defined]
    ]


@given(kinds=st.text("ulmncw", max_size=40), lost=st.sets(st.integers(0, 40)))
def test_every_thing_comes_once_and_in_order(kinds: str, lost: set[int]) -> None:
    """A file whose contents are lost is one to read; whatever is in a row has its contents."""
    scanned = _scanned(kinds)
    gone = {b"%04d" % number for number in lost}
    found = list(in_rows(scanned, lambda entries: any(entry.path in gone for entry in entries)))
    assert _paths(found) == [each.item.path for each in scanned if not isinstance(each, WalkWarning)]
    assert [each for each in found if isinstance(each, WalkWarning)] == [
        each for each in scanned if isinstance(each, WalkWarning)
    ]
    entries = [entry for each in found if isinstance(each, Row) for entry in each.files]
    assert not gone & {entry.path for entry in entries}
    read = {each.path for each in found if isinstance(each, Changed)}
    assert read == {b"%04d" % at for at, kind in enumerate(kinds) if kind == "c" or (kind in "ul" and at in lost)}
    named = {entry.path for each in found if isinstance(each, Row) and each.are_parents for entry in each.entries}
    assert named <= {b"%04d" % at for at, kind in enumerate(kinds) if kind in "um"}


def test_the_index_is_asked_once_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a row is bounded, so that no more than so many entries wait in memory."""
    monkeypatch.setattr(rows, "ROW_ENTRIES_MAX", 10)
    asked: list[int] = []

    def lacks(entries: Iterable[Entry]) -> bool:
        asked.append(len(list(entries)))
        return False

    assert [len(each.entries) for each in in_rows(_scanned("u" * 25), lacks) if isinstance(each, Row)] == [10, 10, 5]
    assert asked == [10, 10, 5]


def test_an_unchanged_tree_names_the_segments_of_its_parent(bench: Bench, tmp_path: Path) -> None:
    """All but the last: nothing of the manifest is stored again."""
    build(tmp_path, {b"%04d" % number: file(b"%d" % number) for number in range(3000)})
    first, second = bench.backup(tmp_path), bench.backup(tmp_path)
    assert first.body.segments
    assert second.body.segments == first.body.segments
    assert second.body.counts.files_unchanged == 3000
    assert second.body.counts.bytes_stored == 0
    assert bench.entries(second) == bench.entries(first)
