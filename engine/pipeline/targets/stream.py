"""Restoring the bytes of one file to a descriptor."""

from __future__ import annotations

from engine.pipeline.targets.target import FileWriter, TargetWarning
from engine.repository.entry import Entry


class StreamTarget:
    """One file's bytes to `fd`, which stays open. Holes are written as zeros. See `RestoreTarget`."""

    random_access = False

    def __init__(self, fd: int) -> None:
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        raise NotImplementedError

    def begin(self, entry: Entry) -> FileWriter | None:
        """See `RestoreTarget.begin`. Folders are passed over; raises UsageError for a second file, or another kind."""
        raise NotImplementedError

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        raise NotImplementedError
