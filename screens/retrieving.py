"""What the retrieval dialog says, and the command line it makes. Structs in, text out. Pure; drawing thread."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from engine.base.units import format_bytes, format_count, format_span
from engine.contract import operations as ops
from screens.text import Column, Line, Row, Span, clean, columns_at, lay_out, line_of

OVERWRITE: tuple[tuple[str, str], ...] = (
    ("never", "keep what stands there"),
    ("changed", "replace what differs"),
    ("always", "replace all of it"),
)


class Wish(NamedTuple):
    """What shall be brought back, and where to. `overwrite` is empty while nobody was asked."""

    wedding: str
    snapshot: str
    paths: tuple[str, ...]
    to: str
    strip: str = ""
    overwrite: str = ""

    def line(self) -> str:
        """The command line."""
        words = ["retrieve", shlex.quote(self.wedding), "--to", shlex.quote(self.to)]
        if self.snapshot:
            words += ["--snapshot", self.snapshot]
        for path in self.paths:
            words += ["--path", shlex.quote(path)]
        if self.strip:
            words += ["--strip-prefix", shlex.quote(self.strip)]
        if self.overwrite:
            words += ["--overwrite", self.overwrite]
        return " ".join([*words, "--no-wait"])


def common_folder(paths: Sequence[str]) -> str:
    """The folder in which all of `paths` lie: what can be left off the front of each."""
    folders = [path.strip("/").split("/")[:-1] for path in paths]
    if not folders:
        return ""
    shared = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/" + "/".join(shared) if shared else ""


_SNAPSHOT_COLUMNS = (
    Column(16), Column(9, right=True), Column(14, right=True, from_width=44), Column(12, from_width=58),
    Column(10, 30, from_width=72),
)  # fmt: skip


def snapshot_rows(found: Sequence[ops.SnapshotSummary], width: int) -> list[Row]:
    """Snapshots, the newest first: when, how large, how many files, what was not right, where from."""
    sizes = columns_at(_SNAPSHOT_COLUMNS, width)
    rows = []
    for snapshot in reversed(found):
        warnings = f"▲ {snapshot.warnings} warn" if snapshot.warnings else "✓"
        words = [*snapshot.tags, *(clean(source) for source in snapshot.sources)]
        cells = (
            line_of(Span(snapshot.time.replace("T", " ")[:16], "strong")),
            line_of(format_bytes(snapshot.bytes_source)),
            line_of(Span(format_count(snapshot.files, "file"), "dim")),
            line_of(Span(warnings, "warning" if snapshot.warnings else "ok")),
            line_of(Span(" ".join(words), "dim")),
        )
        rows.append(Row(snapshot.id, lay_out(cells, _SNAPSHOT_COLUMNS, sizes)))
    return rows


def plan_lines(plan: ops.RetrievalPlan) -> tuple[Line, ...]:
    """What it will take: files, bytes, packs, and what stands in the way."""
    eta = f", about {format_span(plan.eta_s)}" if plan.eta_s is not None else ""
    lines = [
        line_of(
            Span(f"{format_bytes(plan.bytes_restored)} in {format_count(plan.files, 'file')}", "strong"),
            f" will be written{eta}",
        ),
        line_of(Span(f"{format_bytes(plan.bytes_fetched)} read from {format_count(plan.packs, 'pack')}", "dim")),
    ]
    if plan.conflicts:
        files = f"{format_count(plan.conflicts, 'file')} {'stands' if plan.conflicts == 1 else 'stand'}"
        lines.append(line_of(Span(f"▲ {files} there already; choose what becomes of them", "warning")))
    else:
        lines.append(line_of(Span("✓ nothing stands in the way", "ok")))
    return tuple(lines)
