"""Index fragments: records of many packs in one sealed object (docs/format.md, section 6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError
from engine.repository import codec, crypto, layout
from engine.repository.keyring import WeddingKeys
from engine.repository.pack import RECORD, PackEntry
from engine.storage.stores.store import ObjectStore

FRAGMENT_RECORDS_MAX = 100_000


class FragmentObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Payload of a fragment."""

    packs: tuple[PackEntry, ...]
    dropped: bytes = b""
    replaces: bytes = b""


class Gone(msgspec.Struct, frozen=True):
    """Names, 32 bytes each, of what no longer counts."""

    packs: frozenset[bytes] = frozenset()
    fragments: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.packs or self.fragments)


def group(packs: Iterable[PackEntry]) -> Iterator[tuple[PackEntry, ...]]:
    """Packs in groups of at most 100,000 records, in order."""
    gathered: list[PackEntry] = []
    records_count = 0
    for entry in packs:
        count = len(entry.records) // RECORD.size
        if gathered and records_count + count > FRAGMENT_RECORDS_MAX:
            yield tuple(gathered)
            gathered, records_count = [], 0
        gathered.append(entry)
        records_count += count
    if gathered:
        yield tuple(gathered)


def write(
    store: ObjectStore,
    keys: WeddingKeys,
    packs: Iterable[PackEntry],
    entropy: Entropy,
    gone: Gone | None = None,
) -> list[str]:
    """Write `packs` as fragments, durably, the last with what is `gone`; returns the objects' names."""
    gone = gone or Gone()
    groups = list(group(packs)) or ([()] if gone else [])
    names = []
    for number, entries in enumerate(groups, 1):
        last = gone if number == len(groups) else Gone()
        payload = FragmentObject(entries, b"".join(sorted(last.packs)), b"".join(sorted(last.fragments)))
        sealed = crypto.seal_object(
            codec.encode(payload),
            crypto.Binding(crypto.FRAGMENT, keys.wedding),
            secret=keys.secret,
            epoch=keys.epoch,
            entropy=entropy,
        )
        name = layout.fragments(keys.wedding) + crypto.hash_bytes(sealed).hex()
        store.put(name, sealed)
        names.append(name)
    return names


def read(store: ObjectStore, keys: WeddingKeys, name: str) -> FragmentObject:
    """One fragment. Raises NotFound, IntegrityError."""
    data = store.get(name, limit_bytes=codec.OBJECT_BYTES_MAX)
    if crypto.hash_bytes(data).hex() != name.rpartition("/")[2]:
        raise IntegrityError(f"{name} does not have the hash that is its name")
    binding = crypto.Binding(crypto.FRAGMENT, keys.wedding)
    payload = crypto.open_object(data, binding, secret_of=keys.secret_of, what=name)
    found = codec.decode(payload, FragmentObject, name)
    if len(found.dropped) % 32 or len(found.replaces) % 32:
        raise IntegrityError(f"{name} holds a broken list of names")
    return found
