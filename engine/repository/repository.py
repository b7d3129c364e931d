"""A repository: made, opened with a passphrase; its register, key slots, lease, and weddings at work. Any thread."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.base.errors import (
    Conflict,
    IntegrityError,
    LimitReached,
    NotFound,
    NotPermitted,
    Unavailable,
    UsageError,
    WedSyncError,
    WrongPassphrase,
)
from engine.base.ids import WEDDING_ID_BYTES
from engine.repository import codec, crypto, keyring, layout, numbered, paper, snapshot
from engine.repository.damaged import Copies, DamagedPacks
from engine.repository.presence import Presence
from engine.repository.register import Register
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Snapshot
from engine.repository.vault import Surroundings, WeddingVault
from engine.storage.stores.store import ObjectStore

_SLOT_BYTES_MAX = 64 * 1024
_LABEL_CHARS_MAX = 200
RESTING_MAX = 256  # vaults kept open though nobody uses them, so that the next backup of a wedding begins at once
RESTING_BYTES_MAX = 128 * 1024 * 1024  # of their indexes


class Chunker(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Chunker parameters, for life."""

    name: str = "fastcdc-2020"
    minimum: int = 256 * 1024
    nominal: int = 1024 * 1024
    maximum: int = 4 * 1024 * 1024
    normalisation: int = 1


class ConfigObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Payload of `config/N`."""

    format: int
    id: bytes
    created_ns: int
    chunker: Chunker
    features: tuple[str, ...]


class KeySlotInfo(msgspec.Struct, frozen=True):
    """A key slot as it can be told; the label only of the slot that opened this repository."""

    id: str
    label: str
    kdf: str
    current: bool


class Home(msgspec.Struct, frozen=True):
    """What the opener brings along: time, randomness, and what it has seen of this repository before."""

    clock: Clock
    entropy: Entropy
    seen: SeenNumbers
    damaged: DamagedPacks = msgspec.field(default_factory=DamagedPacks)
    copies: Copies | None = None  # None: there is one copy of everything


class _Held(msgspec.Struct):
    """A vault, the number of the key it was opened with, and how many use it. `size_bytes`: when it was last let go."""

    vault: WeddingVault
    key_number: int
    users: int = 0
    size_bytes: int = 0


class Repository:
    """One opened repository."""

    def __init__(self, sealed: numbered.MasterSealed, config: ConfigObject, home: Home, slot: KeySlotInfo) -> None:
        self.store = sealed.store
        self.config = config
        self.register = Register(sealed)
        self._warnings: list[str] = []
        self._is_register_read = False
        self._sealed = sealed
        self._clock = home.clock
        self._slot = slot
        self._lock = threading.Lock()
        self._used: dict[bytes, _Held] = {}  # each guarded by the lock of its wedding's opening
        self._resting: OrderedDict[bytes, _Held] = OrderedDict()  # used by nobody now; the one used last is last
        self._resting_bytes = 0
        self._opening: dict[bytes, threading.Lock] = {}
        self.presence = Presence(sealed, host=socket.gethostname(), process=os.getpid(), started_ns=home.clock.now_ns())
        self._around = Surroundings(home.damaged, home.copies, self.presence)

    @property
    def id(self) -> str:
        """The repository's id, 32 hex digits."""
        return self.config.id.hex()

    @property
    def warnings(self) -> list[str]:
        """What is not as it should be, of the register first."""
        return [*self.register.problems, *self.presence.problems, *self._warnings]

    def warn(self, what: str) -> None:
        """Add a warning, unless it is there."""
        if what not in self._warnings:
            self._warnings.append(what)

    # --- making and opening -----------------------------------------------------------------------------

    @staticmethod
    def exists(store: ObjectStore) -> bool:
        """Whether a repository stands in `store`."""
        return any(layout.number_of(info.name, layout.CONFIG) for info in store.list(layout.CONFIG))

    @classmethod
    def create(
        cls,
        store: ObjectStore,
        passphrase: str,
        *,
        label: str,
        home: Home,
        cost: keyring.KdfCost | None = None,
    ) -> Repository:
        """Make a repository and open it. Raises Conflict when there is one, UsageError for an empty passphrase."""
        if cls.exists(store):
            raise Conflict(f"there is a repository in {store.url} already")
        with contextlib.suppress(Unavailable):  # of a tier that is away: hot alone tells then
            listed = (True for folder in (layout.REGISTER, layout.WEDDINGS) for _ in store.list(folder))
            if store.folders(layout.WEDDINGS) or any(listed):
                hint = f"bring {layout.CONFIG} back from a copy, or choose an empty store"
                raise Conflict(f"{store.url} holds weddings, though its config is gone", hint)
        refuse_weak(passphrase)
        stale = _slot_names(store)  # of an attempt that did not get as far as a config
        master = home.entropy.token(crypto.KEY_BYTES)
        sealed = numbered.MasterSealed(store, master, home.entropy, home.seen)
        slot = _write_slot(sealed, passphrase, label, home.clock, cost or keyring.KdfCost())
        config = ConfigObject(crypto.VERSION, home.entropy.token(16), home.clock.now_ns(), Chunker(), ())
        try:
            sealed.create(layout.CONFIG, 1, crypto.CONFIG, codec.encode(config))
        except Conflict:
            with contextlib.suppress(NotFound):
                store.delete(layout.KEYS + slot.id)
            raise Conflict(f"there is a repository in {store.url} already") from None
        for name in stale:
            with contextlib.suppress(NotFound, NotPermitted):  # where it stays it opens nothing
                store.delete(name)
        return cls._opened(sealed, config, home, msgspec.structs.replace(slot, current=True))

    @classmethod
    def open(cls, store: ObjectStore, passphrase: str, *, home: Home) -> Repository:
        """Open with a passphrase. Raises NotFound, WrongPassphrase, IntegrityError."""
        if not cls.exists(store):
            raise NotFound(f"there is no repository in {store.url}", "make one with init")
        wrong: WrongPassphrase | None = None
        unusable: IntegrityError | None = None  # a slot opened, and what it leads to is not readable
        damaged: list[str] = []
        for name in _slot_names(store):
            try:
                data = store.get(name, limit_bytes=_SLOT_BYTES_MAX)
                contents = keyring.open_slot(data, passphrase, name=name)
            except WrongPassphrase as error:
                wrong = error
                continue
            except (IntegrityError, NotFound) as error:
                damaged.append(error.message)
                continue
            sealed = numbered.MasterSealed(store, contents.master, home.entropy, home.seen)
            try:
                config, problems = _read_config(sealed)
            except IntegrityError as error:  # or a slot that was left behind by a repository that was never finished
                unusable = unusable or error
                continue
            kdf = str(keyring.slot_cost(data, name))
            slot = KeySlotInfo(name.removeprefix(layout.KEYS), contents.label, kdf, True)
            repository = cls._opened(sealed, config, home, slot)
            repository._warnings += [*problems, *damaged]
            return repository
        if unusable is not None:
            raise unusable
        if wrong is not None:
            extra = f" ({len(damaged)} more slots are damaged)" if damaged else ""
            raise WrongPassphrase(wrong.message + extra, paper.mistake_in(passphrase) or wrong.hint)
        raise IntegrityError(damaged[0] if damaged else f"{store.url} has a config but no key slot")

    @classmethod
    def _opened(cls, sealed: numbered.MasterSealed, config: ConfigObject, home: Home, slot: KeySlotInfo) -> Repository:
        repository = cls(sealed, config, home, slot)
        repository.refresh()
        try:
            repository.presence.begin()
        except (NotPermitted, LimitReached) as error:  # what is in it can be had all the same
            repository.warn(f"the repository can only be read: {error.message}")
        return repository

    # --- key slots --------------------------------------------------------------------------------------

    def slots(self) -> list[KeySlotInfo]:
        """All key slots; unreadable ones are said so."""
        found = []
        for name in _slot_names(self.store):
            slot_id = name.removeprefix(layout.KEYS)
            if slot_id == self._slot.id:
                found.append(self._slot)
                continue
            try:
                kdf = str(keyring.slot_cost(self.store.get(name, limit_bytes=_SLOT_BYTES_MAX), name))
            except (IntegrityError, NotFound) as error:
                kdf = f"unreadable: {error.message}"
            found.append(KeySlotInfo(slot_id, "", kdf, False))
        return found

    def add_slot(self, passphrase: str, label: str, cost: keyring.KdfCost | None = None) -> KeySlotInfo:
        """Let another passphrase open the repository. Raises UsageError for an empty one."""
        refuse_weak(passphrase)
        return _write_slot(self._sealed, passphrase, label, self._clock, cost or keyring.KdfCost())

    def add_paper_slot(self, label: str, cost: keyring.KdfCost | None = None) -> tuple[KeySlotInfo, str]:
        """Make a slot for a key on paper, and the text to be printed: it is kept nowhere else."""
        text = paper.paper_text(self._sealed.entropy.token(paper.SECRET_BYTES))
        return self.add_slot(text, label, cost), text

    @property
    def receipt_key(self) -> keyring.ReceiptKey:
        """What signs receipts of this repository."""
        return keyring.ReceiptKey(self._sealed.master)

    def remove_slot(self, prefix: str) -> None:
        """Remove the slot whose id starts with `prefix`. Raises NotFound, UsageError; Conflict for the last one."""
        ids = [name.removeprefix(layout.KEYS) for name in _slot_names(self.store)]
        matches = [slot_id for slot_id in ids if prefix and slot_id.startswith(prefix)]
        if not matches:
            raise NotFound(f"there is no key slot {prefix!r}", "keys lists them")
        if len(matches) > 1:
            raise UsageError(f"{prefix!r} fits {len(matches)} key slots", "give more digits")
        if not any(other != matches[0] and self._opens_config(other) for other in ids):
            raise Conflict("the last key slot stays, or nothing could be opened again", "add another key first")
        self.store.delete(layout.KEYS + matches[0])

    def _opens_config(self, slot_id: str) -> bool:
        """Whether a slot has at least the shape of one: a damaged one does not count as another key."""
        name = layout.KEYS + slot_id
        try:
            keyring.slot_cost(self.store.get(name, limit_bytes=_SLOT_BYTES_MAX), name)
        except (IntegrityError, NotFound):
            return False
        return True

    # --- weddings ---------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what others wrote to the register, and bring back weddings that stand here and that nothing names.

        These are looked for at the first time, and while the register has problems. The folders are listed before the
        register is read: a wedding has its entry before it has a folder.
        """
        standing: list[bytes] = []
        if not self._is_register_read or self.register.problems:
            folders = self.store.folders(layout.WEDDINGS)
            standing = [bytes.fromhex(folder) for folder in folders if layout.is_token(folder)]
        self.register.refresh()
        self._is_register_read = True
        for wedding in self.register.unnamed(standing):
            first = next(self.store.list(layout.wedding_folder(wedding)), None)
            if first is not None:
                self.register.bring_back(wedding, self._oldest_day(wedding, first.modified_ns))

    def _oldest_day(self, wedding: bytes, default_ns: int) -> dt.date:
        """The day of a wedding's oldest readable snapshot or checkpoint, in UTC; without one, of `default_ns`."""
        found: list[Snapshot] = []
        with contextlib.suppress(WedSyncError):  # its key cannot be read
            found = self.snapshots(wedding.hex())
        oldest_ns = min((each.body.time_ns for each in found), default=default_ns)
        return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=oldest_ns // 1000)).date()

    def new_wedding_id(self) -> str:
        """A fresh wedding id, 32 hex digits."""
        return self._sealed.entropy.token(WEDDING_ID_BYTES).hex()

    @contextlib.contextmanager
    def vault(self, wedding_id: str) -> Iterator[WeddingVault]:
        """The wedding at work: opened by the first who asks, shared, and kept a while after the last, within bounds.

        What its user relies on is not pruned meanwhile. Raises IntegrityError when its key does not authenticate. Other
        weddings are never waited for.
        """
        with self.presence.using(bytes.fromhex(wedding_id)), self.used_vault(wedding_id) as vault:
            yield vault

    @contextlib.contextmanager
    def used_vault(self, wedding_id: str) -> Iterator[WeddingVault]:
        """See `vault`; for who has said to `presence` that the wedding is in use."""
        wedding = bytes.fromhex(wedding_id)
        with self._lock:
            opening = self._opening.setdefault(wedding, threading.Lock())
        with opening:
            held = self._used.get(wedding) or self._rested(wedding) or self._newly_opened(wedding)
            if not held.users:
                held.vault.reopen()
            held.vault.refresh()
            held.users += 1
            self._used[wedding] = held
        try:
            yield held.vault
        finally:
            with opening:
                held.users -= 1
                if not held.users:
                    del self._used[wedding]
                    self._rest(wedding, held)

    def _newly_opened(self, wedding: bytes) -> _Held:
        number, keys = self._wedding_keys(wedding)
        vault = WeddingVault(self.store, keys, self._sealed.entropy, self._around)
        return _Held(vault, number)

    def _rested(self, wedding: bytes) -> _Held | None:
        """The vault as the last user left it; None when there is none, or its key has changed since."""
        with self._lock:
            held = self._resting.pop(wedding, None)
            self._resting_bytes -= held.size_bytes if held is not None else 0
        return held if held is not None and held.key_number == self._key_number(wedding) else None

    def _rest(self, wedding: bytes, held: _Held) -> None:
        """Keep a vault for who comes next. One with problems is not kept: they may be mended by then."""
        if held.vault.problems:
            return
        held.size_bytes = held.vault.size_bytes
        with self._lock:
            self._resting[wedding] = held
            self._resting_bytes += held.size_bytes
            while len(self._resting) > RESTING_MAX or self._resting_bytes > RESTING_BYTES_MAX:
                _, oldest = self._resting.popitem(last=False)
                self._resting_bytes -= oldest.size_bytes

    def _key_number(self, wedding: bytes) -> int:
        """The highest number of the wedding's key; 0 when there is none (any more)."""
        return max(self._sealed.numbers(layout.wedding_keys(wedding)), default=0)

    def snapshots(self, wedding_id: str, damaged: list[str] | None = None) -> list[Snapshot]:
        """A wedding's snapshots and checkpoints as they stand in the store, by name; its index is not opened.

        What cannot be read is left out, and told to `damaged`.
        """
        wedding = bytes.fromhex(wedding_id)
        listed = (info.name.rpartition("/")[2] for info in self.store.list(layout.snapshots(wedding)))
        names = [name for name in listed if layout.is_snapshot(name)]
        if not names:
            return []  # before the first backup there may be no key either, and looking makes none
        _, keys = self._wedding_keys(wedding)
        found = []
        for name in names:
            try:
                with contextlib.suppress(NotFound):  # deleted since it was listed
                    found.append(snapshot.read(self.store, keys, name))
            except IntegrityError as error:
                if damaged is not None and layout.is_token(name):  # nobody relies on a checkpoint
                    damaged.append(error.message)
        return found

    def holds(self, wedding_id: str, snapshot_id: str) -> bool:
        """Whether an object of this snapshot's name is in the store."""
        try:
            self.store.stat(layout.snapshots(bytes.fromhex(wedding_id)) + snapshot_id)
        except NotFound:
            return False
        return True

    def is_untouched(self, wedding_id: str) -> bool:
        """Whether nothing was ever stored of a wedding: it has neither a key nor a snapshot."""
        wedding = bytes.fromhex(wedding_id)
        return not self._key_number(wedding) and next(self.store.list(layout.snapshots(wedding)), None) is None

    def _wedding_keys(self, wedding: bytes) -> tuple[int, keyring.WeddingKeys]:
        """The number of the wedding's key, and what it gives; made at the first backup."""
        folder = layout.wedding_keys(wedding)
        for _ in numbered.attempts():
            try:
                number, payload, problems = self._sealed.newest(folder, crypto.WEDDING_KEY, wedding)
                self._warnings += problems
                secrets = codec.decode(payload, keyring.WeddingSecrets, f"the key of wedding {wedding.hex()}")
            except NotFound:
                self._sealed.saw(folder, 0)
                if any(True for _ in self.store.list(layout.snapshots(wedding))):
                    raise IntegrityError(
                        f"the key of wedding {wedding.hex()} is missing, though it has snapshots",
                        f"bring {folder} back from a copy of the repository",
                    ) from None
                number, secrets = 1, keyring.new_secrets(self._sealed.entropy)
                try:
                    self._sealed.create(folder, number, crypto.WEDDING_KEY, codec.encode(secrets), wedding)
                except Conflict:
                    continue  # another engine made it first: read that one
            return number, keyring.WeddingKeys.of(wedding, secrets)
        raise numbered.give_up(f"the key of wedding {wedding.hex()}")

    def close(self) -> None:
        """Release the lease. The store is the caller's."""
        self.presence.lease.release()


