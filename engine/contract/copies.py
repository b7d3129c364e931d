"""Where a wedding's copies are: the arguments and the answer."""

from __future__ import annotations

import msgspec

from engine.contract.operations import Operation, Result, WeddingName


class ListCopies(Operation, frozen=True, kw_only=True):
    """Where a wedding's copies are: per region and tier packs, bytes, what is missing or bad, and the oldest check."""

    wedding: WeddingName


class CopyRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What of one wedding lies in one place. Packs, bytes and checks as the copy catalog knows them."""

    place: str  # as hot/london
    distance_km: int | None  # from the venue; None where one of the two has no position
    allowed: bool  # whether it may lie there
    packs: int
    bytes: int
    missing: int  # objects that are owed to it, and copies that were found missing
    bad: int  # copies that are damaged, never read, and not healed yet
    never_verified: int
    verified: str  # the oldest check of one that was checked, ISO 8601; empty when none was


class CopyList(Result, frozen=True, kw_only=True):
    """A wedding's copies. A pack counts with its good copies."""

    wedding: str
    copies_wanted: int
    packs: int
    packs_short: int  # packs of data that fewer regions hold than are wanted
    fewest: int  # regions that hold the pack that the fewest hold; 0 where there is none
    committed: str  # scan start of the newest snapshot, ISO 8601; empty while there is none
    safe: str  # when every copy of it was there; empty while one is owed, and where there are no regions
    places: tuple[CopyRow, ...]
