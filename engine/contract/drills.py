"""The drill: its arguments and its report."""

from __future__ import annotations

from typing import Annotated

from engine.contract.operations import Operation, Result, WeddingName, _words
from engine.contract.status import DrillSize, JobRow, Tier


class Drill(Operation, frozen=True, kw_only=True):
    """Restore some files by chance to a scratch folder, compare them, and tell how long it took."""

    wedding: WeddingName
    files: Annotated[int, _words("how many files")] = 20
    size: Annotated[DrillSize, _words("instead of so many files: one file; an album of 2 GB; the whole wedding")] = (
        "files"
    )
    snapshot: Annotated[str, _words("latest, an id or its first digits", title="SNAPSHOT")] = "latest"
    to: Annotated[
        str, _words("where the scratch folder is made, for its disk's speed (default: the home)", title="DIR")
    ] = ""
    recall: Annotated[bool, _words("also recall what is archived; it may cost, and the wait counts")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class DrillReport(Result, frozen=True, kw_only=True):
    """What a drill measured. Files that came back otherwise are problems, and make an integrity error of it.

    Times are seconds since the drill's first read. `compared_with_source` files also equal their source, byte for byte.
    """

    job: JobRow
    snapshot: str
    files: int
    bytes_restored: int
    first_file_s: float
    restored_s: float
    compared_with_source: int
    size: DrillSize = "files"
    tier: Tier = "hot"  # the slowest that any of it was read from
    projected_100gb_s: float | None = None  # PROJECTED: a wedding of 100 GB at this rate
    problems: tuple[str, ...] = ()
