"""Restoring the bytes of one file to a descriptor: `retrieve --as file`. One thread."""

from __future__ import annotations

import io

from engine.base.errors import UsageError
from engine.pipeline.targets.sequential import Output, SequentialWriter
from engine.pipeline.targets.target import TargetWarning, safe_components
from engine.repository.entry import FILE, FOLDER, Entry


class StreamTarget:
    """One file's bytes to `fd`, which stays open. Holes are written as zeros. See `RestoreTarget`."""

    random_access = False

    def __init__(self, fd: int) -> None:
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        self._output = Output(io.FileIO(fd, "w", closefd=False))
        self._file: bytes | None = None

    def begin(self, entry: Entry) -> SequentialWriter | None:
        """See `RestoreTarget.begin`. Folders are passed over; raises UsageError for a second file, or another kind."""
        safe_components(entry.path)
        if entry.kind == FOLDER:
            return None
        if entry.kind != FILE or self._file is not None:
            raise UsageError("a stream takes exactly one regular file", "name it with --path, or restore into a folder")
        self._file = entry.path
        return SequentialWriter(self._output.write, entry.size, self._ended, keeps_length=False)

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        self.close()

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        self._output.shut = True

    def _ended(self, problem: str) -> bool:
        if problem:
            self.warnings.append(TargetWarning(self._file or b"", f"{problem}; the stream ends there"))
        return not problem