def _slot_names(store: ObjectStore) -> list[str]:
    names = (info.name for info in store.list(layout.KEYS))
    return [name for name in names if layout.is_token(name.removeprefix(layout.KEYS))]


def _write_slot(
    sealed: numbered.MasterSealed, passphrase: str, label: str, clock: Clock, cost: keyring.KdfCost
) -> KeySlotInfo:
    slot_id = sealed.entropy.token(16).hex()
    name = layout.KEYS + slot_id
    contents = keyring.SlotContents(sealed.master, label[:_LABEL_CHARS_MAX], clock.now_ns())
    sealed.store.put(name, keyring.seal_slot(contents, passphrase, name=name, cost=cost, entropy=sealed.entropy))
    return KeySlotInfo(slot_id, contents.label, str(cost), False)


def _read_config(sealed: numbered.MasterSealed) -> tuple[ConfigObject, list[str]]:
    number, payload, problems = sealed.newest(layout.CONFIG, crypto.CONFIG)
    config = codec.decode(payload, ConfigObject, f"config/{number}")
    if len(config.id) != 16:
        raise IntegrityError(f"config/{number} holds no id of a repository")
    if config.format != crypto.VERSION or config.features or config.chunker != Chunker():
        unknown = ", ".join(config.features) or f"format {config.format}"
        raise IntegrityError(f"this repository needs what this WedSync does not know: {unknown}", "update WedSync")
    return config, problems


def refuse_weak(passphrase: str) -> None:
    """Raise UsageError for a passphrase that protects nothing."""
    if not passphrase.strip():
        raise UsageError("the passphrase is empty", "set WEDSYNC_PASSPHRASE, or type one when asked")
