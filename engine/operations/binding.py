"""Whether a wedding may be bound to regions: all that it has must lie in one of them already. Blocks; on the executor.

Else nobody would read what lies elsewhere, and its key and snapshots would not be found.
"""

from __future__ import annotations

from collections.abc import Collection

from engine.base.errors import Conflict
from engine.base.units import format_count
from engine.contract.weddings import Wedding
from engine.storage.replication import Replication
from engine.storage.stack import Stack
from engine.storage.tombstones import TOMBSTONES, deleted_names


def check_kept(stack: Stack, wedding: Wedding, regions: Collection[str]) -> None:
    """Raises Conflict where something of a wedding lies in none of `regions`, Unavailable where a region is silent."""
    held: dict[str, set[str]] = {}
    for store in stack.replicated.values():
        for name, found in _held(store.shared, f"weddings/{wedding.id}/").items():
            held.setdefault(name, set()).update(found)
    if lacking := sum(bool(found) and found.isdisjoint(regions) for found in held.values()):
        raise Conflict(
            f"{format_count(lacking, 'object')} of {wedding.name} lie in none of {', '.join(regions)}",
            "name them beside the regions where it lies; once copies tells that nothing is missing, leave those out",
        )


def _held(shared: Replication, folder: str) -> dict[str, set[str]]:
    """What is not deleted, and the regions of one tier whose copy is not known to be damaged."""
    held: dict[str, set[str]] = {}
    marks: list[str] = []
    for region in shared.regions.values():
        for info in region.call(lambda store: list(store.list(folder))):
            held.setdefault(info.name, set()).add(region.name)
        marks += [info.name for info in region.call(lambda store: list(store.list(TOMBSTONES + folder)))]
    graves = deleted_names(marks)
    return {name: found - shared.bad(name) for name, found in held.items() if name not in graves}
