"""What may name an object. The same rule for every store, so that a name good in one is good in all.

Names are made by the floors above from hexadecimal ids and numbers, never from what people type: a bad one
is a bug of ours, and refused before it can reach a file system. Pure.
"""

from __future__ import annotations

import re

from engine.base.invariants import check

NAME_BYTES_MAX = 1024
STAGING_FOLDER = "tmp"  # at the top of a store on a disk: staged files, never objects

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def is_name(name: str) -> bool:
    """Whether `name` can name an object: ASCII parts without a leading dot, parted by single slashes."""
    parts = name.split("/")
    return len(name) <= NAME_BYTES_MAX and parts[0] != STAGING_FOLDER and all(map(is_part, parts))


def is_part(part: str) -> bool:
    """Whether `part` can stand between the slashes of a name."""
    return _PART.fullmatch(part) is not None


def check_name(name: str) -> None:
    """Raise BrokenInvariant unless `name` can name an object."""
    check(is_name(name), f"{name!r} cannot name an object")


def check_prefix(prefix: str) -> None:
    """Raise BrokenInvariant unless `prefix` is empty or a folder's name with its slash."""
    check(prefix == "" or (prefix.endswith("/") and is_name(prefix[:-1])), f"{prefix!r} is no folder of objects")


def parent_folder(name: str) -> str:
    """The folder part of a name, without its slash; empty for an object at the top."""
    return name.rpartition("/")[0]


def folders_of(folder: str) -> list[str]:
    """`"a/b/c"` → `["a", "a/b", "a/b/c"]`: a folder and all above it, from the top down; none for the top."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
