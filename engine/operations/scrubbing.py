"""The scrub at work: copies are read again as the settings say. Engine loop; reading on the executor."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from engine.base.errors import WedSyncError
from engine.base.units import parse_bytes, parse_span
from engine.contract.regions import ScrubSettings
from engine.contract.settings import Settings
from engine.contract.status import Scrub, ScrubAges
from engine.contract.tiers import Tier, TiersSettings, tier_of
from engine.jobs.offload import Means
from engine.storage.locations import Copy, Locations
from engine.storage.replication import Replication
from engine.storage.scrub import Figures, Scrubber
from engine.storage.stack import Stack

SCRUB_S = 1.0  # between two rounds
REST_S = 60.0  # of a place where nothing is due
AGES_AGAIN_S = 10.0
_DAY_S = 86_400
_BOUNDS_S = (_DAY_S, 7 * _DAY_S, 30 * _DAY_S, 90 * _DAY_S)
_LOG = logging.getLogger(__name__)


class Scrubbing:
    """The scrub of one engine. Engine loop only."""

    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._offload = means.offload
        self._stack: Stack | None = None
        self._scrubber: Scrubber | None = None
        self._ages: Mapping[str, list[int]] = {}
        self._ages_at_s = 0.0

    async def round(self, stack: Stack | None, locations: Locations, settings: Settings) -> None:
        """Read what the rate allows. `stack`: the stores that are open now."""
        if stack is not self._stack:
            self._stack, self._scrubber = stack, None
        if stack is None or len(stack.places) < 2:
            return
        if self._scrubber is None:
            places = {place: store for place, store in stack.places.items() if _is_readable(settings.tiers, place)}
            self._scrubber = Scrubber(places, locations, self._clock, _Findings(stack, locations).found)
        scrubber, rate = self._scrubber, rate_of(settings.scrub)
        if settings.scrub.enabled:
            every_s = parse_span(settings.scrub.every)
            await self._offload.run("scrub", lambda: scrubber.scrub(bytes_per_s=rate, every_s=every_s, rest_s=REST_S))
        if self._clock.monotonic_s() >= self._ages_at_s:
            self._ages_at_s = self._clock.monotonic_s() + AGES_AGAIN_S
            self._ages = await self._offload.run("scrub", lambda: locations.ages(self._clock.now_ns(), _BOUNDS_S))

    def shown(self, settings: Settings) -> Scrub | None:
        """The scrub as the status document has it."""
        if self._scrubber is None:
            return None
        figures: Figures = self._scrubber.figures
        return Scrub(
            enabled=settings.scrub.enabled,
            limit_bytes_per_s=rate_of(settings.scrub),
            copies_read=figures.copies,
            bytes_read=figures.bytes_read,
            bad_found=figures.bad,
            problem=figures.problem,
            ages=tuple(_row(place, counts) for place, counts in sorted(self._ages.items())),
        )


class _Findings:
    """What is done with what the scrub finds. On the executor."""

    def __init__(self, stack: Stack, locations: Locations) -> None:
        self._locations = locations
        self._replicated: dict[tuple[Tier, str], Replication] = {}
        for tier, store in stack.replicated.items():
            self._replicated |= {(tier, region): store.shared for region in store.shared.regions}

    def found(self, name: str, place: str, copy: Copy) -> None:
        """A copy was read: keep what it is, and have it healed where it is not good."""
        region = place.partition("/")[2]
        shared = self._replicated.get((tier_of(place), region))
        if copy.state != "good":
            _LOG.warning("the scrub found the copy of %s in %s %s", name, place, copy.state)
        try:
            self._locations.record(name, copy)
        except WedSyncError as error:
            _LOG.warning("the copy catalog was not told of %s in %s: %s", name, place, error.line())
        if shared is None:
            return
        if copy.state == "good":
            shared.mark_good(name, region)
        elif copy.state == "bad":
            shared.mark_bad(name, region, size_bytes=copy.size_bytes)
        else:
            shared.queue.owe(name, [region], "copy", shared.clock.now_ns(), on_the_way=False)


def rate_of(settings: ScrubSettings) -> float:
    """Bytes a second."""
    return float(parse_bytes(settings.rate.removesuffix("/s")))


def _is_readable(tiers: TiersSettings, place: str) -> bool:
    """Whether copies in a place can be read without being recalled first."""
    return tiers.of(tier_of(place)).recall == "none"


def _row(place: str, counts: list[int]) -> ScrubAges:
    day, week, month, quarter, longer, never = counts
    return ScrubAges(
        place=place,
        within_day=day,
        within_week=week,
        within_month=month,
        within_quarter=quarter,
        longer_ago=longer,
        never=never,
    )
