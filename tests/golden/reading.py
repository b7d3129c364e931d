"""Reads a vector, as the engine does and as the stranger does. Out: the payload; refusals are raised."""

from __future__ import annotations

from pathlib import Path

from engine.base.clock import FakeClock, SystemClock
from engine.base.entropy import SystemEntropy
from engine.base.errors import IntegrityError
from engine.pipeline.pool import Buffers
from engine.pipeline.verify import VerifyRun
from engine.repository import codec, crypto, fragment, keyring, marks, numbered, snapshot
from engine.repository.index import Index
from engine.repository.keyring import SealingEpoch, WeddingKeys, WeddingSecrets
from engine.repository.leases import LeaseObject
from engine.repository.manifest import decode_segment
from engine.repository.pack import read_footer, split_records
from engine.repository.register import Register
from engine.repository.register import decode as decode_register
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryStore
from tests.golden import stranger
from tests.golden.vector import Vector

_TYPES = {
    "config": 1, "wedding-key": 3, "register": 4, "lease": 5, "mark": 6, "fragment": 7, "snapshot": 8, "checkpoint": 8,
}  # fmt: skip


def _secrets(vector: Vector) -> WeddingSecrets:
    sealing = map(bytes.fromhex, vector.sealing.split())
    epochs = tuple(SealingEpoch(number, secret) for number, secret in enumerate(sealing, 1))
    return WeddingSecrets(bytes.fromhex(vector.identity), epochs)


def _keys(vector: Vector) -> WeddingKeys:
    return WeddingKeys.of(bytes.fromhex(vector.wedding), _secrets(vector))


def _store(vector: Vector) -> MemoryStore:
    store = MemoryStore()
    store.put(vector.name, vector.data)
    return store


# --- as the engine does ------------------------------------------------------------------------------


def by_engine(vector: Vector) -> bytes:
    """The payload, by the code that reads such objects in a repository. Raises WedSyncError."""
    if vector.kind == "key-slot":
        return codec.encode(keyring.open_slot(vector.data, vector.passphrase, name=vector.name))
    if vector.kind == "segment":
        return codec.encode(decode_segment(vector.data, vector.title))
    if vector.kind == "pack":
        return b"".join(_whole_pack(vector))
    store = _store(vector)
    if vector.kind == "fragment":
        found = fragment.read(store, _keys(vector), vector.name)
        Index().add(found.packs)
        return codec.encode(found)
    if vector.kind in ("snapshot", "checkpoint"):
        return codec.encode(snapshot.read(store, _keys(vector), vector.name.rpartition("/")[2]).body)
    return _under_master(vector, store)


def _under_master(vector: Vector, store: MemoryStore) -> bytes:
    master = bytes.fromhex(vector.master)
    if vector.kind == "config":
        name = "keys/" + bytes(16).hex()
        contents = keyring.SlotContents(master, "", 0)
        cost = keyring.KdfCost(1, 8, 1)
        store.put(name, keyring.seal_slot(contents, "p", name=name, cost=cost, entropy=SystemEntropy()))
        home = Home(FakeClock(), SystemEntropy(), SeenNumbers(None))
        return codec.encode(Repository.open(store, "p", home=home).config)
    sealed = numbered.MasterSealed(store, master, SystemEntropy(), SeenNumbers(None))
    folder, _, number = vector.name.rpartition("/")
    if vector.kind == "register":
        register = Register(sealed)
        register.refresh()
        if register.problems:
            raise IntegrityError(register.problems[0])
        payload = sealed.read(f"{folder}/", int(number), crypto.REGISTER)
        return codec.encode(decode_register(payload, vector.name))
    if vector.kind == "lease":
        payload = sealed.read(f"{folder}/", int(number), crypto.LEASE)
        return codec.encode(codec.decode(payload, LeaseObject, vector.name))
    if vector.kind == "mark":
        return codec.encode(marks.read(sealed, int(number)))
    wedding = bytes.fromhex(vector.wedding)
    _, payload, _ = sealed.newest(f"{folder}/", crypto.WEDDING_KEY, wedding)
    secrets = codec.decode(payload, WeddingSecrets, vector.name)
    WeddingKeys.of(wedding, secrets)
    return codec.encode(secrets)


def _open_pack(vector: Vector) -> tuple[WeddingVault, int, list[bytes]]:
    """A vault that knows the pack from its footer, the pack's type, and the ids in it."""
    vault = WeddingVault(_store(vector), _keys(vector), SystemEntropy())
    entry = read_footer(vault.store, vault.keys, bytes.fromhex(vector.name.rpartition("/")[2]))
    vault.index.add([entry])
    return vault, entry.pack_type, [record.chunk_id for record in split_records(entry)]


def _whole_pack(vector: Vector) -> list[bytes]:
    vault, pack_type, ids = _open_pack(vector)
    run = VerifyRun(vault, all_files=False)
    buffers = Buffers(SystemClock(), 1)
    while (unit := run.next_unit(idle=True)) is not None:
        unit(buffers)
    problems = run.conclude(buffers).problems
    if problems:
        raise IntegrityError(problems[0])
    return [vault.read_chunk(chunk_id, pack_type) for chunk_id in ids]


def at_random(vector: Vector) -> list[bytes]:
    """Each chunk of a pack by ranged reads of its own, the last first. Raises WedSyncError."""
    _, pack_type, ids = _open_pack(vector)
    found = {}
    for chunk_id in reversed(ids):
        vault, _, _ = _open_pack(vector)
        found[chunk_id] = vault.read_chunk(chunk_id, pack_type)
    return [found[chunk_id] for chunk_id in ids]


# --- as the stranger does ----------------------------------------------------------------------------


def by_stranger(vector: Vector, folder: Path) -> bytes:
    """The payload, by the stranger's reader over `folder`. Raises `stranger.Refused`."""
    if vector.kind == "segment":
        stranger.unpack(vector.data)
        return vector.data
    (folder / vector.name).parent.mkdir(parents=True)
    (folder / vector.name).write_bytes(vector.data)
    repository = stranger.Repository.__new__(stranger.Repository)
    repository.folder = folder
    if vector.kind == "key-slot":
        repository.master_of(vector.passphrase)
        return b""
    wedding = bytes.fromhex(vector.wedding) or bytes(16)
    if vector.kind == "pack":
        return b"".join(_pack_by_stranger(repository, vector))
    sealing = [bytes.fromhex(secret) for secret in vector.sealing.split()]
    master = bytes.fromhex(vector.master)

    def secret(epoch: int) -> bytes:
        stranger.need(master != b"" or 1 <= epoch <= len(sealing), "no such epoch")
        return master or sealing[epoch - 1]

    value = repository.open(vector.name, _TYPES[vector.kind], secret, wedding=wedding, hashed=vector.kind == "fragment")
    return codec.encode(value)


def _pack_by_stranger(repository: stranger.Repository, vector: Vector) -> list[bytes]:
    secrets = stranger.unpack(codec.encode(_secrets(vector)))
    wedding = stranger.Wedding(repository, bytes.fromhex(vector.wedding), secrets)
    _, entry = wedding.pack(bytes.fromhex(vector.name.rpartition("/")[2]))
    wedding.index([entry])
    return [wedding.chunk(chunk_id, kind) for kind, chunk_id in wedding.records]
