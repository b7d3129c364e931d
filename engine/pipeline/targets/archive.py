"""Restoring into a tar (PAX) or zip stream."""

from __future__ import annotations

from typing import IO

from engine.pipeline.targets.target import FileWriter, TargetWarning
from engine.repository.entry import Entry


class TarTarget:
    """A PAX tar stream to `output`, which stays open. Holes are written as zeros. See `RestoreTarget`."""

    random_access = False

    def __init__(self, output: IO[bytes], *, strip_prefix: bytes = b"") -> None:
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        raise NotImplementedError

    def begin(self, entry: Entry) -> FileWriter | None:
        """See `RestoreTarget.begin`."""
        raise NotImplementedError

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        raise NotImplementedError


class ZipTarget(TarTarget):
    """A zip stream to `output`, stored; each hard link is written whole. See `RestoreTarget`."""
