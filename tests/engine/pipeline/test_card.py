"""A card against what is kept: contents count, not names; what is not kept is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.base.errors import NotFound, Unavailable
from engine.pipeline.card import NAMED_MAX, CardOutcome, Kept, compare_card
from engine.pipeline.extents import DataMap, Extents
from engine.pipeline.filehash import hash_of_data
from engine.repository.entry import ALL_HOLE, FILE, FOLDER, Entry
from tests.privileges import plain_user, shared_folder

MIB = 1 << 20


def _kept(path: Path, extents: Extents = ()) -> Entry:
    """The entry of a file that stands there."""
    size = path.stat().st_size
    with path.open("rb") as opened:
        digest = hash_of_data(opened.fileno(), DataMap(size, extents), memoryview(bytearray(MIB)))
    return Entry(os.fsencode(path)[1:], FILE, 0o644, 0, 0, 0, size=size, extents=extents, hash=digest)


def _compared(card: Path, *entries: Entry) -> CardOutcome:
    kept = Kept()
    for entry in entries:
        kept.add(entry)
    return compare_card(os.fsencode(card), kept, lambda: False)


def _card(folder: Path) -> tuple[Path, list[Path]]:
    card = folder / "card"
    (card / "DCIM" / "100").mkdir(parents=True)
    files = [card / "DCIM" / "100" / "1.jpg", card / "DCIM" / "2.jpg", card / "empty"]
    for number, file in enumerate(files[:2]):
        file.write_bytes(bytes([number]) * 5000)
    files[2].touch()
    return card, files


def test_a_card_whose_files_are_all_kept_misses_nothing(tmp_path: Path) -> None:
    """Wherever it is mounted now, and whatever its files are called now."""
    card, files = _card(tmp_path)
    entries = [_kept(file) for file in files]
    card.rename(tmp_path / "moved")
    (tmp_path / "moved" / "empty").rename(tmp_path / "moved" / "renamed")
    assert _compared(tmp_path / "moved", *entries) == CardOutcome(3, 10_000)


def test_a_file_that_is_not_kept_is_named(tmp_path: Path) -> None:
    """One that came since, and one byte that is another at the same length."""
    card, files = _card(tmp_path)
    entries = [_kept(file) for file in files]
    files[1].write_bytes(files[1].read_bytes()[:-1] + b"x")
    (card / "new.jpg").write_bytes(b"new")
    found = _compared(card, *entries)
    assert (found.files, found.missing_total) == (4, 2)
    assert found.missing == [f"{card}/new.jpg is not in the snapshot", f"{files[1]} is not in the snapshot"]


def test_an_entry_that_is_no_file_keeps_nothing(tmp_path: Path) -> None:
    """An empty file is not a folder."""
    card, _ = _card(tmp_path)
    found = _compared(card, Entry(b"x", FOLDER, 0o755, 0, 0, 0))
    assert found.missing_total == 3


def test_a_copy_with_holes_keeps_the_whole_file(tmp_path: Path) -> None:
    """It was backed up from a disk that knows holes; the card has zeros there. Other bytes there are not kept."""
    card = tmp_path / "card"
    card.mkdir()
    data = b"a" * 4096 + bytes(8192) + b"b" * 4096
    (card / "film").write_bytes(data)
    (card / "zeros").write_bytes(bytes(4096))
    film = _kept(card / "film", ((0, 4096), (12288, 4096)))
    zeros = _kept(card / "zeros", ALL_HOLE)
    assert _compared(card, film, zeros).missing_total == 0
    (card / "film").write_bytes(data[:5000] + b"!" + data[5001:])
    (card / "zeros").write_bytes(bytes(4095) + b"!")
    assert _compared(card, film, zeros).missing_total == 2


def test_a_file_of_several_segments_is_hashed_as_the_manifest_has_it(tmp_path: Path) -> None:
    """One of 64 MiB and a byte, sparse, so that it costs nothing."""
    large = tmp_path / "card" / "large"
    large.parent.mkdir()
    with large.open("wb") as file:
        file.truncate(64 * MIB + 1)
    entry = _kept(large)
    assert _compared(large.parent, entry).missing_total == 0
    with large.open("r+b") as file:
        file.seek(64 * MIB)
        file.write(b"x")
    assert _compared(large.parent, entry).missing_total == 1


def test_what_cannot_be_read_or_is_no_file_is_missing() -> None:
    """Nobody may take it for kept."""
    with shared_folder() as folder:
        with plain_user():
            card, files = _card(folder)
            entries = [_kept(file) for file in files]
            (card / "link").symlink_to("empty")
            os.mkfifo(card / "fifo")
            files[0].chmod(0)
            (card / "DCIM" / "closed").mkdir(mode=0)
            found = _compared(card, *entries)
            (card / "DCIM" / "closed").chmod(0o700)
    said = sorted(line.rpartition("/")[2] for line in found.missing)
    assert said[0] == "1.jpg cannot be read: permission denied"
    assert said[1] == "closed cannot be read: permission denied"
    assert said[2:] == ["fifo is no regular file, so it is not compared", "link is no regular file"]


def test_of_very_many_only_the_first_are_named(tmp_path: Path) -> None:
    """All are counted."""
    for number in range(NAMED_MAX + 5):
        (tmp_path / f"{number:03}").touch()
    found = _compared(tmp_path)
    assert (len(found.missing), found.missing_total) == (NAMED_MAX, NAMED_MAX + 5)


def test_a_comparison_can_be_stopped_and_a_card_must_be_there(tmp_path: Path) -> None:
    card, _ = _card(tmp_path)
    with pytest.raises(Unavailable, match="stopped"):
        compare_card(os.fsencode(card), Kept(), lambda: True)
    asked = iter([False, False, True])
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / "film").open("wb") as film:
        film.truncate(64 * MIB)  # of which four are read
    with pytest.raises(Unavailable, match="stopped"):
        compare_card(os.fsencode(tmp_path / "one"), Kept(), lambda: next(asked))
    with pytest.raises(NotFound, match="no folder"):
        compare_card(os.fsencode(tmp_path / "nowhere"), Kept(), lambda: False)
