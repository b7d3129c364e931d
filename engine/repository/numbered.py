"""Objects that change: a folder of numbers, the highest that authenticates is in force (docs/format.md, section 2)."""

from __future__ import annotations

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.repository import codec, crypto, layout
from engine.repository.seen import SeenNumbers
from engine.storage.stores.store import ObjectStore

_ATTEMPTS_MAX = 100


class MasterSealed(msgspec.Struct, frozen=True):
    """Reads and writes numbered objects that are sealed under the master key."""

    store: ObjectStore
    master: bytes
    entropy: Entropy
    seen: SeenNumbers

    def numbers(self, folder: str) -> list[int]:
        """Numbers present, ascending."""
        found = (layout.number_of(info.name, folder) for info in self.store.list(folder))
        return sorted(number for number in found if number is not None)

    def read(self, folder: str, number: int, object_type: int, wedding: bytes = crypto.NO_WEDDING) -> bytes:
        """The payload of one number. Raises NotFound, IntegrityError."""
        name = f"{folder}{number}"
        data = self.store.get(name, limit_bytes=codec.OBJECT_BYTES_MAX)
        binding = crypto.Binding.named(object_type, name, wedding)

        def secret_of(epoch: int) -> bytes:
            if epoch:
                raise IntegrityError(f"{name}: is under the master key and claims key epoch {epoch}")
            return self.master

        return crypto.open_object(data, binding, secret_of=secret_of, what=name)

    def saw(self, folder: str, number: int) -> None:
        """Remember `number` for this repository and home. Raises IntegrityError when a higher one was seen before."""
        self.seen.check(crypto.fingerprint(self.master), folder, number)

    def refuse_less(self, folder: str, number: int) -> None:
        """Raise IntegrityError when this home has seen a higher number of `folder` than there is."""
        self.seen.refuse_less(crypto.fingerprint(self.master), folder, number)

    def remember(self, folder: str, number: int) -> None:
        """Remember a number that authenticated, though there may be higher ones that did not."""
        self.seen.remember(crypto.fingerprint(self.master), folder, number)

    def newest(self, folder: str, object_type: int, wedding: bytes = crypto.NO_WEDDING) -> tuple[int, bytes, list[str]]:
        """The number in force, its payload, and what was wrong with higher ones.

        Raises NotFound when there is no number at all; IntegrityError when none authenticates, or when this home
        has seen a higher one that did.
        """
        problems: list[str] = []
        for number in reversed(self.numbers(folder)):
            try:
                payload = self.read(folder, number, object_type, wedding)
            except (IntegrityError, NotFound) as error:
                problems.append(error.message)
                continue
            self.saw(folder, number)
            return number, payload, problems
        if problems:
            raise IntegrityError(problems[0])
        raise NotFound(f"{folder} is empty")

    def create(
        self, folder: str, number: int, object_type: int, payload: bytes, wedding: bytes = crypto.NO_WEDDING
    ) -> None:
        """Create one number, durably. Raises Conflict when another writer took it."""
        name = f"{folder}{number}"
        binding = crypto.Binding.named(object_type, name, wedding)
        sealed = crypto.seal_object(payload, binding, secret=self.master, epoch=0, entropy=self.entropy)
        self.store.put(name, sealed)
        self.saw(folder, number)


def attempts() -> range:
    """How often a writer begins again when others take its numbers."""
    return range(_ATTEMPTS_MAX)


def give_up(what: str) -> Conflict:
    """What to raise after all `attempts`."""
    return Conflict(f"{what} kept being changed by others", "try again")
