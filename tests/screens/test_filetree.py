"""The tree of a snapshot: known piece by piece, chosen whole or in parts, drawn in exactly its width."""

from __future__ import annotations

from typing import Literal

import pytest

from engine.contract.rows import EntryRow
from screens.filetree import FileTree
from screens.text import width_of


def entry(path: str, kind: Literal["file", "folder", "symlink"] = "file", size: int = 0) -> EntryRow:
    """One entry of a snapshot."""
    return EntryRow(path=path, type=kind, mode="0644", uid=0, gid=0, modified="2026-06-20T14:00:00Z", size=size)


@pytest.fixture
def tree() -> FileTree:
    """Two folders and a file, the first folder open."""
    tree = FileTree()
    tree.fill("/", [entry("/notes.txt", size=812), entry("/card", "folder"), entry("/misc", "folder")])
    tree.fill("/card", [entry("/card", "folder"), entry("/card/a.raw", size=25_000_000), entry("/card/b", "symlink")])
    return tree


def words(tree: FileTree, width: int = 40) -> list[str]:
    """The rows as text."""
    return ["".join(span.text for span in row.line).rstrip() for row in tree.rows(width)]


def test_folders_come_first_and_show_what_is_in_them_once_it_is_known(tree: FileTree) -> None:
    assert words(tree) == [
        "[ ] ▾ card/                      2 in it",
        "[ ]     a.raw                    25.0 MB",
        "[ ]     b                        symlink",
        "[ ] ▸ misc/",
        "[ ]   notes.txt                    812 B",
    ]


def test_a_chosen_folder_takes_all_that_is_in_it(tree: FileTree) -> None:
    card, raw = tree.find("/card"), tree.find("/card/a.raw")
    assert card is not None
    assert raw is not None
    raw.is_chosen = card.is_chosen = True
    assert [node.entry.path for node in tree.chosen()] == ["/card"]
    assert raw.is_taken
    assert words(tree)[1].startswith("[x]")


def test_a_closed_folder_hides_what_is_in_it_and_keeps_what_was_chosen(tree: FileTree) -> None:
    card, raw = tree.find("/card"), tree.find("/card/a.raw")
    assert card is not None
    assert raw is not None
    raw.is_chosen, card.is_open = True, False
    assert [node.name for node in tree.visible()] == ["card", "misc", "notes.txt"]
    assert [node.entry.path for node in tree.chosen()] == ["/card/a.raw"]


def test_a_folder_that_was_listed_in_part_says_so(tree: FileTree) -> None:
    tree.fill("/misc", [entry("/misc/1")], truncated=True)
    assert any(line.endswith("1+") for line in words(tree))


@pytest.mark.parametrize("width", [1, 12, 34, 90])
def test_every_row_takes_exactly_its_width(tree: FileTree, width: int) -> None:
    assert {width_of(row.line) for row in tree.rows(width)} == {width}
