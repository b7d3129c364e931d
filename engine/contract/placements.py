"""Tiers and moves: the operations `tiers`, `migrate` and `recall`, and their results.

Costs and savings are in the currency of the settings' prices; sizes are bytes, times ISO 8601 in UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, WeddingName, _words
from engine.contract.status import CachedTierRow, EndpointRow, JobRow, RecallRow, Tier, TierRow


class ListTiers(Operation, frozen=True, kw_only=True):
    """Tiers with room, price and what lies in each; or where a wedding's packs lie."""

    wedding: Annotated[str, _words("only this wedding's packs", title="WEDDING", positional=True)] = ""


class WeddingTierRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of one wedding lies in one place. `price_month`: what keeping it costs a month."""

    wedding: str
    place: str
    packs: int
    bytes: int
    price_month: float


class TierList(Result, frozen=True, kw_only=True):
    """The tiers that there are. `copies` is by wedding where one was named, else of the first thousand."""

    tiers: tuple[TierRow, ...]
    copies: tuple[WeddingTierRow, ...]
    recalls: tuple[RecallRow, ...] = ()
    endpoints: tuple[EndpointRow, ...] = ()
    cached: tuple[CachedTierRow, ...] = ()  # what the read cache spared each slow tier


class Migrate(Operation, frozen=True, kw_only=True):
    """Bring packs to the tier that the policy says, or to one by name: copied, read back, then let go."""

    wedding: Annotated[str, _words("the wedding; without one, each that has something to move", title="WEDDING",
                                   positional=True)] = ""  # fmt: skip
    tier: Annotated[Tier | None, _words("to this tier, whatever the policy says")] = None
    dry_run: Annotated[bool, _words("only tell what would move, why, and what it saves")] = False
    anyway: Annotated[bool, _words("also while it would wait for weddings that are near")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class MoveRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Packs that go the same way for the same reason."""

    wedding: str
    source: Tier
    target: Tier
    packs: int
    bytes: int
    saves_month: float
    cost: float  # of reading them out
    reason: str


class MigrationPlan(Result, frozen=True, kw_only=True):
    """What a migration would do, and why the rest stays."""

    moves: tuple[MoveRow, ...]
    stays: tuple[MoveRow, ...]  # source and target are the same
    packs: int
    bytes: int
    saves_month: float
    cost: float


class MigrationReport(Result, frozen=True, kw_only=True):
    """Migrations that were begun, and have ended unless nobody waited. `left`: packs copied, whose source stays while
    somebody reads it, or while the target has fewer copies than there must be."""

    jobs: tuple[JobRow, ...]
    packs: int = 0
    bytes: int = 0
    left: int = 0


class Recall(Operation, frozen=True, kw_only=True):
    """Make packs readable that lie in a tier from which they have to be recalled."""

    wedding: WeddingName
    snapshot: Annotated[str, _words("only what this snapshot needs", title="SNAPSHOT")] = ""
    speed: Annotated[
        Literal["auto", "expedited", "standard", "bulk"],
        _words("how fast, where the store can choose; auto: as tiers.cold.recall_objective asks"),
    ] = "auto"
    dry_run: Annotated[bool, _words("only tell how much, how long, and what it costs")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class RecallPlan(Result, frozen=True, kw_only=True):
    """What a recall takes. `meets_objective` is False where even the fastest way takes longer than the objective."""

    packs: int
    bytes: int
    packs_readable: int  # of those that lie there, the ones that can be read already
    speed: str
    eta_s: float | None
    cost: float
    meets_objective: bool


class RecallReport(Result, frozen=True, kw_only=True):
    """A recall that has ended, or has begun."""

    job: JobRow
