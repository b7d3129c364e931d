"""The source as a stream of things, in manifest order: depth first, names of a folder sorted bytewise.

In: absolute paths. Out: `WalkItem`s and, in their place, `WalkWarning`s. Several sources become one tree
without duplicates; a source inside another counts once, but always counts: neither an exclude nor a file
system boundary of the outer one hides it. One thread; the folders in the items may be used by any.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.pipeline.excludes import Excludes
from engine.pipeline.folders import OpenFolder

PATH_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class WalkItem:
    """One thing that stands in the source. `path` is absolute without its leading slash; `name` is in `folder`."""

    path: bytes
    folder: OpenFolder
    name: bytes
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class WalkWarning:
    """Something that could not be read, as a short sentence without the path."""

    path: bytes
    what: str


def check_sources(sources: Sequence[bytes]) -> None:
    """Raises UsageError (none, not absolute, a source behind a symlink inside another), NotFound, NotPermitted."""
    raise NotImplementedError


def walk(
    sources: Sequence[bytes],
    *,
    excludes: Excludes,
    one_file_system: bool = False,
    skip: frozenset[tuple[int, int]] = frozenset(),
) -> Iterator[WalkItem | WalkWarning]:
    """Everything below `sources` and they themselves, in the order of `Entry.components`.

    `skip` names folders by (device, inode) that are neither recorded nor entered: the repository itself. With
    `one_file_system` a folder on another device than its source is recorded and not entered.
    """
    raise NotImplementedError
