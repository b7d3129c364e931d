"""One wedding at work: its keys, its index, its snapshots, and how its chunks are read. Any thread.

Opened by `Repository.vault`, shared by all jobs of the wedding, kept a while after the last. Reading is tolerant: an
object that does not authenticate becomes a problem in the list, and everything else stays usable.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, NotFound
from engine.repository import codec, crypto, fragment, layout, snapshot
from engine.repository.damaged import Copies, DamagedPacks
from engine.repository.entry import Entry
from engine.repository.index import Index, Location
from engine.repository.keyring import WeddingKeys
from engine.repository.manifest import Damaged, decode_segment, read_entries
from engine.repository.pack import BLOB_CONTENT_BYTES_MAX, PackEntry, pack_cipher, read_footer
from engine.repository.presence import Presence
from engine.repository.snapshot import Snapshot
from engine.storage.cached import past_caches
from engine.storage.stores.store import ObjectStore

_LOG = logging.getLogger(__name__)
_VAULT_BYTES, _SNAPSHOT_BYTES = 20_000, 2_000  # of memory, about


class Surroundings(msgspec.Struct, frozen=True):
    """What an engine knows beside the store: `damaged` packs that its home has found, `copies`, its `presence`."""

    damaged: DamagedPacks = msgspec.field(default_factory=DamagedPacks)
    copies: Copies | None = None  # None: there is one copy of everything
    presence: Presence | None = None


class WeddingVault:
    """What can be read of one wedding; `Transaction` writes."""

    def __init__(
        self,
        store: ObjectStore,
        keys: WeddingKeys,
        entropy: Entropy,
        around: Surroundings | None = None,
    ) -> None:
        """Without `around` what is found damaged is known here only, packs have one copy, and nobody prunes."""
        self.store = store
        self.keys = keys
        self.entropy = entropy
        self._around = around or Surroundings()
        self._damaged_packs = self._around.damaged
        self._presence = self._around.presence
        self._copies = self._around.copies
        self.reopen()
        self.index = Index(self._damaged_packs.names())
        self.recovered: list[PackEntry] = []  # from footers, because a fragment was unreadable
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}
        self._fragments: set[str] = set()
        self._dropped: set[bytes] = set()  # packs that no longer count, whatever lists them
        self._replaced: set[str] = set()  # fragments, perhaps damaged ones, whose content another carries
        self._problems: dict[str, str] = {}  # object name → what is wrong
        self._has_asked_footers = False
        self._ciphers: dict[bytes, crypto.PackCipher] = {}

    @property
    def problems(self) -> list[str]:
        """What was found damaged so far, a sentence each."""
        with self._lock:
            return list(self._problems.values())

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        with self._lock:
            held_bytes = sum(_SNAPSHOT_BYTES + len(item.body.inline_entries) for item in self._snapshots.values())
        return _VAULT_BYTES + held_bytes + self.index.size_bytes

    def refresh(self) -> None:
        """Read fragments and snapshots written since. Raises Unavailable, NotPermitted; damage is a problem."""
        with self._lock:
            marked = self.marked()  # before the index is read: what is not marked any more is dropped there, or spared
            problems_before = len(self._problems)
            index = self.index
            while not self._read_new(index):
                # Packs that are indexed were pruned by another engine, and a table cannot forget: it is made anew.
                index = Index(self._damaged_packs.names(), marked)
                self._snapshots.clear()
                self._fragments.clear()
            if index is not self.index:
                index.add(entry for entry in self.recovered if entry.name not in self._dropped)
                self.index = index
            self.index.set_marked(marked)
            if len(self._problems) > problems_before:
                self._recover_from_footers()

    def marked(self) -> frozenset[bytes]:
        """The names of packs that are marked for deletion, as far as this engine has read the marks."""
        return self._presence.marked(self.keys.wedding) if self._presence is not None else frozenset()

    def dropped(self) -> frozenset[bytes]:
        """The names of packs that do not count any more, whether or not they are still in the store."""
        with self._lock:
            return frozenset(self._dropped)

    def is_protected(self) -> bool:
        """Whether what was relied on here, since it was opened, cannot have been pruned: the lease was never lost."""
        return self._presence is None or self._presence.is_protected_since(self._losses)

    def reopen(self) -> None:
        """Nobody relies on what is known here any more; whoever does from now on refreshes it first."""
        self._losses = self._presence.losses if self._presence is not None else 0

    def afresh(self) -> WeddingVault:
        """The wedding as an engine sees it that opens it now; the marks are read before the index."""
        if self._presence is not None:
            self._presence.read_marks()
        vault = WeddingVault(self.store, self.keys, self.entropy, self._around)
        vault.refresh()
        return vault

    def add_snapshot(self, committed: Snapshot, packs: Iterable[PackEntry]) -> None:
        """Know a snapshot that this process has just written, and the packs that came with it."""
        with self._lock:  # also for the index, so that a refresh which makes a new one loses none of it
            self.index.add(packs)
            self._snapshots[committed.id] = _without_packs(committed)

    def add_fragments(self, names: list[str]) -> None:
        """Know fragments that this process has just written; their packs are indexed with its snapshot."""
        with self._lock:
            self._fragments.update(names)

    def _read_new(self, index: Index) -> bool:
        """Read what is not known yet into `index`; False when that holds packs which turn out to be dropped.

        Snapshots are listed first: each was written after the fragments it needs.
        """
        found: dict[str, Snapshot] = {}
        folder = layout.snapshots(self.keys.wedding)
        listed = {info.name.removeprefix(folder): info.name for info in self.store.list(folder)}
        for last, name in listed.items():
            if layout.is_snapshot(last) and last not in self._snapshots and name not in self._problems:
                with self._noting(name), contextlib.suppress(NotFound):  # deleted since it was listed
                    found[name] = snapshot.read(self.store, self.keys, last)
        for last in self._snapshots.keys() - listed.keys():
            del self._snapshots[last]  # pruned
        for name, item in self._new_fragments():
            with self._noting(name):
                self._dropped |= _names(item.dropped)
                self._damaged_packs.forget(_names(item.dropped))
                self._replaced |= {layout.fragments(self.keys.wedding) + gone.hex() for gone in _names(item.replaces)}
                if any(map(index.knows_pack, _names(item.dropped))):
                    return False
                index.add(entry for entry in item.packs if entry.name not in self._dropped)
                self._fragments.add(name)
        for name, committed in found.items():
            with self._noting(name):
                index.add(entry for entry in committed.body.inline_packs if entry.name not in self._dropped)
                self._snapshots[committed.id] = _without_packs(committed)
        for name in self._replaced & self._problems.keys():
            del self._problems[name]
        return True

    def _new_fragments(self) -> Iterator[tuple[str, fragment.FragmentObject]]:
        """Fragments not known yet; listed again when one has gone meanwhile, since another has taken its place."""
        for is_last in (False, False, True):
            is_gone = False
            for info in self.store.list(layout.fragments(self.keys.wedding)):
                known = info.name in self._fragments or info.name in self._problems or info.name in self._replaced
                if known or not layout.is_hash(info.name.rpartition("/")[2]):
                    continue
                try:
                    found = fragment.read(self.store, self.keys, info.name)
                except NotFound as error:
                    is_gone = True
                    if is_last:
                        self._problems[info.name] = error.message
                except IntegrityError as error:
                    self._problems[info.name] = error.message
                else:
                    yield info.name, found
            if not is_gone:
                return

    @contextlib.contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """What is damaged, or gone since it was listed, is a problem and keeps nothing else from being read."""
        try:
            yield
        except (IntegrityError, NotFound) as error:
            self._problems[name] = error.message

    def _recover_from_footers(self) -> None:
        for info in self.store.list(layout.packs(self.keys.wedding)):
            last = info.name.rpartition("/")[2]
            if not layout.is_hash(last) or info.name in self._problems:
                continue
            name = bytes.fromhex(last)
            if name in self._dropped or self.index.knows_pack(name):
                continue
            with self._noting(info.name):
                entry = read_footer(self.store, self.keys, name)
                self.index.add([entry])
                self.recovered.append(entry)

    def recover(self, packs: Iterable[PackEntry]) -> None:
        """Know whole packs that lie in the store and that no index names; whoever writes the index next names them."""
        with self._lock:
            known = self.index.knows_pack
            fresh = [entry for entry in packs if entry.name not in self._dropped and not known(entry.name)]
            self.index.add(fresh)
            self.recovered += fresh

    def mark_damaged(self, pack: bytes, what: str) -> None:
        """A pack was found damaged: nothing relies on it from now on, and backups store again what it holds."""
        self.index.mark_damaged(pack)
        if self._damaged_packs.add(pack):
            said = "pack %s is damaged; the next backup stores again what the source still has of it"
            _LOG.warning(said, pack.hex(), extra={"reason": what})

    def mark_sound(self, pack: bytes) -> None:
        """A pack was read whole, and is good."""
        self.index.mark_sound(pack)
        self._damaged_packs.forget([pack])
        if self._copies is not None:
            self._copies.verified(layout.pack(self.keys.wedding, pack))

    def known_damaged(self) -> frozenset[bytes]:
        """The packs that were found damaged, of whatever wedding."""
        return self._damaged_packs.names()

    def damaged_fragments(self) -> frozenset[bytes]:
        """The hashes that name fragments which could not be read."""
        folder = layout.fragments(self.keys.wedding)
        with self._lock:
            names = [name.removeprefix(folder) for name in self._problems if name.startswith(folder)]
        return frozenset(map(bytes.fromhex, names))

    def snapshots(self, *, partial: bool = False) -> list[Snapshot]:
        """Snapshots, oldest first; with `partial` also checkpoints. Order is by parent, then time."""
        self.refresh()
        return self.known_snapshots(partial=partial)

    def known_snapshots(self, *, partial: bool = False) -> list[Snapshot]:
        """The same as `snapshots`, of what was read so far: the store is not asked."""
        with self._lock:
            found = [item for item in self._snapshots.values() if partial or not item.partial]
        return snapshot.in_order(found)

    def committed(self, job_id: str) -> Snapshot | None:
        """The whole snapshot of a job, if it is known to have committed; `refresh` learns of others' commits."""
        with self._lock:
            return self._snapshots.get(job_id)

    def fragments(self, *, replaced: bool = False) -> list[str]:
        """The index fragments that were read and count; or those that others took the place of, if still there."""
        with self._lock:
            return sorted(self._replaced if replaced else self._fragments - self._replaced)

    def find_snapshot(self, text: str) -> Snapshot:
        """See `snapshot.find`."""
        return snapshot.find(self.snapshots(partial=True), self._damaged(), text)

    def damaged_snapshots(self, text: str = "latest") -> tuple[str, ...]:
        """What is wrong with snapshots, a sentence each: with any (""), or with those that may be later than `latest`.

        One that a whole snapshot names as its parent is not. Nothing for who named another, nor of checkpoints: nobody
        relies on them.
        """
        if text not in ("", "latest"):
            return ()
        with self._lock:
            earlier = {item.body.parent for item in self._snapshots.values()} if text else set()
        return tuple(why for last, why in self._damaged().items() if layout.is_token(last) and last not in earlier)

    def _damaged(self) -> dict[str, str]:
        """Snapshots that cannot be read, by the digits that are their names, and why."""
        folder = layout.snapshots(self.keys.wedding)
        with self._lock:
            problems = sorted(self._problems.items())
        return {name.removeprefix(folder): why for name, why in problems if name.startswith(folder)}

    def entries(self, of: Snapshot, *, start: bytes = b"", damaged: Damaged | None = None) -> Iterator[Entry]:
        """A snapshot's entries in walk order, one segment in memory; from the segment that may hold `start` on.

        Raises IntegrityError, NotFound for a segment that cannot be read, unless there is `damaged` to tell of it.
        """
        if not of.body.segments:
            if of.body.inline_entries:
                yield from decode_segment(of.body.inline_entries, f"the manifest of snapshot {of.id}")
            return
        yield from read_entries(of.body.segments, self.read_metadata, start=start, damaged=damaged)

    def chunk_ids(self, entry: Entry) -> bytes:
        """All chunk ids of a file, 32 bytes each, in order. Raises IntegrityError."""
        if not entry.chunk_lists:
            return entry.chunks
        lists = (entry.chunk_lists[at : at + 32] for at in range(0, len(entry.chunk_lists), 32))
        ids = b"".join(map(self.read_metadata, lists))
        if len(ids) % 32:
            raise IntegrityError(f"the chunk list of {entry.path!r} is cut short")
        return ids

    def lacks(self, entries: Iterable[Entry]) -> bool:
        """Whether a chunk, or a chunk list, that one of `entries` names is not in the index, or damaged there."""
        chunks: list[bytes] = []
        lists: list[bytes] = []
        for entry in entries:
            chunks += (entry.chunks[at : at + 32] for at in range(0, len(entry.chunks), 32))
            lists += (entry.chunk_lists[at : at + 32] for at in range(0, len(entry.chunk_lists), 32))
        return any(self.index.unsound(chunks)) or any(self.index.unsound(lists, crypto.METADATA_PACK))

    def places(self, ids: Sequence[bytes], pack_type: int = crypto.DATA_PACK) -> list[Location | None]:
        """Where each chunk lies in packs of this type; None for what is in none of them.

        For what the index lacks, the footers of packs are asked, once: a lost fragment must not cost a restore.
        """
        found = self.index.locate(ids, pack_type)
        if None not in found:
            return found
        self._ask_footers()
        again = self.index.locate(ids, pack_type)
        if again.count(None) < found.count(None):
            with self._lock:
                what = "the index lacked packs that snapshots need; their footers told of them"
                self._problems.setdefault(layout.fragments(self.keys.wedding), what)
        return again

    def locate(self, chunk_id: bytes, pack_type: int = crypto.DATA_PACK) -> Location:
        """Where a chunk lies. Raises IntegrityError when no pack of this type has it."""
        if (location := self.places([chunk_id], pack_type)[0]) is None:
            raise IntegrityError(f"chunk {chunk_id.hex()} is missing from the index", "run verify, then repair")
        return location

    def cipher(self, pack: PackEntry) -> crypto.PackCipher:
        """The cipher of a pack; kept, since deriving it costs more than a small blob."""
        found = self._ciphers.get(pack.name)
        if found is None:
            found = self._ciphers[pack.name] = pack_cipher(self.keys, pack)
        return found

    def read_chunk(self, chunk_id: bytes, pack_type: int = crypto.DATA_PACK) -> bytes:
        """One chunk out of a pack of this type, checked. Raises IntegrityError, NotFound where no copy is good."""
        location = self.locate(chunk_id, pack_type)
        try:
            return self.take_chunk(chunk_id, location, self.read_blob(location))
        except (IntegrityError, NotFound) as error:
            found = self.read_elsewhere(chunk_id, location.pack, error.message)
            if found is None:
                raise
            return found

    @past_caches()
    def read_elsewhere(self, chunk_id: bytes, damaged: PackEntry, what: str) -> bytes | None:
        """A chunk out of any pack but the one where it was found damaged (`what`); None: nowhere is a good copy.

        Another copy of the same pack comes first, past the caches: they may hold what a bad one gave. Packs that no
        index names are asked too, as for what is nowhere.
        """
        if (found := self._read_other_copy(chunk_id, damaged)) is not None:
            return found
        self.mark_damaged(damaged.name, what)
        tried = {damaged.name}
        while (location := self._untried(chunk_id, damaged.pack_type, tried)) is not None:
            tried.add(location.pack.name)
            try:
                return self.take_chunk(chunk_id, location, self.read_blob(location))
            except (IntegrityError, NotFound) as error:
                self.mark_damaged(location.pack.name, error.message)
        return None

    def has_good_copy(self, pack: bytes) -> bool:
        """Whether a pack that was read in vain has another copy, which is good; it is the one that is read then.

        Not asked again of packs that are marked as damaged. Reads every copy.
        """
        if self._copies is None or pack in self._damaged_packs.names():
            return False
        return self._copies.recheck(layout.pack(self.keys.wedding, pack))

    def _read_other_copy(self, chunk_id: bytes, pack: PackEntry) -> bytes | None:
        if not self.has_good_copy(pack.name):
            return None
        for location in self.index.places(chunk_id, pack.pack_type):
            if location.pack.name == pack.name:
                with contextlib.suppress(IntegrityError, NotFound):
                    return self.take_chunk(chunk_id, location, self.read_blob(location))
        return None

    def _untried(self, chunk_id: bytes, pack_type: int, tried: set[bytes]) -> Location | None:
        for _ in range(2):
            for location in self.index.places(chunk_id, pack_type):
                if location.pack.name not in tried:
                    return location
            self._ask_footers()
        return None

    def _ask_footers(self) -> None:
        """Once: learn of packs that no index names."""
        with self._lock:
            if not self._has_asked_footers:
                self._has_asked_footers = True
                self._recover_from_footers()

    def read_metadata(self, chunk_id: bytes) -> bytes:
        """One manifest segment or chunk list, checked. Raises IntegrityError, NotFound."""
        return self.read_chunk(chunk_id, crypto.METADATA_PACK)

    def read_blob(self, location: Location) -> memoryview:
        """The content of the blob that a chunk lies in. Raises IntegrityError, NotFound."""
        stored = bytearray(location.stored_bytes)
        self.store.read_into(layout.pack(self.keys.wedding, location.pack.name), location.offset, memoryview(stored))
        return self.open_blob(location, memoryview(stored))

    def take_chunk(self, chunk_id: bytes, location: Location, content: memoryview) -> bytes:
        """A chunk out of its blob's content. Raises IntegrityError when it is not the one that was asked for."""
        chunk = content[location.inner_offset : location.inner_offset + location.length]
        id_key = self.keys.id_key(location.pack.pack_type)
        if len(chunk) != location.length or crypto.chunk_id(chunk, id_key) != chunk_id:
            raise IntegrityError(f"chunk {chunk_id.hex()} does not have the contents it is named after")
        return bytes(chunk)

    def open_blob(self, location: Location, stored: memoryview, scratch: memoryview | None = None) -> memoryview:
        """A stored blob's content. `scratch` saves an allocation and is where an unpressed blob ends up."""
        into = scratch if scratch is not None else memoryview(bytearray(max(0, len(stored) - crypto.TAG_BYTES)))
        size_bytes = self.cipher(location.pack).open_into(
            stored, offset=location.offset, codec_used=location.codec_used, into=into
        )
        content = into[:size_bytes]
        if location.codec_used == codec.ZSTD:
            content = memoryview(codec.decompress(content, BLOB_CONTENT_BYTES_MAX, "a blob"))
        if location.inner_offset + location.length > len(content):
            raise IntegrityError("a chunk's record points outside its blob")
        return content


def _names(joined: bytes) -> set[bytes]:
    """The 32-byte names in a run of them."""
    return {joined[at : at + 32] for at in range(0, len(joined), 32)}


def _without_packs(item: Snapshot) -> Snapshot:
    """Inline packs are in the index; keeping them twice would cost memory."""
    return Snapshot(item.id, msgspec.structs.replace(item.body, inline_packs=()))
