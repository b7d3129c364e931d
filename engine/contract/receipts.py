"""The receipt for a photographer: which files are kept, where their copies lie, and whether a card may be formatted."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, SnapshotName, _words

ProtectionLevel = Literal["committed", "safe"]


class MakeReceipt(Operation, frozen=True, kw_only=True):
    """Tell, signed, which files are kept with how many copies, and whether a card may be formatted; or verify that."""

    wedding: Annotated[str, _words("the wedding, by its name", title="WEDDING", positional=True)] = ""
    snapshot: SnapshotName = "latest"
    card: Annotated[str, _words("compare every file below DIR with the snapshot", title="DIR", path=True)] = ""
    out: Annotated[str, _words("write the signed receipt; - is standard output", title="FILE", path=True)] = ""
    verify: Annotated[str, _words("check a receipt instead; needs no repository", title="FILE", path=True)] = ""
    key: Annotated[str, _words("with --verify: the receipt key that keys shows", title="KEY")] = ""


class PlaceCopies(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What one place holds of a snapshot, and how much of it was read back whole since it was written."""

    place: str  # as hot/london
    copies: int  # packs
    bytes: int
    read_back: int  # of these copies
    verified: str  # when the one was read that was read longest ago, ISO 8601; empty where none was


class ReceiptResult(Result, frozen=True, kw_only=True):
    """What a receipt says. What stands against formatting is in `reasons`, and each is a warning."""

    wedding: str
    snapshot: str
    time: str  # of the snapshot, ISO 8601
    files: int
    bytes_source: int
    level: ProtectionLevel
    copies: int  # that were read back, of the file or key with the fewest, counted by region
    copies_needed: int
    places: tuple[str, ...]
    copies_by_place: tuple[PlaceCopies, ...]
    safe_to_format: bool
    reasons: tuple[str, ...]
    key: str  # public, 64 hex digits
    card: str = ""
    card_files: int = 0
    card_bytes: int = 0
    missing: tuple[str, ...] = ()  # files of the card that the snapshot does not hold; the first ones
    missing_total: int = 0
    out: str = ""


class ReceiptVerified(Result, frozen=True, kw_only=True):
    """A receipt whose signature is good. Whose key it is, is known with `--key` or the repository at hand."""

    wedding: str
    snapshot: str
    time: str
    made: str
    files: int
    bytes_source: int
    copies: int
    copies_needed: int
    safe_to_format: bool
    reasons: tuple[str, ...]
    key: str
    key_known: bool
