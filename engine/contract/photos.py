"""Photographs that look alike: what is asked, and what is told. Nothing is ever deleted by it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.contract.operations import Operation, Result, SnapshotName, _words
from engine.contract.status import JobRow


class AnalyzePhotos(Operation, frozen=True, kw_only=True):
    """Tell which photographs of a wedding look alike; deletes nothing. Needs the photos extra."""

    photos: Annotated[str, _words("the wedding, by its name", title="WEDDING", flag="--photos")]
    snapshot: SnapshotName = "latest"
    distance: Annotated[
        int, _words("of 64 bits of a picture's hash, so many may differ", title="BITS"), msgspec.Meta(ge=0, le=16)
    ] = 5
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class PhotoGroup(msgspec.Struct, frozen=True, rename="camel"):
    """Photographs that look alike, each like at least one other of them. Of many paths the first."""

    photographs: int  # different contents; of one there are several files that are the same to the last byte
    files: int
    size_bytes: int
    paths: tuple[str, ...]


class PhotoReport(Result, frozen=True, kw_only=True):
    """What looks alike in a snapshot. Groups by size; of many the largest."""

    job: JobRow
    snapshot: str
    photographs: int  # different contents that were looked at
    groups: tuple[PhotoGroup, ...]
    groups_total: int
    alike: int  # photographs in groups
    same_files: int  # files that are the same as another to the last byte: they are stored once
    damaged: int  # cannot be decoded, or not be read
    refused: int  # more pixels or bytes than are decoded
    blank: int  # nothing to be seen, as a lens cap
    passed_over: int  # raw files, films, all that is no JPEG, PNG, WebP or TIFF
