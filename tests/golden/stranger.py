"""A reader of repository format 1 written from docs/format.md alone: nothing of the engine is imported.

A folder of objects and a passphrase go in, the files of each wedding's newest snapshot come out under
`TARGET/<wedding id>/`. It is small and trusting of nothing; it is not fast. One thread.

    WEDSYNC_PASSPHRASE=... python stranger.py REPOSITORY TARGET
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import struct
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

KIB, MIB, U64 = 1 << 10, 1 << 20, (1 << 64) - 1
CONFIG, WEDDING_KEY, REGISTER, FRAGMENT, SNAPSHOT, DATA, METADATA = 1, 3, 4, 7, 8, 10, 11
CONTEXTS = {1: "config", 3: "wedding key", 4: "register", 5: "lease", 6: "mark", 7: "index", 8: "snapshot"}
FOLDER, FILE, SYMLINK, FIFO = 0, 1, 2, 3
PATH, KIND, MODE, UID, GID, MTIME, GROUP, TARGET, XATTRS, SIZE, EXTENTS, CHUNKS, LISTS, HASH = (
    0, 1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14, 15, 16,
)  # fmt: skip
FORMAT_PAGE = Path(__file__).parents[2] / "docs" / "format.md"


class Refused(Exception):
    """Something is not as the page says."""


def need(truth: bool, why: str) -> None:
    """Refuse unless it is so."""
    if not truth:
        raise Refused(why)


def derive(context: str, material: bytes) -> bytes:
    """BLAKE3 in its derive_key mode."""
    return blake3(material, derive_key_context=context).digest()


def unseal(key: bytes, nonce: int, sealed: bytes, associated: bytes) -> bytes:
    """AES-256-GCM."""
    try:
        return AESGCM(key).decrypt(nonce.to_bytes(12, "little"), sealed, associated)
    except InvalidTag:
        raise Refused("does not authenticate") from None


def unpress(codec: int, body: bytes, length: int | None, limit: int) -> bytes:
    """The content of a codec byte and a body; `length` is None when only the zstd frame knows it."""
    need(codec in (0, 1), "unknown codec")
    if codec == 1:
        try:
            need(0 <= zstandard.frame_content_size(body) <= limit, "a frame too large, or without its size")
            body = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Refused(f"zstd: {error}") from None
    need(len(body) <= limit and length in (None, len(body)), "a length that does not fit")
    return body


def unframe(plain: bytes) -> Any:
    """The payload of a sealed object: codec, length, body; then strict MessagePack."""
    need(len(plain) >= 5, "too short")
    codec, length = struct.unpack_from("<BI", plain)
    need(length <= 256 * MIB, "a length over its bound")
    return unpack(unpress(codec, plain[5:], length, length))


def unpack(payload: bytes) -> Any:
    """MessagePack that encodes to itself again."""
    try:
        value = msgspec.msgpack.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"MessagePack: {error}") from None
    need(msgspec.msgpack.encode(value) == payload, "MessagePack in another form")
    return value


def strings32(joined: bytes) -> list[bytes]:
    """`bin32*` of the page."""
    need(len(joined) % 32 == 0, "a broken list of 32-byte strings")
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


# --- objects -----------------------------------------------------------------------------------------


class Repository:
    """Key slots, config, register, and objects by name."""

    def __init__(self, folder: Path, passphrase: str) -> None:
        self.folder = folder
        self.master = self.master_of(passphrase)
        self.config = self.highest("config", CONFIG, lambda epoch: self.master)
        need(self.config[0] == 1 and self.config[3][0] == "fastcdc-2020", "another format")
        need(self.config[4] == [], "unknown features")

    def names(self, prefix: str) -> list[str]:
        """Names directly in a folder of names."""
        folder = self.folder / prefix
        return sorted(f"{prefix}/{each.name}" for each in folder.iterdir()) if folder.is_dir() else []

    def numbers(self, prefix: str) -> list[int]:
        """The N of `prefix/N`, ascending."""
        names = [name.rpartition("/")[2] for name in self.names(prefix)]
        return sorted(int(name) for name in names if re.fullmatch(r"[1-9][0-9]*", name))

    def master_of(self, passphrase: str) -> bytes:
        """The master key, from the first slot that opens."""
        text = unicodedata.normalize("NFC", passphrase).encode()
        for name in self.names("keys"):
            raw = (self.folder / name).read_bytes()
            if len(raw) < 70 or raw[:10] != b"WSOB\x01\x02\0\0\0\0":
                continue
            t, m, p = struct.unpack_from("<III", raw, 42)
            if not (1 <= t <= 64 and 1 <= p <= 64 and 8 * p <= m <= MIB):
                continue
            kdf = Argon2id(salt=raw[10:42], length=32, iterations=t, lanes=p, memory_cost=m)
            try:
                slot = unframe(unseal(kdf.derive(text), 0, raw[54:], raw[:54] + name.encode()))
            except Refused:
                continue
            return bytes(slot[0])
        raise Refused("no key slot opens with this passphrase")

    def open(
        self, name: str, kind: int, secret: Callable[[int], bytes], *, wedding: bytes = bytes(16), hashed: bool = False
    ) -> Any:
        """The payload of a sealed object. `hashed`: its name is its hash, so its id is empty."""
        raw = (self.folder / name).read_bytes()
        need(len(raw) >= 58 and raw[:6] == b"WSOB\x01" + bytes([kind]), f"{name}: not the object it should be")
        need(not hashed or blake3(raw).hexdigest() == name.rpartition("/")[2], f"{name}: not its hash")
        epoch = int.from_bytes(raw[6:10], "little")
        need(epoch == 0 or kind in (FRAGMENT, SNAPSHOT), f"{name}: an epoch on what the master key seals")
        key = derive(f"wedsync 1 {CONTEXTS[kind]}", secret(epoch) + raw[10:42])
        return unframe(unseal(key, 0, raw[42:], raw[:42] + wedding + (b"" if hashed else name.encode())))

    def highest(self, prefix: str, kind: int, secret: Callable[[int], bytes], wedding: bytes = bytes(16)) -> Any:
        """The highest numbered object that authenticates."""
        for number in reversed(self.numbers(prefix)):
            try:
                return self.open(f"{prefix}/{number}", kind, secret, wedding=wedding)
            except Refused:
                continue
        raise Refused(f"nothing readable at {prefix}")

    def register(self) -> dict[bytes, list[Any]]:
        """The weddings by id: the newest readable full state, then the changes after it."""
        changes = []
        for number in reversed(self.numbers("register")):
            try:
                changes.append(self.open(f"register/{number}", REGISTER, lambda epoch: self.master))
            except Refused:
                continue
            if changes[-1][0]:
                break
        return {row[0]: row for _, rows in reversed(changes) for row in rows}

    def weddings(self) -> list[bytes]:
        """Ids of all weddings: those of the register, and those that only have a folder."""
        folders = [name.rpartition("/")[2] for name in self.names("weddings")]
        standing = [bytes.fromhex(name) for name in folders if re.fullmatch(r"[0-9a-f]{32}", name)]
        return sorted({*self.register(), *standing})


# --- one wedding -------------------------------------------------------------------------------------


class Wedding:
    """One wedding: its secrets, snapshots, and where its chunks lie."""

    def __init__(self, repository: Repository, wedding: bytes, secrets: Any = None) -> None:
        self.repository, self.id, self.home = repository, wedding, f"weddings/{wedding.hex()}"
        identity, epochs = secrets or repository.highest(
            f"{self.home}/key", WEDDING_KEY, lambda epoch: repository.master, wedding=wedding
        )
        need([epoch for epoch, _ in epochs] == list(range(1, len(epochs) + 1)), "epochs out of order")
        self.sealing = dict(epochs)
        kinds = (DATA, "wedsync 1 chunk id"), (METADATA, "wedsync 1 metadata id")
        self.id_keys = {kind: derive(context, identity) for kind, context in kinds}
        self.seed = int.from_bytes(derive("wedsync 1 chunker seed", identity)[:8], "little") & (2**63 - 1) or 1
        self.pack_bytes = functools.lru_cache(maxsize=4)(self._pack_bytes)
        self.content = functools.lru_cache(maxsize=8)(self._content)
        self.snapshots = {name.rpartition("/")[2]: self._sealed(name, SNAPSHOT) for name in self._names("snapshots")}
        fragments = [self._sealed(name, FRAGMENT) for name in self._names("index")]
        dropped = {name for fragment in fragments for name in strings32(fragment[1])}
        lists = [*(fragment[0] for fragment in fragments), *(body[11] for body in self.snapshots.values())]
        self.packs: dict[bytes, list[Any]] = {}
        self.records: dict[tuple[int, bytes], tuple[bytes, tuple[int, ...]]] = {}
        self.index(pack for pack in itertools.chain(*lists) if pack[0] not in dropped)

    def index(self, packs: Iterable[list[Any]]) -> None:
        """Learn from index entries where chunks lie."""
        for pack in packs:
            self.packs[pack[0]] = pack
            need(len(pack[5]) % 49 == 0, "broken records")
            for chunk_id, *place in struct.iter_unpack("<32sIIIIB", pack[5]):
                self.records[pack[3], chunk_id] = pack[0], tuple(place)

    def _names(self, folder: str) -> list[str]:
        return self.repository.names(f"{self.home}/{folder}")

    def _secret(self, epoch: int) -> bytes:
        need(epoch in self.sealing, f"no key of epoch {epoch}")
        return bytes(self.sealing[epoch])

    def _sealed(self, name: str, kind: int) -> Any:
        return self.repository.open(name, kind, self._secret, wedding=self.id, hashed=kind == FRAGMENT)

    def newest(self) -> Any:
        """The last of the complete snapshots, in the order of section 6.6; None without any."""
        waiting, newest = dict(self.snapshots), None
        while waiting:
            free = [name for name, body in waiting.items() if body[7] not in waiting]
            ages = {name: (waiting[name][1], name.partition("-")[0], "-" not in name, name) for name in free}
            taken = waiting.pop(min(free, key=lambda name: ages[name]))
            newest = newest if taken[8] else taken
        return newest

    def pack(self, name: bytes) -> tuple[bytes, list[Any]]:
        """A pack's bytes, and what an index says of it, from its own footer."""
        raw = (self.repository.folder / self.home / "packs" / name.hex()).read_bytes()
        size = len(raw)
        need(blake3(raw).digest() == name, "a pack that is not its name")
        need(size % 4096 == 0 and 2 * 4096 <= size <= 128 * MIB, "a pack of an impossible size")
        need(raw[:5] == b"WSPK\x01" and raw[5] in (10, 11) and raw[6:8] == b"\x01\x24", "a pack's header")
        epoch, salt = int.from_bytes(raw[8:12], "little"), raw[12:44]
        begin = size - 40 - int.from_bytes(raw[-8:-4], "little")
        need(raw[-4:] == b"WSPK" and begin >= 44, "a pack's end")
        key = derive("wedsync 1 pack footer", self._secret(epoch) + raw[-40:-8])
        footer = unframe(unseal(key, 0, raw[begin:-40], raw[:44] + self.id + raw[-40:-8]))
        return raw, [name, salt, epoch, raw[5], size, footer[0]]

    def _pack_bytes(self, name: bytes) -> bytes:
        raw, entry = self.pack(name)
        need(entry == self.packs[name], "a pack that disagrees with the index")
        return raw

    def _content(self, name: bytes, offset: int, stored: int, codec: int) -> bytes:
        raw, (_, salt, epoch, *_) = self.pack_bytes(name), self.packs[name]
        need(44 <= offset <= offset + stored <= len(raw) - 40 and stored >= 16, "a record that points outside")
        key = derive("wedsync 1 pack", self._secret(epoch) + salt)
        associated = raw[:44] + self.id + bytes([codec])
        return unpress(codec, unseal(key, offset, raw[offset : offset + stored], associated), None, 8 * MIB)

    def chunk(self, chunk_id: bytes, kind: int = DATA) -> bytes:
        """The bytes of one chunk, out of a data or metadata pack."""
        need((kind, chunk_id) in self.records, f"no record of {chunk_id.hex()}")
        name, (offset, stored, inner, length, codec) = self.records[kind, chunk_id]
        data = self.content(name, offset, stored, codec)[inner : inner + length]
        need(blake3(data, key=self.id_keys[kind]).digest() == chunk_id, "a chunk that is not its id")
        return data

    def entries(self, snapshot: Any) -> Iterator[Any]:
        """The manifest, in order."""
        segments = [self.chunk(segment[0], METADATA) for segment in snapshot[9]] or [snapshot[10]]
        last: list[bytes] = []
        inside = True
        for entry in itertools.chain.from_iterable(map(unpack, segments)):
            parts = entry[PATH].split(b"/")
            need(b"\0" not in entry[PATH] and not {b"", b".", b".."} & set(parts), "an unsafe path")
            need(last < parts and (inside or parts[: len(last)] != last), "a path out of order, or in no folder")
            last, inside = parts, entry[KIND] == FOLDER
            yield entry

    def data(self, entry: Any, recut_limit: int) -> bytes:
        """The data of a file, checked by its hash; its first chunks, up to a limit, are cut again and compared."""
        lists = b"".join(self.chunk(list_id, METADATA) for list_id in strings32(entry[LISTS]))
        ids = strings32(entry[CHUNKS] or lists)
        chunks = [self.chunk(chunk_id) for chunk_id in ids]
        data = b"".join(chunks)
        segments = [data[at : at + 64 * MIB] for at in range(0, len(data), 64 * MIB)] or [b""]
        hashes = [blake3(segment).digest() for segment in segments]
        whole = hashes[0] if len(hashes) == 1 else blake3(b"".join(hashes)).digest()
        need(whole == entry[HASH], "a file that is not its hash")
        cut = itertools.chain.from_iterable(cuts(segment, self.seed) for segment in segments if segment)
        done = 0
        for chunk in chunks:
            need(done >= recut_limit or len(chunk) == next(cut), "a chunk cut elsewhere")
            done += len(chunk)
        return data


