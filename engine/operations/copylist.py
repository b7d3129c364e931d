"""copies: where a wedding's packs lie, by the copy catalog; without regions or tiers, by the one store's listing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from engine.base.units import format_time
from engine.contract import copies
from engine.contract.settings import Settings
from engine.contract.tiers import place_of
from engine.contract.weddings import Wedding
from engine.operations import safety
from engine.operations.context import Engine, Handler
from engine.operations.facts import whereabouts_of
from engine.repository import layout
from engine.storage.distance import great_circle_km
from engine.storage.locations import Copy
from engine.storage.stack import Stack

Found = Iterable[tuple[str, tuple[Copy, ...]]]  # packs with their copies


class _Place(msgspec.Struct):
    """What was counted in one place."""

    packs: int = 0
    size_bytes: int = 0
    missing: int = 0
    bad: int = 0
    never: int = 0
    oldest_ns: int = 0


class _Count(msgspec.Struct):
    places: dict[str, _Place] = {}
    packs: int = 0
    short: int = 0
    fewest: int = 0


async def list_copies(engine: Engine, operation: copies.ListCopies) -> copies.CopyList:
    """See `copies.ListCopies`."""
    wedding = engine.facts.find(operation.wedding)
    await safety.count_unknown(engine, await engine.opening.needed(), [wedding.id])
    stack = engine.opening.stack
    assert stack is not None  # the repository is open
    wanted = _wanted(engine.settings, wedding, stack)

    def count() -> _Count:
        allowed = wedding.regions if stack.replicated else ()
        counted = _counted(_packs(engine, stack, wedding), wanted, list(stack.places), allowed)
        for tier, store in stack.replicated.items():
            for region, owed in store.shared.queue.of_wedding(wedding.id).items():
                if (place := counted.places.get(place_of(tier, region))) is not None:
                    place.missing += owed
        return counted

    counted = await engine.offload.run("copies", count)
    protected_ns, safe_ns = engine.facts.safety(wedding.id).protected_since_ns, engine.regional.safe_ns(wedding.id)
    return copies.CopyList(
        wedding=wedding.name,
        copies_wanted=wanted,
        packs=counted.packs,
        packs_short=counted.short,
        fewest=counted.fewest,
        committed="" if protected_ns is None else format_time(protected_ns),
        safe="" if safe_ns is None else format_time(safe_ns),
        places=tuple(_row(engine.settings, wedding, place, found) for place, found in sorted(counted.places.items())),
    )


def _wanted(settings: Settings, wedding: Wedding, stack: Stack) -> int:
    """How many copies a pack of data should have."""
    if not stack.replicated:
        return 1
    allowed = len(stack.replicated["hot"].shared.allowed(f"weddings/{wedding.id}/"))
    return min(settings.replication.copies, allowed)


def _packs(engine: Engine, stack: Stack, wedding: Wedding) -> Found:
    """Every pack that is known, with its copies. Where there is one place nobody keeps a catalog: it is listed."""
    if len(stack.places) > 1:
        return engine.home.locations().of_wedding(wedding.id)
    (place,) = stack.places
    listed = stack.store.list(layout.packs(bytes.fromhex(wedding.id)))
    return ((info.name, (Copy(place, info.size_bytes),)) for info in listed)


def _counted(found: Found, wanted: int, places: Iterable[str], allowed: Sequence[str] = ()) -> _Count:
    """Pure. What lies in a place that is no longer in the settings is nobody's copy: nothing reads or heals it.

    Nor is what lies where the wedding no longer may: it is to be taken away. `allowed`: its regions, none for any.
    """
    count = _Count(places={place: _Place() for place in places})
    for _, of_pack in found:
        good: set[str] = set()  # regions: what one loses, it loses in each of its tiers
        for copy in of_pack:
            place = count.places.get(copy.place)
            if place is None:
                continue
            if copy.state == "bad":
                place.bad += 1
            elif copy.state == "missing":
                place.missing += 1
            elif copy.state == "good":
                region = copy.place.partition("/")[2]
                good |= {region} if not allowed or region in allowed else set()
                place.packs += 1
                place.size_bytes += copy.size_bytes
                if not copy.verified_ns:
                    place.never += 1
                elif not place.oldest_ns or copy.verified_ns < place.oldest_ns:
                    place.oldest_ns = copy.verified_ns
        count.fewest = len(good) if not count.packs else min(count.fewest, len(good))
        count.packs += 1
        count.short += len(good) < wanted
    return count


def _row(settings: Settings, wedding: Wedding, place: str, found: _Place) -> copies.CopyRow:
    region = next((each for each in settings.regions if each.name == place.partition("/")[2]), None)
    at = None if region is None else region.position
    venue = whereabouts_of(wedding).position
    return copies.CopyRow(
        place=place,
        distance_km=None if at is None or venue is None else round(great_circle_km(at, venue)),
        allowed=region is None or not wedding.regions or region.name in wedding.regions,
        packs=found.packs,
        bytes=found.size_bytes,
        missing=found.missing,
        bad=found.bad,
        never_verified=found.never,
        verified=format_time(found.oldest_ns) if found.oldest_ns else "",
    )


HANDLERS: dict[str, Handler] = {"copies": list_copies}
