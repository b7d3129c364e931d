"""Which node takes a job, and which ones go when there are to be fewer. Pure.

A job goes to a node that has its source and a free slot: in its region before any other, reserved before spot, then to
the one with most free slots. Of the nodes that may go, spot ones go first, and of a class those with the least to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.contract.cluster import NODE_CLASSES, NodeClass, NodeRow, Reach


def has_source(node: NodeRow, reach: Reach) -> bool:
    """Whether a node can read what a job reads. Sources on its own disk are its own; others lie below a shared root."""
    if reach.host:
        return node.name == reach.host
    return all(any(_is_below(path, root) for root in node.source_roots) for path in reach.paths)


def pick(nodes: Iterable[NodeRow], reach: Reach, busy: Mapping[str, int]) -> str:
    """The node to run a job on; empty when none has its source and a free slot. `busy`: slots taken, by name."""
    fit = [
        node
        for node in nodes
        if node.state == "ready" and busy.get(node.name, 0) < node.slots and has_source(node, reach)
    ]
    if not fit:
        return ""
    best = min(
        fit,
        key=lambda node: (
            bool(reach.region) and node.region != reach.region,
            NODE_CLASSES.index(node.node_class),
            busy.get(node.name, 0) - node.slots,
            node.name,
        ),
    )
    return best.name


def leavers(nodes: Sequence[NodeRow], target: Mapping[NodeClass, int]) -> tuple[str, ...]:
    """Names of the nodes that are over the target of their class, those with the least to do first."""
    gone: list[str] = []
    for node_class in reversed(NODE_CLASSES):
        there = [node for node in nodes if node.node_class == node_class and node.state != "draining"]
        over = len(there) - target.get(node_class, 0)
        gone += [node.name for node in sorted(there, key=lambda node: (node.running, node.name))[: max(0, over)]]
    return tuple(gone)


def _is_below(path: str, root: str) -> bool:
    folder = root.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")
