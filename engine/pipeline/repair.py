"""One repair as a run: the index made whole from the packs, bad packs dropped, what is still good in them saved.

Every pack in the store is looked at, also those that no index names. Packs that are missing or damaged no longer
count afterwards, so the next backup of a source that still stands stores their chunks again by itself; what opens
of a damaged pack is stored anew. What is lost all the same is told by name. Nothing is deleted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, NotFound
from engine.base.units import MIB
from engine.pipeline import packcheck
from engine.pipeline.compress import press
from engine.pipeline.pool import Buffers, Run, Unit
from engine.repository import fragment, layout
from engine.repository.pack import PackEntry, read_footer, split_records
from engine.repository.records import with_records
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

_T = TypeVar("_T")
LOSSES_KEPT = 1000
_UNIT_BYTES = 12 * MIB  # of what is saved, sealed at a time


class RepairOutcome(msgspec.Struct):
    """What was found and done. Losses are "snapshot: path"."""

    packs: int = 0
    packs_recovered: int = 0  # good, but in no index
    packs_dropped: int = 0  # missing or damaged
    chunks_saved: int = 0  # out of damaged packs; by a dry run, how many would be
    fragments_replaced: int = 0
    problems: list[str] = []
    losses: list[str] = []
    losses_total: int = 0


class RepairRun(Run[RepairOutcome]):
    """One repair of a wedding. With `dry_run` it only tells."""

    def __init__(self, vault: WeddingVault, entropy: Entropy, *, contents: bool, dry_run: bool) -> None:
        """`contents`: read every pack and open every blob, not only footers and packs that were found damaged."""
        super().__init__()
        self._vault = vault
        self._entropy = entropy
        self._contents = contents
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._outcome = RepairOutcome(problems=list(vault.problems))
        self._indexed = {pack.name: pack for pack in vault.index.packs()}
        self._fresh = {pack.name for pack in vault.recovered}  # indexed in memory only
        self._good: list[PackEntry] = []  # not indexed, with records
        self._bad: list[PackEntry] = []  # indexed; with records where the footer could still be read
        self._suspected = vault.known_damaged()
        self._names = deque(sorted(self._indexed.keys() | _stored(vault)))
        self._transaction = Transaction(vault, entropy)
        self.progress.files_total = len(self._names)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        if not self._names:
            return None
        name = self._names.popleft()
        self.cost = self._indexed[name].size if name in self._indexed else 0
        return partial(self._look_at, name)

    def _look_at(self, name: bytes, buffers: Buffers) -> None:
        known = self._indexed.get(name)
        try:
            footer = self._from_a_good_copy(name, lambda: read_footer(self._vault.store, self._vault.keys, name))
        except (IntegrityError, NotFound) as error:
            self._note_bad(name, known, error.message)
        else:
            if self._contents or name in self._suspected:
                self._look_inside(footer, known, buffers)
            elif known is None or name in self._fresh:
                self._note_good(footer)
        with self._lock:
            self._outcome.packs += 1
            self.progress.files_done += 1

    def _look_inside(self, footer: PackEntry, known: PackEntry | None, buffers: Buffers) -> None:
        def look() -> None:
            packcheck.check_name(self._vault, footer, buffers)
            spoilt = next((what for _, data, what in packcheck.open_all(self._vault, footer, buffers) if not data), "")
            if spoilt:
                raise IntegrityError(spoilt)

        try:
            self._from_a_good_copy(footer.name, look)
        except (IntegrityError, NotFound) as error:
            self._note_bad(footer.name, footer if known is not None else None, error.message)
        else:
            self._vault.mark_sound(footer.name)
            if known is None or footer.name in self._fresh:
                self._note_good(footer)

    def _from_a_good_copy(self, name: bytes, read: Callable[[], _T]) -> _T:
        """What is read of a pack; once more, where what was read is wrong and another copy of it is good."""
        try:
            return read()
        except (IntegrityError, NotFound):
            if not self._vault.has_good_copy(name):
                raise
        return read()

    def _note_good(self, footer: PackEntry) -> None:
        with self._lock:
            self._good.append(footer)

    def _note_bad(self, name: bytes, known: PackEntry | None, what: str) -> None:
        """A bad pack that no index names is nobody's loss: it may be half of what a crash left."""
        if known is None:
            return
        self._vault.mark_damaged(name, what)
        with self._lock:
            self._bad.append(known)
            self._outcome.problems.append(f"pack {name.hex()}: {what}")

    # --- mending ----------------------------------------------------------------------------------------

    def conclude(self, buffers: Buffers) -> RepairOutcome:
        """See `Run.conclude`."""
        outcome = self._outcome
        outcome.packs_recovered, outcome.packs_dropped = len(self._good), len(self._bad)
        bad = {pack.name: pack for pack in self._bad}
        without = {name for name, pack in bad.items() if not pack.records}
        bad |= {pack.name: pack for pack in with_records(self._vault, without)} if without else {}
        gone = fragment.Gone(frozenset(pack.name for pack in self._bad), self._vault.damaged_fragments())
        outcome.fragments_replaced = len(gone.fragments)
        if self._dry_run:
            self._tell_losses(self._would_save(bad.values(), buffers))
            return outcome
        if self._good or gone:
            self._vault.recover(self._good)
            for pack in bad.values():
                self._save(pack, buffers)
            self._transaction.publish_all(buffers.packs[0])
            self._transaction.index_published(gone)  # with what is saved, so that a kill before it takes nothing away
            self._vault.refresh()
        self._tell_losses(set())
        return outcome

    def _would_save(self, bad: Iterable[PackEntry], buffers: Buffers) -> set[bytes]:
        """The chunks that mending would bring back: those of good packs that no index names, those that still open."""
        fresh = [pack for pack in self._good if not self._vault.index.knows_pack(pack.name)]
        saved = {record.chunk_id for pack in fresh for record in split_records(pack)}
        for pack in bad:
            for piece, data, _ in packcheck.open_all(self._vault, pack, buffers):
                if data is None or piece.chunk_id in saved:
                    continue
                if self._transaction.claim([piece.chunk_id], pack.pack_type)[0]:
                    saved.add(piece.chunk_id)
                    self._outcome.chunks_saved += 1
        return saved

    def _save(self, pack: PackEntry, buffers: Buffers) -> None:
        """Store the chunks of a damaged pack that still open and are nowhere else."""
        if not pack.records:
            return
        (writer,) = self._transaction.checkout(pack.pack_type, 1)
        writer.open_unit(buffers.packs[0])
        sealed_bytes = 0
        for piece, data, _ in packcheck.open_all(self._vault, pack, buffers):
            if data is None or not self._transaction.claim([piece.chunk_id], pack.pack_type)[0]:
                continue
            content, codec_used = press(data, buffers, pressed_format=False)
            place = writer.seal(content, codec_used)
            writer.record(piece.chunk_id, place, (0, len(data)), codec_used)
            self._outcome.chunks_saved += 1
            sealed_bytes += len(content)
            if sealed_bytes >= _UNIT_BYTES:
                self._transaction.add_stored(writer.close_unit())
                writer.open_unit(buffers.packs[0])
                sealed_bytes = 0
        self._transaction.add_stored(writer.close_unit())
        self._transaction.checkin(pack.pack_type, [writer], buffers.packs[0])

    def _tell_losses(self, saved: set[bytes]) -> None:
        """Name every file of which a chunk is nowhere, nor one of `saved`, and what manifests cannot be read."""
        bad = {pack.name for pack in self._bad}
        standing = self._vault.snapshots()
        for problem in self._vault.damaged_snapshots(""):
            self._outcome.losses_total += 1
            self._outcome.losses.append(problem)
        for snapshot in standing:
            damaged: list[str] = []
            for entry in self._vault.entries(snapshot, damaged=lambda segment, what: damaged.append(what)):  # noqa: B023
                try:
                    ids = self._vault.chunk_ids(entry)
                except (IntegrityError, NotFound):
                    self._lose(snapshot.id, entry.path)
                    continue
                wanted = [chunk_id for at in range(0, len(ids), 32) if (chunk_id := ids[at : at + 32]) not in saved]
                if any(place is None or place.pack.name in bad for place in self._vault.index.locate(wanted)):
                    self._lose(snapshot.id, entry.path)
            for what in damaged:
                self._outcome.losses_total += 1
                self._outcome.losses.append(f"{snapshot.id}: a part of its list of files: {what}")

    def _lose(self, snapshot_id: str, path: bytes) -> None:
        self._outcome.losses_total += 1
        if len(self._outcome.losses) < LOSSES_KEPT:
            self._outcome.losses.append(f"{snapshot_id}: /{path.decode('utf-8', 'backslashreplace')}")

    def abort(self) -> None:
        """See `Run.abort`."""
        self._transaction.abort()


def _stored(vault: WeddingVault) -> set[bytes]:
    """The names of all packs in the store."""
    lasts = (info.name.rpartition("/")[2] for info in vault.store.list(layout.packs(vault.keys.wedding)))
    return {bytes.fromhex(last) for last in lasts if layout.is_hash(last)}
