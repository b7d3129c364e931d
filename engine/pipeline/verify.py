"""One verification as a run: structure, every pack by its name, every blob by decryption, every file by its hash.

Packs are units of their own. Nothing is repaired here; problems are sentences that name what is affected.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator
from functools import partial

import msgspec
from blake3 import blake3

from engine.base.errors import IntegrityError, NotFound
from engine.base.units import format_count
from engine.contract.settings import SEGMENT_BYTES, UNIT_BYTES
from engine.pipeline import packcheck
from engine.pipeline.fetch import fetch
from engine.pipeline.pool import Buffers, Run, Unit
from engine.repository import crypto, fragment
from engine.repository.entry import FILE, Entry
from engine.repository.manifest import SegmentRef, entries_lost
from engine.repository.pack import PackEntry, read_footer, split_records
from engine.repository.records import with_records
from engine.repository.snapshot import Snapshot
from engine.repository.snapshot import read as read_snapshot
from engine.repository.vault import WeddingVault

PROBLEMS_KEPT = 1000
_BLOBS_KEPT = 4
_FILES_A_UNIT = 512  # neighbours share bundles, which are then opened once


class VerifyOutcome(msgspec.Struct):
    """What was looked at, and what was wrong."""

    snapshots: int = 0
    packs: int = 0
    blobs: int = 0
    files: int = 0
    copies: int = 0  # read where they lie, one by one
    bytes_checked: int = 0
    problems: list[str] = []
    problems_total: int = 0
    healed: list[str] = []  # what is no problem: packs that are damaged and all of which is elsewhere too, or archived


class VerifyRun(Run[VerifyOutcome]):
    """One verification of a wedding."""

    def __init__(self, vault: WeddingVault, *, all_files: bool, archived: Collection[bytes] = ()) -> None:
        """`archived`: packs that have to be recalled before they can be read; they are left out, and that is told."""
        super().__init__()
        self._vault = vault
        self._all_files = all_files
        self._lock = threading.Lock()
        self._outcome = VerifyOutcome()
        self._snapshots = deque(vault.snapshots(partial=True))
        self._fragments = deque(vault.fragments())
        self._found = vault.problems
        for problem in self._found:
            self._report(problem)
        self._archived = frozenset(archived)
        self._packs = deque(pack for pack in vault.index.packs() if pack.name not in self._archived)
        self._files: Iterator[tuple[Snapshot, Entry]] | None = None
        self._seen: set[bytes] = set()
        self._unread_files = 0  # under the lock
        self._bad: dict[bytes, list[str]] = {}  # packs, and what is wrong with each
        self.progress.bytes_total = sum(entry.size for entry in self._packs)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        if self._snapshots:
            return partial(self._check_structure, self._snapshots.popleft())
        if self._fragments:
            return partial(self._check_fragment, self._fragments.popleft())
        if self._packs:
            pack = self._packs.popleft()
            self.cost = pack.size
            return partial(self._check_pack, pack)
        if self._all_files and self._files is None:
            self._files = self._all_entries()
        if self._files is not None:
            batch = []
            for _, item in zip(range(_FILES_A_UNIT), self._files, strict=False):
                batch.append(item)
                if item[1].size >= UNIT_BYTES:
                    break
            if batch:
                return partial(self._check_files, batch)
        return None

    def conclude(self, buffers: Buffers) -> VerifyOutcome:
        """See `Run.conclude`."""
        self._acquit_healed()
        if self._archived:
            packs = format_count(len(self._archived), "archived pack")
            files = f" and {format_count(self._unread_files, 'file')} in them" if self._unread_files else ""
            self._outcome.healed.append(f"not read: {packs}{files}; recall brings them back")
        for problem in self._vault.problems:
            if problem not in self._found:
                self._report(problem)  # met on the way, as by a vault that had to ask footers
        return self._outcome

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`: its problems."""
        with self._lock:
            return tuple(self._outcome.problems)

    def _report(self, problem: str) -> None:
        with self._lock:
            self._outcome.problems_total += 1
            self.progress.warnings += 1
            if len(self._outcome.problems) < PROBLEMS_KEPT:
                self._outcome.problems.append(problem)

    # --- structure --------------------------------------------------------------------------------------

    def _check_structure(self, snapshot: Snapshot, buffers: Buffers) -> None:
        """It still reads as it did, so do all its entries, and every chunk that they name is in the index."""
        name = f"snapshot {snapshot.id}"
        entries = lost = 0

        def damaged(segment: SegmentRef, what: str) -> None:
            nonlocal lost
            lost += segment.entries
            self._report(f"{name}: {entries_lost(segment, what)}")

        try:
            read_snapshot(self._vault.store, self._vault.keys, snapshot.id)
        except (IntegrityError, NotFound) as error:
            if snapshot.id not in {item.id for item in self._vault.snapshots(partial=True)}:
                return  # pruned meanwhile
            self._report(error.message)
        for entry in self._vault.entries(snapshot, damaged=damaged):
            entries += 1
            try:
                ids = self._vault.chunk_ids(entry)
            except (IntegrityError, NotFound) as error:
                self._report(f"{name}: {_shown(entry.path)}: {error.message}")
                continue
            if any(self._vault.index.missing([ids[at : at + 32] for at in range(0, len(ids), 32)])):
                self._report(f"{name}: {_shown(entry.path)}: a chunk of it is missing from the index")
        if not snapshot.partial and entries + lost != snapshot.body.counts.entries:
            self._report(
                f"{name}: has {format_count(entries + lost, 'entry')}, not the {snapshot.body.counts.entries} it counts"
            )
        with self._lock:
            self._outcome.snapshots += 1

    def _check_fragment(self, name: str, buffers: Buffers) -> None:
        """A part of the index still reads as it did when the wedding was opened, unless it was merged."""
        try:
            fragment.read(self._vault.store, self._vault.keys, name)
        except IntegrityError as error:
            self._report(error.message)
        except NotFound as error:
            self._vault.refresh()
            if name in self._vault.fragments():  # else another has taken its place meanwhile
                self._report(error.message)

    # --- packs ------------------------------------------------------------------------------------------

    def _check_pack(self, entry: PackEntry, buffers: Buffers) -> None:
        """The pack's bytes have the hash in its name, its footer agrees, its blobs open, its chunks have their ids."""
        wrong, blobs = self._wrong_in(entry, buffers)
        if wrong and self._vault.has_good_copy(entry.name):
            wrong, blobs = self._wrong_in(entry, buffers)
            if not wrong:
                what = f"pack {entry.name.hex()} has a copy that is damaged; a good one is read in its place"
                self._outcome.healed.append(what)
        if wrong:
            self._vault.mark_damaged(entry.name, wrong[0])
        else:
            self._vault.mark_sound(entry.name)
        for what in wrong:
            self._report(what)
        with self._lock:
            if wrong:
                self._bad[entry.name] = wrong
            self._outcome.packs += 1
            self._outcome.blobs += blobs
            self._outcome.bytes_checked += entry.size
            self.progress.bytes_read += entry.size

    def _wrong_in(self, entry: PackEntry, buffers: Buffers) -> tuple[list[str], int]:
        """What is wrong with a pack, as it is read now, and how many blobs were looked at."""
        wrong: list[str] = []
        blobs = 0
        try:
            packcheck.check_name(self._vault, entry, buffers)
            footer = read_footer(self._vault.store, self._vault.keys, entry.name)
            if (footer.salt, footer.epoch, footer.pack_type) != (entry.salt, entry.epoch, entry.pack_type):
                raise IntegrityError("the index and the pack do not agree on its key")
            found, blobs = self._check_blobs(footer, buffers)
            wrong += found
        except (IntegrityError, NotFound) as error:
            self._vault.refresh()
            if entry.name in self._vault.dropped():
                return [], 0  # pruned meanwhile
            wrong.append(f"pack {entry.name.hex()}: {error.message}")
        return wrong, blobs

    def _check_blobs(self, footer: PackEntry, buffers: Buffers) -> tuple[list[str], int]:
        """Open every blob of the footer's records; the id of each chunk is the keyed hash of its bytes."""
        wrong: list[str] = []
        blobs = 0
        for wanted in packcheck.ranges_of(footer):
            blobs += len(wanted.blobs)
            for _, data, what in fetch(self._vault, wanted, buffers):
                if data is None:
                    wrong.append(what)
        return wrong, blobs

    def _acquit_healed(self) -> None:
        """A damaged pack is no problem when sound ones hold all that is in it, as after the backup that follows."""
        for pack in with_records(self._vault, set(self._bad)) if self._bad else ():
            ids = [record.chunk_id for record in split_records(pack)]
            if any(self._vault.index.unsound(ids, pack.pack_type)):
                continue
            wrong = self._bad[pack.name]
            what = f"pack {pack.name.hex()} is damaged, but all of it is stored elsewhere too; repair takes it out"
            self._outcome.healed.append(what)
            self._outcome.problems = [problem for problem in self._outcome.problems if problem not in wrong]
            self._outcome.problems_total -= len(wrong)
            self.progress.warnings -= len(wrong)

    # --- files ------------------------------------------------------------------------------------------

    def _all_entries(self) -> Iterator[tuple[Snapshot, Entry]]:
        """Every file of every snapshot, each contents once."""
        for snapshot in self._vault.snapshots():
            for entry in self._vault.entries(snapshot, damaged=_said_already):
                if entry.kind != FILE:
                    continue
                key = crypto.hash_bytes(entry.hash + entry.chunks + entry.chunk_lists)[:16]
                if key not in self._seen:
                    self._seen.add(key)
                    yield snapshot, entry
                else:
                    self._outcome.files += 1

    def _check_files(self, batch: list[tuple[Snapshot, Entry]], buffers: Buffers) -> None:
        blobs: dict[tuple[bytes, int], memoryview] = {}
        for snapshot, entry in batch:
            if self._archived and self._lies_in_archive(entry):
                with self._lock:
                    self._unread_files += 1
                continue
            try:
                digest = self._hash_file(entry, blobs)
                if digest != entry.hash:
                    raise IntegrityError("its contents do not have the hash that was recorded")
            except (IntegrityError, NotFound) as error:
                self._report(f"snapshot {snapshot.id}: {_shown(entry.path)}: {error.message}")
            with self._lock:
                self._outcome.files += 1
                self.progress.files_done += 1

    def _lies_in_archive(self, entry: Entry) -> bool:
        """Whether a pack that has to be recalled is needed for a file."""
        try:
            ids = self._vault.chunk_ids(entry)
        except (IntegrityError, NotFound):
            return False
        places = self._vault.places([ids[at : at + 32] for at in range(0, len(ids), 32)])
        return any(place is not None and place.pack.name in self._archived for place in places)

    def _read_chunk(self, chunk_id: bytes, blobs: dict[tuple[bytes, int], memoryview]) -> bytes:
        """A chunk, from the last few blobs if one of them has it."""
        location = self._vault.locate(chunk_id)
        key = (location.pack.name, location.offset)
        content = blobs.get(key)
        try:
            if content is None:
                if len(blobs) >= _BLOBS_KEPT:
                    del blobs[next(iter(blobs))]
                content = blobs[key] = self._vault.read_blob(location)
            return self._vault.take_chunk(chunk_id, location, content)
        except (IntegrityError, NotFound) as error:
            found = self._vault.read_elsewhere(chunk_id, location.pack, error.message)
            if found is None:
                raise
            return found

    def _hash_file(self, entry: Entry, blobs: dict[tuple[bytes, int], memoryview]) -> bytes:
        """The file's hash as format section 6.5 has it, read back chunk by chunk. Raises IntegrityError."""
        ids = self._vault.chunk_ids(entry)
        segments: list[bytes] = []
        hasher = blake3()
        in_segment = total = 0
        for at in range(0, len(ids), 32):
            chunk = self._read_chunk(ids[at : at + 32], blobs)
            hasher.update(chunk)
            in_segment += len(chunk)
            total += len(chunk)
            if in_segment == SEGMENT_BYTES:
                segments.append(hasher.digest())
                hasher, in_segment = blake3(), 0
        if total != entry.data_bytes:
            raise IntegrityError(f"its chunks come to {format_count(total, 'byte')} instead of {entry.data_bytes}")
        if in_segment or not segments:
            segments.append(hasher.digest())
        return segments[0] if len(segments) == 1 else blake3(b"".join(segments)).digest()


def _said_already(_: SegmentRef, __: str) -> None:
    """The check of the structure has told of this segment."""


def _shown(path: bytes) -> str:
    return "/" + path.decode("utf-8", "backslashreplace")