@functools.cache
def gear() -> list[int]:
    """The table of appendix A."""
    numbers = re.findall(r"\b[0-9a-f]{16}\b", FORMAT_PAGE.read_text().partition("## Appendix A")[2])
    need(len(numbers) == 256, "the page's table is not whole")
    return [int(number, 16) for number in numbers]


def cuts(data: bytes, seed: int) -> Iterator[int]:
    """Lengths of the chunks of one segment: FastCDC, two bytes a step."""
    one = [number ^ seed for number in gear()]
    two = [(number << 1 & U64) ^ (seed << 1 & U64) for number in gear()]
    at = 0
    while at < len(data):
        length = _cut(memoryview(data)[at : at + 4 * MIB], one, two)
        yield length
        at += length


def _cut(b: memoryview, one: list[int], two: list[int]) -> int:
    n = len(b)
    if n <= 256 * KIB:
        return n
    centre, h = min(MIB, n) & ~1, 0
    for begin, end, mask in ((256 * KIB, centre, 0x0000D91767537000), (centre, n & ~1, 0x0000D91707537000)):
        mask_shifted = mask << 1
        for p in range(begin, end, 2):
            h = ((h << 2) + two[b[p]]) & U64
            if not h & mask_shifted:
                return p
            h = (h + one[b[p + 1]]) & U64
            if not h & mask:
                return p + 1
    return n


