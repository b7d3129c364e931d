"""Format 1 pinned: every golden vector opens, or is refused for its one reason, by the engine and by a stranger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from engine.base.entropy import SystemEntropy
from engine.base.errors import WedSyncError
from engine.repository import codec, crypto, keyring, numbered
from engine.repository.keyring import WeddingKeys
from engine.repository.manifest import decode_segment, encode_segment
from engine.repository.pack import PackWriter, read_footer, split_records
from engine.repository.seen import SeenNumbers
from engine.storage.stores.memory import MemoryStore
from tests.golden import make, reading, stranger, world
from tests.golden.vector import FOLDER, decode, load, path_of, titles
from tests.golden.world import ReplayedEntropy

TOTAL_BYTES_MAX = 200 * 1024
TITLES = titles()
GOOD = [title for title in TITLES if load(title).expect == "ok"]
PACKS = [title for title in TITLES if load(title).kind == "pack"]
SEALED = [title for title in GOOD if load(title).kind not in ("pack", "segment", "key-slot")]
WITHOUT_SHAPES = [title for title in TITLES if load(title).layer != "payload" and load(title).kind != "segment"]


def test_make_writes_the_vectors_byte_for_byte() -> None:
    """What is committed is what the code makes today: nothing of the format has moved."""
    made = {vector.title: vector.encode() for vector in make.vectors()}
    assert sorted(made) == TITLES
    assert [title for title in TITLES if path_of(title).read_bytes() != made[title]] == []
    assert all(decode(title, raw).encode() == raw for title, raw in made.items())


def test_the_vectors_stay_small() -> None:
    """They lie in git for good."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= TOTAL_BYTES_MAX


@pytest.mark.parametrize("title", TITLES)
def test_the_engine_reads_as_expected(title: str) -> None:
    """The whole object, through the code that reads such objects in a repository."""
    vector = load(title)
    if vector.expect == "ok":
        assert blake3(reading.by_engine(vector)).hexdigest() == vector.payload
    else:
        with pytest.raises(WedSyncError) as refused:
            reading.by_engine(vector)
        assert refused.value.code == vector.expect
        assert refused.value.message


@pytest.mark.parametrize("title", PACKS)
def test_packs_are_read_record_by_record(title: str) -> None:
    """By ranged reads, in any order: only what nothing of a record covers may go unnoticed."""
    vector = load(title)
    if vector.random == "ok":
        assert reading.at_random(vector)
    else:
        with pytest.raises(WedSyncError) as refused:
            reading.at_random(vector)
        assert refused.value.code == vector.random
    if vector.expect == "ok":
        assert blake3(b"".join(reading.at_random(vector))).hexdigest() == vector.payload


@pytest.mark.parametrize("title", WITHOUT_SHAPES)
def test_a_stranger_reads_as_expected(title: str, tmp_path: Path) -> None:
    """The reader that knows the page alone agrees, wherever the failure is not one of a payload's fields."""
    vector = load(title)
    if vector.expect == "ok":
        payload = reading.by_stranger(vector, tmp_path)
        assert payload == b"" or blake3(payload).hexdigest() == vector.payload
    else:
        with pytest.raises(stranger.Refused):
            reading.by_stranger(vector, tmp_path)


@pytest.mark.parametrize("title", [title for title in TITLES if load(title).kind == "segment"])
def test_a_stranger_unpacks_segments_as_strictly(title: str, tmp_path: Path) -> None:
    """What is not the one encoding of its value is refused without knowing any field."""
    vector = load(title)
    if vector.layer == "seal":
        with pytest.raises(stranger.Refused):
            reading.by_stranger(vector, tmp_path)
    else:
        reading.by_stranger(vector, tmp_path)


