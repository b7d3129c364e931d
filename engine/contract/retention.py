"""What is kept and what may go: prune, its arguments and its report."""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.contract.operations import Operation, Result, WeddingName, _words
from engine.contract.status import JobRow


class Prune(Operation, frozen=True, kw_only=True):
    """Forget the snapshots that no rule keeps, delete what nothing needs any more, and make half-empty packs full.

    Packs are deleted once no engine can rely on them: beside other engines that takes a minute, and ten where one of
    them does not answer.
    """

    wedding: Annotated[str, _words("the wedding; without, every one", title="WEDDING", positional=True)] = ""
    keep: Annotated[
        str,
        _words("rules for this time, as last 3, daily 14, yearly all (default: those of the settings)", title="RULES"),
    ] = ""
    dry_run: Annotated[bool, _words("only tell what would go")] = False
    anyway: Annotated[bool, _words("also while it would wait for weddings that are near")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class HoldWedding(Operation, frozen=True, kw_only=True):
    """Let no rule and no erasure delete a wedding, or one snapshot of it, until that is released."""

    wedding: WeddingName
    snapshot: Annotated[str, _words("only this one: latest, an id, or its first digits", title="SNAPSHOT")] = ""
    reason: Annotated[str, _words("why, as a court's reference", title="TEXT")] = ""
    release: Annotated[bool, _words("release it instead")] = False


class HoldRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A hold."""

    snapshot: str  # empty: all of the wedding
    reason: str
    since: str  # ISO 8601


class HoldList(Result, frozen=True, kw_only=True):
    """What of a wedding is held now."""

    wedding: str
    holds: tuple[HoldRow, ...]


class SnapshotVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot or checkpoint that a prune looked at."""

    wedding: str
    id: str
    time: str  # ISO 8601
    stays: bool
    reasons: tuple[str, ...]  # why it stays


class PrunedWedding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a prune did in a wedding, or would do. Bytes written are those of the packs that what was moved went to."""

    wedding: str
    snapshots_kept: int = 0
    snapshots_gone: int = 0
    packs_freed: int = 0
    bytes_freed: int = 0
    packs_repacked: int = 0  # of those freed
    bytes_written: int = 0
    bytes_young: int = 0  # of packs that no index names and that may still be being written: left alone for a day


class PruneReport(Result, frozen=True, kw_only=True):
    """What went, or would go. Snapshots that stay are listed where one wedding was asked for."""

    weddings: tuple[PrunedWedding, ...]
    snapshots: tuple[SnapshotVerdict, ...]
    jobs: tuple[JobRow, ...]  # one a wedding, also those that failed
    dry_run: bool
    bytes_freed: int  # less what was written
