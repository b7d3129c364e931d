"""Which regions a wedding's objects may lie in, and which of them are nearest to its venue. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from engine.contract.regions import RegionSettings
from engine.storage.stores.names import is_part

_LEASES = "leases/"
EARTH_KM = 6371.0088  # mean radius (IUGG)
Position = tuple[float, float]  # latitude and longitude in degrees


class Allowed(msgspec.Struct, frozen=True):
    """The regions that an object may lie in, in the order of the settings, and those that its pack should lie in."""

    regions: tuple[str, ...]
    nearest: tuple[str, ...]  # the same, the best for its packs first


class Whereabouts(msgspec.Struct, frozen=True):
    """What placement asks of a wedding."""

    position: Position | None = None  # of its venue
    regions: tuple[str, ...] = ()  # that it may lie in; none: any


Placing = Callable[[str], Allowed]  # by an object's name, or a folder's
WhereaboutsOf = Callable[[str], Whereabouts]  # by a wedding's id


def nowhere(_wedding_id: str) -> Whereabouts:
    """Nothing is known of any wedding."""
    return Whereabouts()


def great_circle_km(a: Position, b: Position) -> float:
    """The way between two places along the Earth's surface, taken as a sphere (haversine formula: Sinnott, 1984)."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    chord = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(chord)))


def by_distance(regions: Sequence[RegionSettings], position: Position | None) -> tuple[str, ...]:
    """Names of regions, the nearest first; as they stand where nobody knows how far they are."""
    if position is None:
        return tuple(region.name for region in regions)

    def distance(region: RegionSettings) -> float:
        at = region.position
        return math.inf if at is None else great_circle_km(at, position)

    return tuple(region.name for region in sorted(regions, key=distance))


def placing(regions: Sequence[RegionSettings], whereabouts: WhereaboutsOf) -> Placing:
    """Where objects may lie: those of a wedding where it may, everything else in every region.

    Leases are renewed and deleted each minute: they would only pile up where nothing is deleted.
    """
    everywhere = by_distance(regions, None)
    erasable = by_distance([region for region in regions if not region.append_only] or regions, None)

    def place(name: str) -> Allowed:
        if name.startswith(_LEASES):
            return Allowed(erasable, erasable)
        wedding_id = wedding_of(name)
        if wedding_id is None:
            return Allowed(everywhere, everywhere)
        found = whereabouts(wedding_id)
        allowed = [region for region in regions if not found.regions or region.name in found.regions]
        return Allowed(by_distance(allowed, None), by_distance(allowed, found.position))

    return place


def wedding_of(name: str) -> str | None:
    """The id of the wedding whose object or folder `name` is."""
    parts = name.split("/")
    return parts[1] if parts[0] == "weddings" and len(parts) > 2 and is_part(parts[1]) else None