@pytest.mark.parametrize("title", [title for title in TITLES if title.startswith("key-slot-") and "-bound" in title])
def test_costs_over_their_bound_are_refused_before_deriving(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a planted slot could take all memory of whoever tries a passphrase on it."""

    def derive(*_: Any, **__: Any) -> None:
        raise AssertionError("derived")

    monkeypatch.setattr(keyring, "Argon2id", derive)
    with pytest.raises(WedSyncError) as refused:
        reading.by_engine(load(title))
    assert refused.value.code == "integrity"


@pytest.mark.parametrize("title", [title for title in SEALED if not title.endswith("-pressed")])
def test_sealed_objects_are_made_again_identically(title: str) -> None:
    """Same payload, same salt: the same bytes."""
    vector = load(title)
    payload = reading.by_engine(vector)
    salt = vector.data[10:42]
    name = b"" if vector.kind == "fragment" else vector.name.encode()
    binding = crypto.Binding(vector.data[5], bytes.fromhex(vector.wedding) or crypto.NO_WEDDING, name)
    secrets = [bytes.fromhex(secret) for secret in vector.sealing.split()]
    secret, epoch = (secrets[-1], len(secrets)) if secrets else (bytes.fromhex(vector.master), 0)
    made = crypto.seal_object(payload, binding, secret=secret, epoch=epoch, entropy=ReplayedEntropy([salt]))
    assert made == vector.data


def test_key_slots_are_made_again_identically() -> None:
    """Same passphrase, salt and cost: the same bytes."""
    vector = load("key-slot-ok")
    contents = keyring.open_slot(vector.data, vector.passphrase, name=vector.name)
    cost = keyring.slot_cost(vector.data, vector.name)
    entropy = ReplayedEntropy([vector.data[10:42]])
    made = keyring.seal_slot(contents, vector.passphrase, name=vector.name, cost=cost, entropy=entropy)
    assert made == vector.data


def test_segments_are_made_again_identically() -> None:
    """An array of entries has one encoding, whichever way it is joined."""
    vector = load("segment-ok")
    assert encode_segment(decode_segment(vector.data, "it")).data == vector.data


@pytest.mark.parametrize("title", ["pack-data-ok", "pack-metadata-ok"])
def test_packs_are_made_again_identically(title: str) -> None:
    """Same contents, codecs, salts and padding: the same bytes, hence the same name."""
    vector = load(title)
    keys = world.KEYS
    store = MemoryStore()
    store.put(vector.name, vector.data)
    entry = read_footer(store, keys, bytes.fromhex(vector.name.rpartition("/")[2]))
    footer_bytes = int.from_bytes(vector.data[-8:-4], "little")
    records = list(split_records(entry))
    used = max(record.offset + record.stored_bytes for record in records)
    tokens = [entry.salt, vector.data[used:4096], vector.data[-40:-8], vector.data[4096 : -40 - footer_bytes]]
    writer = PackWriter(store.stage(), pack_type=entry.pack_type, keys=keys, entropy=ReplayedEntropy(tokens))
    buffer = memoryview(bytearray(1 << 16))
    writer.open_unit(buffer)
    place = (0, 0)
    for record in records:
        if not record.inner_offset:
            place = writer.seal(_plaintext(vector.data, keys, entry.salt, record.offset, record), record.codec_used)
        writer.record(record.chunk_id, place, (record.inner_offset, record.length), record.codec_used)
    writer.close_unit()
    made, published = writer.publish("again/", buffer)
    published.result()
    assert made == entry
    assert store.get(f"again/{entry.name.hex()}", limit_bytes=1 << 20) == vector.data


def _plaintext(data: bytes, keys: WeddingKeys, salt: bytes, offset: int, record: Any) -> bytes:
    """A blob as it was sealed, before it is unpressed."""
    cipher = crypto.PackCipher(crypto.PackBinding(data[:44], keys.wedding), secret=keys.secret)
    into = memoryview(bytearray(record.stored_bytes))
    stored = memoryview(bytearray(data[offset : offset + record.stored_bytes]))
    return bytes(into[: cipher.open_into(stored, offset=offset, codec_used=record.codec_used, into=into)])


def test_every_bit_of_a_sealed_object_counts() -> None:
    """Not only the bits of the vectors: no flip of a good config opens."""
    good = load("config-ok")
    sealed = numbered.MasterSealed(MemoryStore(), bytes.fromhex(good.master), SystemEntropy(), SeenNumbers(None))
    for number in range(8 * len(good.data)):
        sealed.store.put("config/1", world.flip(good.data, number // 8, number % 8))
        with pytest.raises(WedSyncError) as refused:
            sealed.read("config/", 1, crypto.CONFIG)
        assert refused.value.code == "integrity"
        sealed.store.delete("config/1")


def test_the_lengths_of_good_payloads_need_no_library() -> None:
    """None of the vectors of the engine's own making is compressed, or another zstd would make other bytes."""
    for title in SEALED:
        if not title.endswith("-pressed"):
            payload = reading.by_engine(load(title))
            assert codec.press(payload) == (payload, codec.RAW)
