"""What one backup job leaves in the repository: checkpoints on its way, the snapshot at its end.

In: what the recorder has of the manifest and the transaction of the packs. Out: partial snapshots `JOB-N` and the
snapshot `JOB`, each written after everything that it names. One stream at a time, no unit in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Conflict
from engine.base.ids import SnapshotId
from engine.contract.settings import CHECKPOINT_BYTES, CHECKPOINT_STREAM_S
from engine.pipeline.pool import Buffers
from engine.pipeline.recorder import Recorder
from engine.repository.manifest import SegmentRef
from engine.repository.reach import require_whole
from engine.repository.snapshot import Counts, Snapshot, SnapshotObject, SnapshotWarning
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault


class Tally(msgspec.Struct, frozen=True):
    """What a job has counted and warned of so far. `read_bytes` are what it had to read of the source."""

    counts: Counts
    warnings: Sequence[SnapshotWarning]
    read_bytes: int


class JobCommits:
    """The commits of one job. `head` is what all of them say of it."""

    def __init__(
        self, vault: WeddingVault, transaction: Transaction, recorder: Recorder, *, job_id: str, head: SnapshotObject
    ) -> None:
        self._vault = vault
        self._transaction = transaction
        self._recorder = recorder
        self._job_id = job_id
        self._head = head
        self._checkpoints = 0
        self._stored_bytes = 0  # at the last checkpoint, as is the next
        self._read_bytes = 0

    def is_due(self, read_bytes: int, stream_s: float) -> bool:
        """Whether enough was done since the last checkpoint, in which streams worked for `stream_s` seconds.

        Never before something was read: a checkpoint saves reading again, also what was found to be stored already.
        """
        stored_bytes = self._transaction.bytes_stored - self._stored_bytes
        is_enough = stored_bytes >= CHECKPOINT_BYTES or stream_s >= CHECKPOINT_STREAM_S
        return is_enough and read_bytes > self._read_bytes

    def checkpoint(self, tally: Tally, clock: Clock, buffers: Buffers) -> None:
        """Publish every open pack and keep what is done so far; nothing if nothing was read since the last one."""
        if tally.read_bytes == self._read_bytes:
            return
        manifest = self._recorder.so_far()
        body = msgspec.structs.replace(self._published(manifest, tally, buffers), partial=True, ended_ns=clock.now_ns())
        while not self._is_written(body):
            pass  # an earlier life of this job has taken the number
        self._stored_bytes, self._read_bytes = self._transaction.bytes_stored, tally.read_bytes

    def finish(self, tally: Tally, clock: Clock, buffers: Buffers) -> Snapshot:
        """Commit the whole snapshot; the one that stands there already if this job has committed before.

        That one may be of an earlier life that did not live to see whether it still relied on what is there.
        """
        manifest = self._recorder.finish()
        body = msgspec.structs.replace(self._published(manifest, tally, buffers), ended_ns=clock.now_ns())
        snapshot = Snapshot(SnapshotId(self._job_id), body)
        try:
            self._transaction.commit(snapshot)
        except Conflict:
            snapshot = self._vault.find_snapshot(self._job_id)
            require_whole(self._vault, snapshot)
        return snapshot

    def _is_written(self, body: SnapshotObject) -> bool:
        self._checkpoints += 1
        with suppress(Conflict):
            self._transaction.commit(Snapshot(SnapshotId(f"{self._job_id}-{self._checkpoints}"), body))
            return True
        return False

    def _published(
        self, manifest: tuple[tuple[SegmentRef, ...], bytes], tally: Tally, buffers: Buffers
    ) -> SnapshotObject:
        """The snapshot to write, once all that it names is durable."""
        self._transaction.publish_all(buffers.packs[0])
        inline_packs = self._transaction.take_inline()
        counts = msgspec.structs.replace(
            tally.counts, entries=self._recorder.entries_total, bytes_stored=self._transaction.bytes_stored
        )
        return msgspec.structs.replace(
            self._head,
            segments=manifest[0],
            inline_entries=manifest[1],
            inline_packs=inline_packs,
            counts=counts,
            warnings=tuple(tally.warnings),
        )
