"""Sources on the machines of a cluster: how they are named, and what a node needs to read them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.contract.cluster import Reach
from engine.contract.paths import NODES, node_of
from engine.contract.weddings import Wedding
from engine.operations.context import Engine
from engine.operations.facts import whereabouts_of
from engine.storage.distance import by_distance


def on_nodes(sources: Sequence[str]) -> tuple[bytes, ...]:
    """The sources if they are on nodes, none if they are here. Whether anything is there the job finds out.

    Raises UsageError for both in one backup, and for those of several nodes.
    """
    there = [source for source in sources if source.startswith(NODES)]
    if there and (len(there) < len(sources) or len({node_of(source)[0] for source in there}) > 1):
        raise UsageError("a backup reads from one machine", "make several backups of it")
    return tuple(os.fsencode(source) for source in dict.fromkeys(there))


def check_on_nodes(engine: Engine, *, dry_run: bool) -> None:
    """Refuse a backup of sources on nodes where nothing could make it. Raises UsageError."""
    if not engine.settings.cluster.scheduler:
        raise UsageError(
            "sources on nodes need a cluster, and there is none", "set cluster.scheduler (docs/cluster.md)"
        )
    if dry_run:
        raise UsageError("a dry run looks at sources on this machine", "leave --dry-run out, or make it on the node")


def reach_of(engine: Engine, operation: ops.StartBackup, wedding: Wedding) -> Reach | None:
    """What a node needs to make a backup in this engine's stead; None where there is no cluster."""
    if not engine.settings.cluster.scheduler:
        return None
    region = next(iter(by_distance(engine.settings.regions, whereabouts_of(wedding).position)), "")
    region = wedding.regions[0] if wedding.regions and region not in wedding.regions else region
    sources = operation.sources
    if sources and sources[0].startswith(NODES):
        host, _ = node_of(sources[0])
        paths = tuple(node_of(source)[1] for source in sources)
        return Reach(paths=() if host else paths, host=host, only_there=True, region=region)
    return Reach(paths=tuple(path for path in sources if path.startswith("/")), region=region)
