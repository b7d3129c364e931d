"""The files of a snapshot as a tree that is known piece by piece: what is open, what is chosen, what it adds up to.

In: entries of one folder after the other. Out: rows of text, and the paths that are chosen. Pure; drawing thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from engine.base.units import format_bytes, format_count
from engine.contract.rows import EntryRow
from screens.text import Line, Row, Span, clean, fit, line_of

SIZE_WIDTH = 10


class Node(msgspec.Struct):
    """One entry. `children` is None until they were asked for and have come."""

    entry: EntryRow
    depth: int
    parent: Node | None = None
    is_open: bool = False
    is_chosen: bool = False
    is_truncated: bool = False  # the folder holds more than was listed
    children: list[Node] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether something may be inside."""
        return self.entry.type == "folder"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.entry.path.rstrip("/").rpartition("/")[2] or "/"

    @property
    def is_taken(self) -> bool:
        """Whether it, or a folder around it, is chosen."""
        node: Node | None = self
        while node is not None:
            if node.is_chosen:
                return True
            node = node.parent
        return False


class FileTree(msgspec.Struct):
    """The tree of one snapshot. The root itself is not shown."""

    roots: list[Node] = []
    is_known: bool = False  # the root was listed

    def fill(self, path: str, entries: Sequence[EntryRow], *, truncated: bool = False) -> None:
        """Take in what lies in the folder `path`."""
        parent = self.find(path)
        depth = parent.depth + 1 if parent else 0
        order = sorted(entries, key=lambda entry: entry.type != "folder")  # folders first, else as they came
        nodes = [Node(entry, depth, parent) for entry in order if entry.path != path]
        if parent is None:
            self.roots, self.is_known = nodes, True
        else:
            parent.children, parent.is_open, parent.is_truncated = nodes, True, truncated

    def find(self, path: str) -> Node | None:
        """The node of a path that was listed."""
        return next((node for node in self._all(self.roots) if node.entry.path == path), None)

    def visible(self) -> list[Node]:
        """What is shown, in order."""
        return list(self._shown(self.roots))

    def chosen(self) -> list[Node]:
        """What was chosen, but nothing inside something else that was."""
        return [
            node
            for node in self._all(self.roots)
            if node.is_chosen and not (node.parent is not None and node.parent.is_taken)
        ]

    def _shown(self, nodes: Sequence[Node]) -> Iterator[Node]:
        for node in nodes:
            yield node
            if node.is_open and node.children:
                yield from self._shown(node.children)

    def _all(self, nodes: Sequence[Node]) -> Iterator[Node]:
        for node in nodes:
            yield node
            if node.children:
                yield from self._all(node.children)

    # --- as text ---

    def rows(self, width: int) -> list[Row]:
        """What is shown, as rows of `width` cells."""
        return [Row(node.entry.path, _line(node, width)) for node in self.visible()]


def _line(node: Node, width: int) -> Line:
    mark = "[x]" if node.is_taken else "[ ]"
    arrow = ("▾ " if node.is_open else "▸ ") if node.is_folder else "  "
    name = clean(node.name) + ("/" if node.is_folder else "")
    left = line_of(
        Span(f"{mark} ", "accent" if node.is_taken else "dim"),
        Span("  " * node.depth + arrow, "dim"),
        Span(name, "strong" if node.is_folder else "plain"),
    )
    size_width = SIZE_WIDTH if width >= 34 else 0
    shown = fit(left, max(0, width - size_width))
    return (*shown, *fit(line_of(Span(_size(node), "dim")), size_width, right=True)) if size_width else shown


def _size(node: Node) -> str:
    if not node.is_folder:
        return format_bytes(node.entry.size) if node.entry.type == "file" else node.entry.type[:9]
    if node.children is None:
        return ""
    count = format_count(len(node.children))
    return f"{count}+" if node.is_truncated else f"{count} in it"
