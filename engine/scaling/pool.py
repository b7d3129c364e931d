"""What can be made larger and smaller: streams of the embedded engine, or nodes of a cluster, behind one protocol.

Whoever decides how much is needed sets a target and looks at the rows; how workers come and go is the pool's affair.
No job is disturbed: one too many takes nothing new, and ends after what it has begun. Engine loop only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from engine.base.invariants import check
from engine.contract.cluster import NODE_CLASSES, NodeClass, NodeRow
from engine.contract.settings import STREAMS_MAX

Target = Mapping[NodeClass, int]


class Streams(Protocol):
    """Threads that can be told to be more or fewer."""

    @property
    def size(self) -> int:
        """How many there are to be."""
        ...

    @property
    def busy(self) -> int:
        """How many are at work."""
        ...

    def resize(self, size: int) -> None:
        """Be so many, after the work in hand."""
        ...


class NodePool(Protocol):
    """Workers that come and go."""

    @property
    def size(self) -> int:
        """Workers wanted, of all classes."""
        ...

    def nodes(self) -> tuple[NodeRow, ...]:
        """The workers there are, also those that are starting or draining, by name."""
        ...

    def resize(self, target: Target) -> None:
        """Have so many of each class soon; comes back at once. At least one in all."""
        ...

    def drain(self, names: Collection[str]) -> None:
        """Let these end what they have begun and go, and have as many fewer; comes back at once.

        Names that are not there are no error: they may have gone by themselves.
        """
        ...


class LocalPool:
    """The streams of the embedded engine as a pool. They are all alike: it is always the last ones that go."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    @property
    def size(self) -> int:
        """See `NodePool.size`."""
        return self._streams.size

    def nodes(self) -> tuple[NodeRow, ...]:
        """See `NodePool.nodes`. Streams that end their last unit are not told from the others: they are soon gone."""
        busy = self._streams.busy
        return tuple(NodeRow(name=_name(at), running=int(at < busy)) for at in range(self._streams.size))

    def resize(self, target: Target) -> None:
        """See `NodePool.resize`."""
        size = total(target)
        check(size >= 1, "a pool has at least one worker")
        self._streams.resize(min(size, STREAMS_MAX))

    def drain(self, names: Collection[str]) -> None:
        """See `NodePool.drain`. One stream always stays: without any, nothing would ever end."""
        there = sum(_name(at) in names for at in range(self._streams.size))
        self._streams.resize(max(1, self._streams.size - there))


def total(target: Target) -> int:
    """Workers of all classes."""
    return sum(target.get(name, 0) for name in NODE_CLASSES)


def _name(at: int) -> str:
    return f"stream-{at + 1:03}"
