"""One prune of a wedding as a run: forget snapshots, move what half-empty packs still hold, mark, wait, delete.

Nothing that a snapshot reaches is ever deleted, whoever else is at work: packs are marked, and deleted only when each
engine that was alive then has said that it relies on none of them, or has died, and the snapshots that stand by then
do not reach them (docs/format.md, section 6.8). Killed at any moment, the next prune goes on. One unit at a time; while
it waits for others it takes no stream. With `dry_run` it only tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, Unavailable
from engine.pipeline import packcheck
from engine.pipeline.fetch import fetch
from engine.pipeline.plan import Range
from engine.pipeline.pool import Buffers, Run, Unit
from engine.pipeline.seal import NamedChunk, store_chunks
from engine.repository import codec, crypto, merging, pruning
from engine.repository.fragment import Gone
from engine.repository.index import KEY_BYTES
from engine.repository.leases import LeaseWatch
from engine.repository.manifest import SegmentRef
from engine.repository.pack import RECORD, PackEntry
from engine.repository.presence import Presence, Use
from engine.repository.reach import Reach, stored_packs
from engine.repository.records import with_records
from engine.repository.retention import Verdict
from engine.repository.snapshot import Snapshot
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

LOOK_S = 5.0  # between two looks at the leases of other engines
_SEGMENTS_A_UNIT = 16
_DELETES_A_UNIT = 64
_GATHERED_BYTES = 8 * 1024 * 1024  # of chunks that are moved, sealed at a time

Decide = Callable[[list[Snapshot]], list[Verdict]]


class PruneOutcome(msgspec.Struct):
    """What a prune decided and did; of a dry run, what it would do."""

    snapshots: list[Snapshot] = []
    verdicts: list[Verdict] = []  # of these, in the same order
    packs_freed: int = 0
    bytes_freed: int = 0  # of these packs
    packs_repacked: int = 0  # of them, those whose chunks were moved
    bytes_written: int = 0  # of the packs they were moved to
    bytes_young: int = 0  # of packs that no index names, and that may still be being written
    fragments_merged: int = 0


class Engaged(msgspec.Struct, frozen=True):
    """The engine's part in a prune: its presence, its use of the wedding, its clock and its source of salts.

    `archived`: packs that would have to be recalled to be moved, and are not, therefore.
    """

    presence: Presence
    use: Use
    clock: Clock
    entropy: Entropy
    archived: frozenset[bytes] = frozenset()


class PruneRun(Run[PruneOutcome]):
    """One prune of a wedding."""

    def __init__(self, vault: WeddingVault, engaged: Engaged, decide: Decide, *, dry_run: bool) -> None:
        """`decide` gives a verdict on each snapshot and checkpoint. Raises IntegrityError where not all can be read."""
        super().__init__()
        if not dry_run:
            with pruning.deleting():
                engaged.presence.renew()  # others have to see who marks, and wait for it
        self._losses = engaged.presence.losses
        self._vault = vault.afresh()  # of its own, since it regards packs as gone that others may rely on
        self._engaged = engaged
        self._decide = decide
        self._dry_run = dry_run
        self._outcome = PruneOutcome()
        self._standing: list[Snapshot] = []
        self._reach = Reach()
        self._choice = pruning.Choice({}, {}, 0, 0)
        self._moving: list[PackEntry] = []
        self._transaction = Transaction(self._vault, engaged.entropy)
        self._marked: frozenset[bytes] = frozenset()
        self._mark = 0
        self._watch: LeaseWatch | None = None
        self._looked_s = 0.0
        self._is_resting = False
        self._doomed: list[bytes] = []
        self._is_decided = False  # what is doomed will be deleted: the mark has to stand until it is
        self._units = self._in_order()
        pruning.refuse_unknown(self._vault)

    # --- what comes when --------------------------------------------------------------------------------

    @property
    def may_be_over(self) -> bool:
        """See `Run.may_be_over`."""
        return False

    @property
    def is_waiting(self) -> bool:
        """See `Run.is_waiting`: for other engines, and for jobs of this one."""
        return self._is_resting

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        if not idle or (self._is_resting and self._engaged.clock.monotonic_s() - self._looked_s < LOOK_S):
            return None
        self._is_resting = False
        return next(self._units, None)

    def _in_order(self) -> Iterator[Unit | None]:
        """Every unit, each once the one before has ended; None where it has to rest first."""
        yield self._forget
        segments = iter(self._reach.new_segments(self._standing))
        while batch := list(islice(segments, _SEGMENTS_A_UNIT)):
            yield partial(self._walk, batch)
        yield self._choose
        if self._dry_run:
            return
        for entry in self._moving:
            self.cost = entry.size
            yield partial(self._move, entry)
        if self._moving:
            yield self._settle_moved
        if self._marked:
            yield self._mark_packs
            while True:
                yield self._decide_unless_others
                if self._is_decided:
                    break
                self._is_resting = True
                yield None
        for at in range(0, len(self._doomed), _DELETES_A_UNIT):
            yield partial(self._delete, self._doomed[at : at + _DELETES_A_UNIT])
        yield self._tidy

    def conclude(self, buffers: Buffers) -> PruneOutcome:
        """See `Run.conclude`."""
        return self._outcome

    def abort(self) -> None:
        """See `Run.abort`. A mark that nobody has acted on is lifted, so that what it names counts again."""
        self._transaction.abort()
        if self._mark and not self._is_decided:
            self._engaged.presence.lift(self._mark)

    # --- what may go ------------------------------------------------------------------------------------

    def _forget(self, buffers: Buffers) -> None:
        found = self._vault.snapshots(partial=True)
        pruning.refuse_unknown(self._vault)
        verdicts = self._decide(found)
        self._outcome.snapshots, self._outcome.verdicts = found, verdicts
        stays = {verdict.id for verdict in verdicts if verdict.stays}
        self._standing = [item for item in found if item.id in stays]
        if not self._dry_run and len(stays) < len(found):
            pruning.forget(self._vault, [item for item in found if item.id not in stays], self._engaged.entropy)
            self._vault.refresh()

    def _walk(self, segments: list[SegmentRef], buffers: Buffers) -> None:
        for segment in segments:
            self._reach.add_segment(self._vault, segment)

    def _choose(self, buffers: Buffers) -> None:
        vault, outcome = self._vault, self._outcome
        for item in self._standing:
            self._reach.add_inline(vault, item)
        self._reach.ask_footers(vault)
        pruning.refuse_unknown(vault)
        stored = stored_packs(vault)
        self._choice = choice = pruning.choose(
            vault.index.held(self._reach.keys),
            stored,
            {pack.name: pack for pack in vault.index.packs()},
            pruning.Exempt(
                vault.dropped(), vault.known_damaged() | self._engaged.archived, self._engaged.clock.now_ns()
            ),
        )
        # What an earlier prune has marked and left is looked at too, or nobody could rely on it ever again.
        left = vault.marked() & (stored.keys() | {pack.name for pack in vault.index.packs()})
        self._marked = left | choice.unreached.keys() | choice.repacked.keys()
        outcome.bytes_young = choice.young_bytes
        if self._dry_run:
            outcome.packs_freed = len(choice.unreached) + len(choice.repacked)
            outcome.bytes_freed = sum(choice.unreached.values()) + sum(choice.repacked.values())
            outcome.packs_repacked, outcome.bytes_written = len(choice.repacked), choice.repacked_live_bytes
        else:
            self._moving = with_records(vault, choice.repacked.keys())
            self.progress.bytes_total = sum(entry.size for entry in self._moving)
            vault.index.set_marked(self._marked)  # so that what is claimed is what no other pack has

    # --- moving what is left in packs -------------------------------------------------------------------

    def _move(self, entry: PackEntry, buffers: Buffers) -> None:
        """Store the chunks of a pack again that are still needed, unless another pack has them by now."""
        gathered, chunks = bytearray(), list[NamedChunk]()
        records = self._needed(entry)
        codecs = {records[at : at + 32]: records[at + RECORD.size - 1] for at in range(0, len(records), RECORD.size)}
        for wanted in packcheck.ranges_of(msgspec.structs.replace(entry, records=records)):
            for blob in wanted.blobs:  # one by one: what is gathered is sealed out of the buffer that is read into
                alone = Range(wanted.pack, blob.location.offset, blob.location.stored_bytes, [blob])
                for piece, data, what in fetch(self._vault, alone, buffers):
                    if data is None:
                        self._leave(entry, what)
                        return
                    if entry.pack_type == crypto.METADATA_PACK:
                        self._transaction.add_metadata(bytes(data))
                    elif self._transaction.claim([piece.chunk_id])[0]:
                        is_pressed = codecs[piece.chunk_id] == codec.RAW
                        chunks.append(NamedChunk(piece.chunk_id, len(gathered), len(data), is_pressed))
                        gathered += data
                if len(gathered) >= _GATHERED_BYTES:
                    self._store(chunks, gathered, buffers)
        self._store(chunks, gathered, buffers)
        if self._transaction.metadata_waits:
            self._transaction.flush_metadata(buffers.packs[0])
        self.progress.bytes_read += entry.size

    def _needed(self, entry: PackEntry) -> bytes:
        """The records of a pack whose chunks snapshots reach."""
        keys = self._reach.keys[entry.pack_type]
        records = (entry.records[at : at + RECORD.size] for at in range(0, len(entry.records), RECORD.size))
        return b"".join(record for record in records if record[:KEY_BYTES] in keys)

    def _store(self, chunks: list[NamedChunk], gathered: bytearray, buffers: Buffers) -> None:
        buffers.source[: len(gathered)] = gathered
        store_chunks(chunks, buffers, self._transaction, entropy=self._engaged.entropy, compare=True)
        chunks.clear()
        gathered.clear()

    def _leave(self, entry: PackEntry, what: str) -> None:
        """A pack that is not whole stays, as it is: what it has lost a repair tells."""
        self._vault.mark_damaged(entry.name, what)
        self._marked -= {entry.name}

    def _settle_moved(self, buffers: Buffers) -> None:
        """Index what was moved, and read it back whole: it is about to be the only copy."""
        vault, before = self._vault, {pack.name for pack in self._vault.index.packs()}
        self._transaction.publish_all(buffers.packs[0])
        self._transaction.index_published(Gone())
        vault.refresh()
        fresh = {pack.name for pack in vault.index.packs()} - before
        moved = with_records(vault, fresh)
        for entry in moved:
            packcheck.check_name(vault, entry, buffers)
            spoilt = next((what for _, data, what in packcheck.open_all(vault, entry, buffers) if data is None), "")
            if spoilt:
                raise IntegrityError(f"what was moved does not read back: {spoilt}", "check this machine and its disk")
        self._outcome.bytes_written = sum(entry.size for entry in moved)

    # --- deleting ---------------------------------------------------------------------------------------

    def _mark_packs(self, buffers: Buffers) -> None:
        presence = self._engaged.presence
        self._mark = presence.mark(self._engaged.use.wedding, self._marked)
        self._watch = presence.watch(self._mark, self._engaged.clock)

    def _decide_unless_others(self, buffers: Buffers) -> None:
        """Look who may still rely on what is marked; when nobody may, decide by the snapshots that stand now."""
        assert self._watch is not None
        presence, vault = self._engaged.presence, self._vault
        self._looked_s = self._engaged.clock.monotonic_s()
        others = self._watch.look()
        if presence.waits_for(self._mark, self._engaged.use):
            others.append("a job of this engine on the same wedding")
        self.progress.current = f"waits for {', '.join(others)}" if others else ""
        if others:
            return
        vault.refresh()
        pruning.refuse_unknown(vault)
        for item in vault.snapshots(partial=True):
            self._reach.add(vault, item)
        held = vault.index.held(self._reach.keys)
        self._doomed = [name for name in sorted(self._marked) if name not in held or not held[name].wanted_chunks]
        if not presence.is_protected_since(self._losses):
            raise Unavailable("this engine was taken for dead while it pruned", "it begins anew")
        self._is_decided = True
        sizes = stored_packs(vault)
        self._outcome.packs_freed = len(self._doomed)
        self._outcome.packs_repacked = sum(name in self._choice.repacked for name in self._doomed)
        self._outcome.bytes_freed = sum(sizes[name][0] for name in self._doomed if name in sizes)
        self.progress.files_total = len(self._doomed)
        pruning.drop(vault, self._doomed, self._engaged.entropy)

    def _delete(self, packs: list[bytes], buffers: Buffers) -> None:
        pruning.delete(self._vault, packs)
        self.progress.files_done += len(packs)

    def _tidy(self, buffers: Buffers) -> None:
        presence, use = self._engaged.presence, self._engaged.use
        self._vault.refresh()
        with pruning.deleting():
            self._outcome.fragments_merged = merging.merge(self._vault, self._engaged.entropy)
            presence.lift_older(use.wedding, self._mark or use.number)
