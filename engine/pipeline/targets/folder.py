"""Restoring into a folder: entry by entry through folder descriptors, so that nothing outside is ever touched."""

from __future__ import annotations

from typing import Literal

from engine.base.entropy import Entropy
from engine.pipeline.targets.target import FileWriter, TargetWarning
from engine.repository.entry import Entry

Overwrite = Literal["never", "changed", "always"]


class FolderTarget:
    """A `RestoreTarget` below `root`, which is made if missing. See `RestoreTarget`."""

    random_access = True

    def __init__(
        self, root: bytes, *, entropy: Entropy, strip_prefix: bytes = b"", overwrite: Overwrite = "never"
    ) -> None:
        """`strip_prefix` is a path of the snapshot without leading slash; entries outside it are not restored.

        Raises NotPermitted, LimitReached, NotFound when `root` cannot be made.
        """
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        raise NotImplementedError

    def begin(self, entry: Entry) -> FileWriter | None:
        """See `RestoreTarget.begin`. Raises IntegrityError for a path that could lead outside."""
        raise NotImplementedError

    def finish(self) -> None:
        """See `RestoreTarget.finish`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        raise NotImplementedError
