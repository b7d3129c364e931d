"""What an entry cannot hold becomes a warning, never a snapshot that cannot be written or read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.pipeline import source
from engine.pipeline.excludes import Excludes
from engine.pipeline.walk import WalkItem, walk
from engine.repository.entry import TIME_NS_MAX, XATTR_BYTES_MAX
from engine.repository.manifest import SEGMENT_BYTES_MAX
from engine.repository.pack import BLOB_CONTENT_BYTES_MAX

LATER_NS = 20_000_000_000 * 10**9


def _only_item(path: Path) -> WalkItem:
    (item,) = walk([bytes(path)], excludes=Excludes())
    assert isinstance(item, WalkItem)
    return item


def test_attributes_are_kept_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems hold megabytes of them; a manifest segment has to fit a blob."""
    assert SEGMENT_BYTES_MAX + XATTR_BYTES_MAX + 1024 * 1024 < BLOB_CONTENT_BYTES_MAX
    path = tmp_path / "file"
    path.touch()
    for name in (b"user.a", b"user.b", b"user.c"):
        os.setxattr(path, name, b"x" * 100)
    monkeypatch.setattr(source, "XATTR_BYTES_MAX", 250)
    with source.SourceFile(_only_item(path)) as opened:
        entry, problems = source.entry_of_file(_only_item(path).path, opened, now_ns=LATER_NS)
    assert [name for name, _ in entry.xattrs] == [b"user.a", b"user.b"]
    assert len(problems) == 1
    assert "attributes" in problems[0]


def test_a_time_that_no_payload_can_hold_is_kept_as_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tmpfs takes any 64-bit second; nanoseconds of such a time fit no MessagePack number."""
    path = tmp_path / "link"
    path.symlink_to("nowhere")
    os.utime(path, ns=(7_000_000_000, 7_000_000_000), follow_symlinks=False)
    monkeypatch.setattr(source, "TIME_NS_MAX", 5_000_000_000)
    entry, problems = source.entry_of(_only_item(path), now_ns=LATER_NS)
    assert entry.mtime_ns == 5_000_000_000
    assert len(problems) == 1
    assert TIME_NS_MAX == 2**64 - 1
