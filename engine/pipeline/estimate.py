"""A dry run: what a backup would read, without reading it."""

from __future__ import annotations

import msgspec

from engine.base.clock import Clock
from engine.pipeline.parents import Selection, check_selection, choose_parents, open_scan
from engine.pipeline.scan import Changed, Unchanged
from engine.pipeline.walk import WalkWarning
from engine.repository.entry import path_text
from engine.repository.vault import WeddingVault

_WARNINGS_KEPT = 100


class Estimate(msgspec.Struct):
    """Counts of a dry run."""

    files: int = 0
    files_new: int = 0
    files_changed: int = 0
    files_unchanged: int = 0
    files_gone: int = 0
    bytes_source: int = 0
    bytes_to_read: int = 0
    warnings: tuple[str, ...] = ()


def estimate(vault: WeddingVault, what: Selection, clock: Clock) -> Estimate:
    """Walk and compare, read no file. Raises NotFound, UsageError, NotPermitted for the sources."""
    check_selection(what)
    found = Estimate()
    warnings: list[str] = []
    scan = open_scan(vault, what, choose_parents(vault, what.sources), clock)
    for scanned in scan:
        if isinstance(scanned, WalkWarning):
            warnings.append(f"{path_text(scanned.path)}: {scanned.what}")
        elif isinstance(scanned, Unchanged):
            found.files += 1
            found.files_unchanged += 1
            found.bytes_source += scanned.entry.size
        elif isinstance(scanned, Changed):
            found.files += 1
            found.bytes_source += scanned.item.stat.st_size
            found.bytes_to_read += scanned.item.stat.st_size
            if scanned.previous is None:
                found.files_new += 1
            else:
                found.files_changed += 1
    found.files_gone = scan.gone
    found.warnings = tuple(warnings[:_WARNINGS_KEPT])
    return found
