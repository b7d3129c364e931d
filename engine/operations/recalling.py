"""What is being recalled: asked for once, looked at now and then, told to the runs that wait for it.

What is on its way at a speed is not asked for again at that speed, whoever wants it. Nothing of it is kept in the
journal: requests are idempotent, so a job that goes on after a restart asks again, and learns from the store what has
come meanwhile. Any thread; what blocks says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import msgspec

from engine.base.clock import Clock
from engine.base.errors import WedSyncError
from engine.base.units import parse_span
from engine.contract.settings import Settings
from engine.contract.status import RecallRow
from engine.contract.tiers import TIERS, Tier, TierSettings, tier_of
from engine.storage.locations import Locations
from engine.storage.recall.driver import Offer, RecallDriver, Standing, chosen
from engine.storage.recall.open import open_drivers
from engine.storage.stores.metered import Meter

POLL_S = 30.0
LOOKED_AT_ONCE = 500  # packs of a recall, in one look
EXPEDITED_TIMES = 3.0  # what an expedited recall costs of a usual one, where it has no price of its own
_LOG = logging.getLogger(__name__)


class Need(msgspec.Struct, frozen=True):
    """What has to be recalled before some packs can be read; nothing where `packs` is empty."""

    packs: Mapping[Tier, Mapping[str, int]]  # names and sizes of those that cannot be read yet
    readable: int  # packs of such tiers that can be read already
    speed: str
    eta_s: float | None
    cost: float
    meets_objective: bool

    @property
    def names(self) -> dict[str, int]:
        """All packs that have to be recalled, with their sizes."""
        return {name: size for packs in self.packs.values() for name, size in packs.items()}

    def beside(self, other: Need) -> Need:
        """Both, asked for at once."""
        packs = {tier: {**self.packs.get(tier, {}), **other.packs.get(tier, {})} for tier in TIERS}
        return Need(
            {tier: found for tier, found in packs.items() if found},
            self.readable + other.readable,
            other.speed or self.speed,
            _later(self.eta_s, other.eta_s),
            self.cost + other.cost,
            self.meets_objective and other.meets_objective,
        )


NOTHING_NEEDED = Need({}, 0, "", 0.0, 0.0, True)


class _Recall(msgspec.Struct, eq=False):
    """One recall under way. Two of the same packs are two."""

    wedding: str
    tier: Tier
    speed: str
    packs: int
    size_bytes: int
    begun_ns: int
    eta_ns: int | None
    left: dict[str, None]  # names, those looked at longest ago first
    unasked: dict[str, int]  # of them, those that the tier's limit still holds, with their sizes


class Recalls:
    """The recalls of one engine."""

    def __init__(
        self,
        locations: Callable[[], Locations],
        clock: Clock,
        settings: Callable[[], Settings],
        meters: Mapping[Tier, Meter],
    ) -> None:
        self._locations = locations
        self._meters = meters
        self._clock = clock
        self._settings = settings
        self._opening = threading.Lock()
        self._drivers: Mapping[Tier, RecallDriver] | None = None  # opened at the first need, under the lock above
        self._asking = threading.Lock()  # one asks at a time: the next knows what is on its way by then
        self._lock = threading.Lock()
        self._recalls: list[_Recall] = []  # with the next, under the lock
        self._waiting: dict[str, str] = {}  # pack → the speed at which it was asked for last
        self._next_s = 0.0

    def drivers(self) -> Mapping[Tier, RecallDriver]:
        """The driver of each tier. Blocks. Raises UsageError where its library is missing."""
        with self._opening:
            if self._drivers is None:
                self._drivers = open_drivers(self._settings().tiers, self._clock)
            return self._drivers

    def close(self) -> None:
        """Let go of programs and threads. Blocks."""
        with self._opening:
            drivers, self._drivers = self._drivers, None
        for driver in (drivers or {}).values():
            driver.close()

    # --- what has to be recalled ------------------------------------------------------------------------

    def may_need(self, wedding_id: str) -> bool:
        """Whether a wedding has packs in a tier from which they are recalled. Blocks a moment."""
        tiers = self._settings().tiers
        if all(tiers.of(tier).recall == "none" for tier in TIERS):
            return False
        return any(tiers.of(tier_of(place)).recall != "none" for place in self._locations().totals(wedding_id))

    def needed(self, wedding_id: str, packs: Mapping[str, int], *, speed: str = "auto") -> Need:
        """What of these packs (names and sizes) has to be recalled, how, and at what cost. Blocks; asks the store."""
        lying: dict[Tier, dict[str, int]] = {}
        tiers = self._settings().tiers
        for name, copies in self._locations().of_wedding(wedding_id):
            good = [tier_of(copy.place) for copy in copies if copy.state == "good"]
            if name in packs and good and all(tiers.of(tier).recall != "none" for tier in good):
                lying.setdefault(min(good, key=TIERS.index), {})[name] = packs[name]
        need = NOTHING_NEEDED
        for tier, names in lying.items():
            standing = self.drivers()[tier].standing(list(names))
            missing = {name: size for name, size in names.items() if not _can_be_read(standing.get(name))}
            offer, meets = self._offer(tier, speed)
            price = _price(tiers.of(tier), offer)
            need = Need(
                {**need.packs, tier: missing} if missing else need.packs,
                need.readable + len(names) - len(missing),
                offer.speed,
                _later(need.eta_s, offer.expected_s if missing else 0.0),
                need.cost + sum(missing.values()) / 1e9 * price,
                need.meets_objective and (meets or not missing),
            )
        return need

    def _offer(self, tier: Tier, speed: str) -> tuple[Offer, bool]:
        offers = self.drivers()[tier].offers
        objective_s = parse_span(self._settings().tiers.of(tier).recall_objective)
        for offer in offers:
            if offer.speed == speed:
                return offer, offer.expected_s is not None and offer.expected_s <= objective_s
        return chosen(offers, objective_s)

    # --- recalling --------------------------------------------------------------------------------------

    def begin(self, wedding: str, need: Need, *, held: bool = False) -> None:
        """Ask for what is needed. Blocks. Raises what the driver raises; then nothing of that tier is waited for.

        `held`: the limit of the tier holds it; what is over it is asked for later, by `tend`.
        """
        for tier, packs in need.packs.items():
            offer, _ = self._offer(tier, need.speed)
            with self._asking:
                fresh = self._not_asked_for(packs, offer.speed, held=held)
                if fresh:
                    self._begin(self._recall_of(wedding, tier, fresh, offer), held=held)

    def _not_asked_for(self, packs: Mapping[str, int], speed: str, *, held: bool) -> dict[str, int]:
        """Those that nobody has asked for at this speed; what only a limit holds counts where no limit does."""
        with self._lock:
            queued = set() if held else {name for each in self._recalls for name in each.unasked}
            return {name: size for name, size in packs.items() if self._waiting.get(name) != speed or name in queued}

    def _recall_of(self, wedding: str, tier: Tier, packs: dict[str, int], offer: Offer) -> _Recall:
        now_ns = self._clock.now_ns()
        eta_ns = None if offer.expected_s is None else now_ns + round(offer.expected_s * 1e9)
        left = dict.fromkeys(packs)
        return _Recall(wedding, tier, offer.speed, len(packs), sum(packs.values()), now_ns, eta_ns, left, dict(packs))

    def _begin(self, recall: _Recall, *, held: bool) -> None:
        self._ask(recall, held=held)
        with self._lock:
            for each in self._recalls if not held else ():
                for name in recall.left:
                    each.unasked.pop(name, None)
            self._recalls.append(recall)
            self._waiting.update(dict.fromkeys(recall.left, recall.speed))

    def _ask(self, recall: _Recall, *, held: bool) -> None:
        """Ask for all that is left, or what the limit allows by now: what goes beyond it is owed to it. Blocks."""
        meter = self._meters[recall.tier]
        while recall.unasked and not (held and meter.wait_s() > 0):
            names = list(recall.unasked)
            if held and meter.limit_bytes_per_s is not None:
                names = names[:1]
                meter.reserve(recall.unasked[names[0]])
            days = self._settings().tiers.of(recall.tier).recall_days
            self.drivers()[recall.tier].request(names, speed=recall.speed, days=days)
            for name in names:
                del recall.unasked[name]

    def is_ready(self, name: str) -> bool:
        """See `Readable`: what nobody waits for is taken to be readable."""
        return name not in self._waiting

    def is_time(self) -> bool:
        """Whether to call `tend` now."""
        return bool(self._waiting) and (self._clock.monotonic_s() >= self._next_s or bool(self._unasked()))

    def tend(self) -> None:
        """Ask for what limits let through by now, and each half minute look how far everything is. Blocks."""
        for recall in self._unasked():
            try:
                with self._asking:
                    self._ask(recall, held=True)
            except WedSyncError as error:
                _LOG.warning("packs were not recalled: %s", error.line(), extra={"wedding": recall.wedding})
        if self._clock.monotonic_s() >= self._next_s:
            self.poll()

    def poll(self) -> None:
        """Look how far everything is. Blocks."""
        self._next_s = self._clock.monotonic_s() + POLL_S
        with self._lock:
            recalls = [(recall, list(recall.left)[:LOOKED_AT_ONCE]) for recall in self._recalls]
        for recall, names in recalls:
            try:
                standing = self.drivers()[recall.tier].standing(names)
            except WedSyncError as error:
                _LOG.warning("it is not known how far a recall is: %s", error.line(), extra={"wedding": recall.wedding})
                continue
            with self._lock:
                self._take(recall, names, standing)

    def _unasked(self) -> list[_Recall]:
        """Recalls that may ask for more now."""
        with self._lock:
            return [each for each in self._recalls if each.unasked and self._meters[each.tier].wait_s() == 0]

    def _take(self, recall: _Recall, names: list[str], standing: Mapping[str, Standing]) -> None:
        """What a look has told. What is gone or will not come is waited for no longer: who reads it learns why."""
        etas: list[float] = []
        for name in names:
            found = standing.get(name)
            del recall.left[name]
            if found is None or found.problem or found.state == "readable":
                self._waiting.pop(name, None)
                if found is None or found.problem:
                    why = found.problem if found is not None else "it is not there"
                    _LOG.warning("pack %s cannot be recalled: %s", name, why, extra={"wedding": recall.wedding})
                continue
            recall.left[name] = None  # behind the others
            if found.eta_s is not None:
                etas.append(found.eta_s)
        if etas:
            recall.eta_ns = self._clock.now_ns() + round(max(etas) * 1e9)
        if not recall.left:
            self._recalls.remove(recall)

    def rows(self) -> tuple[RecallRow, ...]:
        """The recalls under way, for the status document."""
        with self._lock:
            return tuple(
                RecallRow(
                    wedding=each.wedding,
                    tier=each.tier,
                    speed=each.speed,
                    packs_ready=each.packs - len(each.left),
                    packs_total=each.packs,
                    bytes_total=each.size_bytes,
                    begun_ns=each.begun_ns,
                    eta_ns=each.eta_ns,
                )
                for each in self._recalls
            )


def _can_be_read(standing: Standing | None) -> bool:
    """What is not there is not waited for: reading it tells."""
    return standing is None or standing.state == "readable"


def _price(settings: TierSettings, offer: Offer) -> float:
    if not offer.expedited:
        return settings.retrieval_price_gb
    return settings.expedited_price_gb or EXPEDITED_TIMES * settings.retrieval_price_gb


def _later(one_s: float | None, other_s: float | None) -> float | None:
    return None if one_s is None or other_s is None else max(one_s, other_s)
