"""The receipt as a file: text for people, the same as JSON lines, a signature over both. Any thread.

```
words                       UTF-8 lines for people
--- data ---                JSON lines: `Facts`, then a `FileLine` for each file
--- signature ---           one JSON line: Ed25519 (RFC 8032) over BLAKE3 of every byte before this section
```
Nothing of it is kept in a repository. Files go through one at a time, so a receipt of a million files costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, TypeVar

import msgspec
from blake3 import blake3

from engine.base.errors import IntegrityError
from engine.base.shapes import from_json
from engine.contract.receipts import PlaceCopies
from engine.repository.keyring import ReceiptKey, is_signed_by

VERSION = 2  # 1: copies were counted as they were listed, read back or not
DATA, SIGNATURE = b"--- data ---\n", b"--- signature ---\n"
_LINE_BYTES_MAX = 1 << 20
Shape = TypeVar("Shape")


class Facts(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a receipt says of a snapshot, its copies and a card."""

    receipt: int
    repository: str
    wedding: str
    date: str
    snapshot: str
    snapshot_time: str
    made: str
    host: str
    files: int
    bytes_source: int
    level: str
    copies: int
    copies_needed: int
    places: tuple[str, ...]
    card: str
    card_files: int
    card_bytes: int
    missing: tuple[str, ...]
    missing_total: int
    safe_to_format: bool
    reasons: tuple[str, ...]
    copies_by_place: tuple[PlaceCopies, ...] = ()


class FileLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One file of the snapshot. `hash`: BLAKE3; of a file over 64 MiB, that of its 64 MiB parts' BLAKE3s."""

    path: str
    size: int
    hash: str
    path_base64: str = ""  # where it is not UTF-8


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    algorithm: str
    key: str
    signature: str


class Verified(msgspec.Struct, frozen=True):
    """A receipt that is as it was signed, and by which key."""

    facts: Facts
    key: str


def write_receipt(output: IO[bytes], words: str, facts: Facts, files: Iterable[FileLine], key: ReceiptKey) -> None:
    """Write a receipt. Raises OSError, and what `files` raises."""
    hasher = blake3()
    for part in _body(words, facts, files):
        hasher.update(part)
        output.write(part)
    signed = _Signed("Ed25519", key.public, key.sign(hasher.digest()).hex())
    output.write(SIGNATURE + msgspec.json.encode(signed) + b"\n")


def _body(words: str, facts: Facts, files: Iterable[FileLine]) -> Iterator[bytes]:
    yield words.encode("utf-8", "backslashreplace") + DATA + msgspec.json.encode(facts) + b"\n"
    for line in files:
        yield msgspec.json.encode(line) + b"\n"


def verify_receipt(given: IO[bytes]) -> Verified:
    """What a receipt says, if its signature fits. Raises IntegrityError, OSError."""
    hasher = blake3()
    facts: Facts | None = None
    in_data = False
    count = total_bytes = 0
    for line in _lines(given):
        if line == SIGNATURE:
            break
        hasher.update(line)
        if not in_data:
            in_data = line == DATA
        elif facts is None:
            facts = _read(line, Facts)
        else:
            file = _read(line, FileLine)
            count += 1
            total_bytes += file.size
    signed = _read(given.readline(_LINE_BYTES_MAX), _Signed)
    if facts is None or given.read(1) or signed.algorithm != "Ed25519":
        raise _unreadable()
    if not is_signed_by(signed.key, hasher.digest(), signed.signature):
        raise IntegrityError("this receipt is not as it was signed", "ask for a new one; do not format anything by it")
    if not 1 <= facts.receipt <= VERSION or (facts.files, facts.bytes_source) != (count, total_bytes):
        raise _unreadable()
    return Verified(facts, signed.key)


def _lines(given: IO[bytes]) -> Iterator[bytes]:
    while line := given.readline(_LINE_BYTES_MAX):
        yield line


def _read(line: bytes, kind: type[Shape]) -> Shape:
    try:
        return from_json(line, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _unreadable() from None


def _unreadable() -> IntegrityError:
    return IntegrityError("this is not a whole receipt", "it was cut short or changed; ask for a new one")
