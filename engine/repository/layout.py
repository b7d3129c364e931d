"""Names of objects (docs/format.md, section 2). Pure."""

from __future__ import annotations

import re

CONFIG = "config/"
KEYS = "keys/"
REGISTER = "register/"
LEASES = "leases/"
MARKS = "marks/"
WEDDINGS = "weddings/"

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SNAPSHOT = re.compile(r"[0-9a-f]{32}(-[1-9][0-9]{0,8})?")
_HASH = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{32}")


def wedding_folder(wedding: bytes) -> str:
    """Folder of all that is a wedding's."""
    return f"{WEDDINGS}{wedding.hex()}/"


def wedding_keys(wedding: bytes) -> str:
    """Folder of a wedding's numbered key objects."""
    return f"{WEDDINGS}{wedding.hex()}/key/"


def fragments(wedding: bytes) -> str:
    """Folder of a wedding's index fragments."""
    return f"{WEDDINGS}{wedding.hex()}/index/"


def snapshots(wedding: bytes) -> str:
    """Folder of a wedding's snapshots and checkpoints."""
    return f"{WEDDINGS}{wedding.hex()}/snapshots/"


def packs(wedding: bytes) -> str:
    """Folder of a wedding's packs."""
    return f"{WEDDINGS}{wedding.hex()}/packs/"


def pack(wedding: bytes, name: bytes) -> str:
    """A pack's object name."""
    return packs(wedding) + name.hex()


def lease(token: str) -> str:
    """Folder of one lease."""
    return f"{LEASES}{token}/"


def number_of(name: str, folder: str) -> int | None:
    """`config/12` in `config/` → 12; None for what is no number."""
    last = name[len(folder) :]
    return int(last) if name.startswith(folder) and _NUMBER.fullmatch(last) else None


def is_snapshot(last: str) -> bool:
    """Whether a last name part names a snapshot or checkpoint."""
    return _SNAPSHOT.fullmatch(last) is not None


def is_hash(last: str) -> bool:
    """Whether a last name part is a hash."""
    return _HASH.fullmatch(last) is not None


def is_token(last: str) -> bool:
    """Whether a last name part is 32 hex digits."""
    return _TOKEN.fullmatch(last) is not None
