"""The scrub at work: copies are read again as the settings say. Engine loop; reading on the executor."""

from __future__ import annotations

from collections.abc import Mapping

from engine.base.units import parse_bytes, parse_span
from engine.contract.regions import ScrubSettings
from engine.contract.settings import Settings
from engine.contract.status import Scrub, ScrubAges
from engine.contract.tiers import TiersSettings, tier_of
from engine.jobs.offload import Means
from engine.storage.copycheck import CopyChecker, Findings
from engine.storage.locations import Locations
from engine.storage.scrub import Figures, Scrubber
from engine.storage.stack import Stack

SCRUB_S = 1.0  # between two rounds
REST_S = 60.0  # of a place where nothing is due
AGES_AGAIN_S = 10.0
_DAY_S = 86_400
_BOUNDS_S = (_DAY_S, 7 * _DAY_S, 30 * _DAY_S, 90 * _DAY_S)


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
            places = {place: store for place, store in stack.places.items() if is_readable(settings.tiers, place)}
            findings = Findings(stack.replicated, locations)
            self._scrubber = Scrubber(
                CopyChecker(places, locations, self._clock, findings.found), locations, self._clock
            )
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


def rate_of(settings: ScrubSettings) -> float:
    """Bytes a second."""
    return float(parse_bytes(settings.rate.removesuffix("/s")))


def is_readable(tiers: TiersSettings, place: str) -> bool:
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