# --- writing files -----------------------------------------------------------------------------------


def restore(repository: Path, passphrase: str, target: Path, *, recut_limit: int = 1 << 62) -> int:
    """Restore the newest snapshot of every wedding; how many entries there were. Raises Refused."""
    opened, count = Repository(repository, passphrase), 0
    for wedding_id in opened.weddings():
        wedding = Wedding(opened, wedding_id)
        newest = wedding.newest()
        if newest is None:
            continue
        links: dict[int, bytes] = {}
        folders = []
        for entry in wedding.entries(newest):
            count += 1
            path = os.path.join(os.fsencode(target), wedding_id.hex().encode(), entry[PATH])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if entry[GROUP] and (first := links.setdefault(entry[GROUP], path)) != path:
                os.link(first, path, follow_symlinks=False)
            elif _make(wedding, entry, path, recut_limit):
                folders.append((path, entry)) if entry[KIND] == FOLDER else _dress(path, entry)
        for path, entry in reversed(folders):
            _dress(path, entry)
    return count


def _make(wedding: Wedding, entry: Any, path: bytes, recut_limit: int) -> bool:
    if entry[KIND] == FOLDER:
        os.makedirs(path, exist_ok=True)
    elif entry[KIND] == SYMLINK:
        os.symlink(entry[TARGET], path)
    elif entry[KIND] == FIFO:
        os.mkfifo(path)
    elif entry[KIND] == FILE:
        data, at = wedding.data(entry, recut_limit), 0
        with open(path, "xb") as file:
            for offset, length in entry[EXTENTS] or [[0, entry[SIZE]]]:
                file.seek(offset)
                file.write(data[at : at + length])
                at += length
            file.truncate(entry[SIZE])
        need(at == len(data), "extents that do not fit the data")
    return bool(entry[KIND] <= FIFO)


def _dress(path: bytes, entry: Any) -> None:
    if os.geteuid() == 0:
        os.chown(path, entry[UID], entry[GID], follow_symlinks=False)
    for name, value in entry[XATTRS]:
        os.setxattr(path, name, value, follow_symlinks=False)
    if entry[KIND] != SYMLINK:
        os.chmod(path, entry[MODE])
    os.utime(path, ns=(entry[MTIME], entry[MTIME]), follow_symlinks=False)


if __name__ == "__main__":
    try:
        restore(Path(sys.argv[1]), os.environ["WEDSYNC_PASSPHRASE"], Path(sys.argv[2]))
    except Refused as refused:
        sys.exit(f"refused: {refused}")
