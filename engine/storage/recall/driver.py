"""`RecallDriver`: asks for packs that have to be recalled, and says how far they are. One shared suite holds each.

Requests are idempotent: asked again, also by another engine or after a restart, they only take longer to say so. All
methods block and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

RecallState = Literal["readable", "coming", "archived"]


class Offer(msgspec.Struct, frozen=True):
    """A speed that a store offers. `expected_s`: how long it takes at most, as its makers say; None: not known."""

    speed: str  # empty where there is but one
    expected_s: float | None
    expedited: bool = False  # it costs `expedited_price_gb`


class Standing(msgspec.Struct, frozen=True):
    """How far one pack is. `eta_s`: seconds that are left by the store's own word; None: it says nothing."""

    state: RecallState
    eta_s: float | None = None
    problem: str = ""  # why it will not come, if so


class RecallDriver(Protocol):
    """What brings packs back."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The speeds there are, the cheapest first."""
        ...

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """Ask for packs, to be readable for so many days. What is readable or on its way stays so.

        Raises NotFound, NotPermitted, Unavailable; some may have been asked for then.
        """
        ...

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """How far packs are; one that is not there is left out. Raises Unavailable, NotPermitted."""
        ...

    def archive(self, name: str) -> None:
        """A pack was written and read back: from now on it may have to be recalled. Also twice."""
        ...

    def close(self) -> None:
        """Let go of threads and programs; what was asked for goes on where the store does it by itself."""
        ...


class NoRecall:
    """Of a tier whose packs are read at once."""

    offers: tuple[Offer, ...] = (Offer("", 0.0),)

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """See `RecallDriver.request`: there is nothing to do."""

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """See `RecallDriver.standing`."""
        return {name: Standing("readable", 0.0) for name in names}

    def archive(self, name: str) -> None:
        """See `RecallDriver.archive`."""

    def close(self) -> None:
        """See `RecallDriver.close`."""


def chosen(offers: Sequence[Offer], objective_s: float) -> tuple[Offer, bool]:
    """The cheapest offer that keeps the objective, or, where none does, the fastest; and whether it does. Pure.

    One of which nothing is known is taken by its word only where there is no other.
    """
    for offer in offers:
        if offer.expected_s is not None and offer.expected_s <= objective_s:
            return offer, True
    known = [offer for offer in offers if offer.expected_s is not None]
    fastest = min(known, key=lambda offer: offer.expected_s or 0.0) if known else offers[-1]
    return fastest, False
