"""Parts of a repository without streams or sources, for tests: sealed stores, vaults, and jobs of a few chunks."""

from __future__ import annotations

from engine.base.clock import FakeClock
from engine.base.entropy import SystemEntropy
from engine.base.ids import SnapshotId
from engine.repository import codec, crypto, layout
from engine.repository.entry import FILE, Entry
from engine.repository.keyring import KdfCost
from engine.repository.manifest import encode_segment
from engine.repository.numbered import MasterSealed
from engine.repository.pack import PackEntry
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Counts, Snapshot, SnapshotObject
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectStore
from tests.golden import world

CHEAP = KdfCost(1, 64, 1)
ENTROPY = SystemEntropy()
BUFFER_BYTES = 1 << 20


def sealed_store(store: ObjectStore | None = None, seen: SeenNumbers | None = None) -> MasterSealed:
    """A store under the master key of the golden world."""
    return MasterSealed(store or MemoryStore(), world.MASTER, ENTROPY, seen or SeenNumbers(None))


def home(seen: SeenNumbers | None = None) -> Home:
    """What an opener brings along."""
    return Home(FakeClock(), ENTROPY, seen or SeenNumbers(None))


def create(objects: MemoryObjects, passphrase: str = "first", seen: SeenNumbers | None = None) -> Repository:
    """A new repository that is cheap to open."""
    return Repository.create(MemoryStore(objects), passphrase, label="first", home=home(seen), cost=CHEAP)


def reopen(objects: MemoryObjects, passphrase: str = "first", seen: SeenNumbers | None = None) -> Repository:
    """The same repository, as another engine sees it."""
    return Repository.open(MemoryStore(objects), passphrase, home=home(seen))


def vault_on(objects: MemoryObjects) -> WeddingVault:
    """The golden world's wedding, as an engine sees it that opens it now."""
    vault = WeddingVault(MemoryStore(objects), world.KEYS, ENTROPY)
    vault.refresh()
    return vault


def buffer() -> memoryview:
    """A stream's buffer."""
    return memoryview(bytearray(BUFFER_BYTES))


def job_id() -> str:
    """A fresh one."""
    return ENTROPY.token(16).hex()


def store_chunks(transaction: Transaction, vault: WeddingVault, contents: list[bytes]) -> list[bytes]:
    """Claim and seal `contents`, each in a blob of its own; returns their ids."""
    ids = [crypto.chunk_id(content, vault.keys.chunk_key) for content in contents]
    wanted = transaction.claim(ids)
    (writer,) = transaction.checkout(crypto.DATA_PACK, 1)
    writer.open_unit(buffer())
    for chunk_id, content, is_new in zip(ids, contents, wanted, strict=True):
        if is_new:
            writer.record(chunk_id, writer.seal(content, codec.RAW), (0, len(content)), codec.RAW)
    transaction.add_stored(writer.close_unit())
    transaction.checkin(crypto.DATA_PACK, [writer], buffer())
    return ids


def body_of(
    inline_packs: tuple[PackEntry, ...] = (), entries: tuple[Entry, ...] = (), *, parent: str = "", time_ns: int = 1
) -> SnapshotObject:
    """A snapshot's payload."""
    return SnapshotObject(
        wedding=world.WEDDING,
        time_ns=time_ns,
        ended_ns=time_ns,
        host="here",
        sources=(b"/srv",),
        priority="standard",
        tags=(),
        parent=parent,
        partial=False,
        segments=(),
        inline_entries=encode_segment(entries).data if entries else b"",
        inline_packs=inline_packs,
        counts=Counts(entries=len(entries)),
        warnings=(),
        engine="0",
    )


def entry_of(path: bytes, chunk_ids: bytes, size: int) -> Entry:
    """A file's entry."""
    return Entry(path, FILE, 0o644, 0, 0, 0, size=size, chunks=chunk_ids, hash=bytes(32))


def commit(
    vault: WeddingVault, contents: list[bytes], *, job: str = "", parent: str = "", time_ns: int = 1
) -> Snapshot:
    """A whole job: each of `contents` as a file of one chunk."""
    transaction = Transaction(vault, vault.entropy)
    ids = store_chunks(transaction, vault, contents)
    transaction.publish_all(buffer())
    entries = tuple(
        entry_of(b"srv/%06d" % number, chunk_id, len(content))
        for number, (chunk_id, content) in enumerate(zip(ids, contents, strict=True))
    )
    body = body_of(transaction.take_inline(), entries, parent=parent, time_ns=time_ns)
    committed = Snapshot(SnapshotId(job or job_id()), body)
    transaction.commit(committed)
    return committed


def contents_of(vault: WeddingVault, committed: Snapshot) -> list[bytes]:
    """The files of a snapshot, read back."""
    return [b"".join(map(vault.read_chunk, _split(entry.chunks))) for entry in vault.entries(committed)]


def _split(ids: bytes) -> list[bytes]:
    return [ids[at : at + 32] for at in range(0, len(ids), 32)]


def damage(store: ObjectStore, name: str, *, at: int = -1) -> None:
    """Flip a bit of an object where it lies."""
    data = store.get(name, limit_bytes=1 << 28)
    store.delete(name)
    store.put(name, world.flip(data, at))


def names(store: ObjectStore, folder: str) -> list[str]:
    """Names of the objects in a folder."""
    return [info.name for info in store.list(folder)]


def fragment_names(store: ObjectStore) -> list[str]:
    """Those of the golden world's wedding."""
    return names(store, layout.fragments(world.WEDDING))


def pack_names(store: ObjectStore) -> list[str]:
    """Those of the golden world's wedding."""
    return names(store, layout.packs(world.WEDDING))
