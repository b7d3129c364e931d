"""A backup that turns out to be done: its job has committed in an earlier life, and only did not live to tell."""

from __future__ import annotations

from engine.contract.settings import WARNINGS_TOLD
from engine.pipeline.backup import BackupOutcome
from engine.pipeline.pool import Buffers, Run, Unit
from engine.repository.entry import path_text
from engine.repository.snapshot import Snapshot


class CommittedRun(Run[BackupOutcome]):
    """Ends at once with the snapshot that stands."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        counts = snapshot.body.counts
        self.progress.files_done = self.progress.files_total = counts.files
        self.progress.bytes_read = self.progress.bytes_total = self.progress.bytes_reused = counts.bytes_source
        self.progress.bytes_stored = counts.bytes_stored
        self.progress.warnings = counts.warnings
        told = snapshot.body.warnings[:WARNINGS_TOLD]
        self.progress.first_warnings = tuple(f"{path_text(each.path)}: {each.what}" for each in told)

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        return tuple(f"{path_text(each.path)}: {each.what}" for each in self._snapshot.body.warnings)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`; there is nothing to do."""
        return None

    def conclude(self, buffers: Buffers) -> BackupOutcome:
        """See `Run.conclude`."""
        return BackupOutcome(self._snapshot)
