"""One job's writes: open packs, chunks claimed, metadata, checkpoints, the commit (docs/format.md, section 7).

Streams share it under one lock, taken a few times a unit. What was claimed and not published dies with the job:
a job that fails discards its packs whole, so no pack is ever half believed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from engine.base.entropy import Entropy
from engine.base.invariants import check
from engine.base.units import MIB
from engine.repository import codec, crypto, fragment, layout, snapshot
from engine.repository.pack import PACK_TARGET_BYTES, RECORD, PackEntry, PackWriter
from engine.repository.reach import require_whole
from engine.repository.snapshot import INLINE_RECORDS_MAX, Snapshot
from engine.repository.vault import WeddingVault

METADATA_GATHERED_BYTES = 4 * MIB


class Transaction:
    """What one job adds to a wedding."""

    def __init__(self, vault: WeddingVault, entropy: Entropy, *, pack_target_bytes: int = PACK_TARGET_BYTES) -> None:
        self._vault = vault
        self._pack_target_bytes = pack_target_bytes
        self._entropy = entropy
        self._lock = threading.Lock()
        self._open: dict[int, list[PackWriter]] = {crypto.DATA_PACK: [], crypto.METADATA_PACK: []}
        self._out: set[PackWriter] = set()
        self._own: set[bytes] = set()  # claimed by this job and not indexed yet
        self._publishing: list[tuple[PackEntry, Future[None]]] = []
        self._metadata: list[tuple[bytes, bytes]] = []
        self._metadata_bytes = 0
        self._ended = False
        self.bytes_stored = 0

    # --- data -------------------------------------------------------------------------------------------

    def claim(self, ids: Sequence[bytes], pack_type: int = crypto.DATA_PACK) -> list[bool]:
        """For each id, whether the caller has to store it in a pack of this type: neither index nor job has it yet.

        What lies in packs that are known to be damaged only is stored again.
        """
        missing = self._vault.index.unsound(ids, pack_type)
        with self._lock:
            own = self._own
            for at, is_missing in enumerate(missing):
                if is_missing:
                    if ids[at] in own:
                        missing[at] = False
                    else:
                        own.add(ids[at])
        return missing

    def checkout(self, pack_type: int, count: int) -> list[PackWriter]:
        """`count` open packs for the length of a unit, random ones of those at rest, else new ones."""
        with self._lock:
            check(not self._ended, "a transaction that ended takes no writes")
            resting = self._open[pack_type]
            writers = []
            for _ in range(count):
                if resting:
                    at = int.from_bytes(self._entropy.token(2), "little") % len(resting)
                    writers.append(resting.pop(at))
                else:
                    writers.append(
                        PackWriter(
                            self._vault.store.stage(),
                            pack_type=pack_type,
                            keys=self._vault.keys,
                            entropy=self._entropy,
                            target_bytes=self._pack_target_bytes,
                        )
                    )
            self._out.update(writers)
            return writers

    def checkin(self, pack_type: int, writers: Sequence[PackWriter], buffer: memoryview) -> None:
        """Give packs back after their units are closed; full ones are published. `buffer` is scratch space."""
        for writer in writers:
            if writer.is_full:
                self._publish(writer, buffer)
            with self._lock:
                self._out.discard(writer)
                if not writer.is_full:
                    self._open[pack_type].append(writer)

    def add_stored(self, size_bytes: int) -> None:
        """Count bytes that went to the store."""
        with self._lock:
            self.bytes_stored += size_bytes

    def _publish(self, writer: PackWriter, buffer: memoryview) -> None:
        published = writer.publish(layout.packs(self._vault.keys.wedding), buffer)
        with self._lock:
            self._publishing.append(published)

    # --- metadata ---------------------------------------------------------------------------------------

    def add_metadata(self, content: bytes) -> bytes:
        """Keep a manifest segment or chunk list; returns its id. It is written with the next flush."""
        chunk_id = crypto.chunk_id(content, self._vault.keys.metadata_key)
        if self.claim([chunk_id], crypto.METADATA_PACK)[0]:
            with self._lock:
                self._metadata.append((chunk_id, content))
                self._metadata_bytes += len(content)
        return chunk_id

    def has_metadata(self, chunk_id: bytes) -> bool:
        """Whether a manifest segment or chunk list is stored in a sound pack, or claimed by this job."""
        with self._lock:
            return chunk_id in self._own or not self._vault.index.unsound([chunk_id], crypto.METADATA_PACK)[0]

    @property
    def metadata_waits(self) -> bool:
        """Whether enough metadata is gathered to be worth a flush."""
        return self._metadata_bytes >= METADATA_GATHERED_BYTES

    def flush_metadata(self, buffer: memoryview) -> None:
        """Seal the metadata gathered so far. `buffer` is a stream's page-aligned buffer."""
        with self._lock:
            gathered, self._metadata, self._metadata_bytes = self._metadata, [], 0
        at = 0
        while at < len(gathered):
            (writer,) = self.checkout(crypto.METADATA_PACK, 1)
            writer.open_unit(buffer)
            sealed_bytes = 0
            while at < len(gathered) and sealed_bytes < METADATA_GATHERED_BYTES:
                chunk_id, content = gathered[at]
                framed, codec_used = codec.press(content)
                place = writer.seal(framed, codec_used)
                writer.record(chunk_id, place, (0, len(content)), codec_used)
                sealed_bytes += len(framed)
                at += 1
            self.add_stored(writer.close_unit())
            self.checkin(crypto.METADATA_PACK, [writer], buffer)

    # --- commit -----------------------------------------------------------------------------------------

    def publish_all(self, buffer: memoryview) -> None:
        """Publish every open pack: data first, then metadata. No unit may be in flight."""
        with self._lock:
            check(not self._out, "packs are published while no unit is in flight")
        for pack_type in (crypto.DATA_PACK, crypto.METADATA_PACK):
            if pack_type == crypto.METADATA_PACK:
                self._await(self._publishing)  # data packs are durable before what names them
                self.flush_metadata(buffer)
            while (writer := self._take_resting(pack_type)) is not None:
                if writer.size_bytes:
                    self._publish(writer, buffer)
                else:
                    writer.discard()
        self._await(self._publishing)

    def _take_resting(self, pack_type: int) -> PackWriter | None:
        """One open pack; the others stay where `abort` finds them when this one cannot be published."""
        with self._lock:
            return self._open[pack_type].pop() if self._open[pack_type] else None

    @staticmethod
    def _await(publishing: list[tuple[PackEntry, Future[None]]]) -> None:
        for _, future in list(publishing):
            future.result()

    def take_inline(self) -> tuple[PackEntry, ...]:
        """The published packs' entries for the snapshot itself, when they are few; else they go to fragments."""
        with self._lock:
            entries = [entry for entry, _ in self._publishing]
        records_count = sum(len(entry.records) for entry in entries) // RECORD.size
        if self._vault.recovered or records_count > INLINE_RECORDS_MAX:
            self._write_fragments(entries)
            return ()
        return tuple(entries)

    def _write_fragments(self, entries: list[PackEntry]) -> None:
        recovered = list(self._vault.recovered)
        names = fragment.write(self._vault.store, self._vault.keys, [*entries, *recovered], self._entropy)
        self._vault.add_fragments(names)
        del self._vault.recovered[: len(recovered)]

    def index_published(self, gone: fragment.Gone) -> None:
        """Write what was published or recovered to the index without a snapshot, and last what is `gone`.

        The vault learns of it when it is refreshed.
        """
        with self._lock:
            entries = [entry for entry, _ in self._publishing]
            self._publishing = []
        recovered = list(self._vault.recovered)
        entries += (entry for entry in recovered if entry.name not in gone.packs)
        fragment.write(self._vault.store, self._vault.keys, entries, self._entropy, gone)
        del self._vault.recovered[: len(recovered)]

    def commit(self, committed: Snapshot) -> None:
        """Write the snapshot or checkpoint, last; then this job's chunks count for everyone. Raises Conflict.

        Raises Unavailable when this engine was taken for dead and what the snapshot relies on was pruned meanwhile.
        """
        snapshot.write(self._vault.store, self._vault.keys, committed, self._entropy)
        if not self._vault.is_protected():
            require_whole(self._vault, committed)
        with self._lock:
            entries = [entry for entry, _ in self._publishing]
            self._publishing = []
            self._vault.add_snapshot(committed, entries)
            self._own.clear()

    def abort(self) -> None:
        """Discard whatever is not committed; nothing stays behind but published packs that nothing names."""
        with self._lock:
            self._ended = True
            writers = [*self._out, *self._open[crypto.DATA_PACK], *self._open[crypto.METADATA_PACK]]
            self._out.clear()
            for resting in self._open.values():
                resting.clear()
        for writer in writers:
            writer.discard()
