"""Where each job runs: on the streams here, or on a node of the cluster. Engine loop only.

A job whose source a node can read goes to a node with a free slot. Where none is free it runs here, if its class does
not wait or there is room here; else it waits until a slot is free. Without nodes all but those whose source is theirs
alone run here, as if there were no cluster. Every operation costs O(nodes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from engine.contract.cluster import Reach
from engine.contract.weddings import JobClass
from engine.jobs.queue import FairQueue, Waiting
from engine.jobs.roster import Active, Conclusion, Idle

HERE = ""
HERE_PER_STREAM = 2  # jobs of this engine that nodes could have, while there are nodes
AT_ONCE: frozenset[JobClass] = frozenset({"same-day", "retrieval"})  # never wait for a slot


class JobRunner(Protocol):
    """Runs jobs elsewhere. Engine loop only."""

    @property
    def problem(self) -> str:
        """Why there is nowhere to run them, or not everywhere; empty when all is well."""
        ...

    def may(self, reach: Reach) -> bool:
        """Whether there is a node, busy or not, that could run such a job."""
        ...

    def pick(self, reach: Reach, busy: Mapping[str, int]) -> str:
        """The node with a free slot that suits best; empty when there is none. `busy`: slots taken of each node."""
        ...

    async def run(self, active: Active) -> Conclusion:
        """Run a job on the node `active.place` to its end.

        Raises Cancelled when it was told to stop, and when the node is gone: then the job is lined up again; else
        WedSyncError.
        """
        ...


class Places:
    """Who runs where, and who waits for a place."""

    def __init__(self, streams: Callable[[], int]) -> None:
        """`streams`: how many there are here."""
        self._streams = streams
        self._here: set[str] = set()  # jobs at work here that a node could have
        self._there: dict[str, str] = {}  # jobs at work on nodes, and on which
        self._busy: Counter[str] = Counter()  # by node
        self._waiting: dict[str, FairQueue] = {}  # by what they wait for
        self._tried: set[str] = set()  # of those, what was waited for in vain in this round
        self.runner: JobRunner | None = None

    def choose(self, idle: Idle) -> str | None:
        """The place of a job that is about to begin; None: it waits for one, and `pop` gives it when there is one."""
        job, reach = idle.job, idle.spec.reach
        if reach is None:
            return HERE
        node = self._pick(reach)
        if node:
            self._there[job.id] = node
            self._busy[node] += 1
            return node
        if not reach.only_there and (job.priority in AT_ONCE or self._has_room_here(reach)):
            self._here.add(job.id)
            return HERE
        job.message = f"waits for the node {reach.host}" if reach.host else "waits for a node"
        kind = _kind(reach)
        self._tried.add(kind)
        self._waiting.setdefault(kind, FairQueue()).push(Waiting(job.id, job.wedding_id, job.priority))
        return None

    def look_again(self) -> None:
        """A slot may be free: those that wait are tried once more."""
        self._tried.clear()

    def pop(self, blocked: Collection[JobClass]) -> str | None:
        """A job that waited for a place and would have one now, taken out of the line."""
        for kind, queue in self._waiting.items():
            if kind not in self._tried and self._is_free(kind) and (job_id := queue.pop(blocked)) is not None:
                return job_id
        return None

    def leave(self, job_id: str) -> None:
        """A job is not at work any more, or does not begin after all."""
        self._here.discard(job_id)
        node = self._there.pop(job_id, "")
        if node:
            self._busy[node] -= 1

    def remove(self, job_id: str) -> None:
        """A job does not wait any more."""
        for queue in self._waiting.values():
            queue.remove(job_id)

    def reclassify(self, job_id: str, priority: JobClass) -> None:
        """A job is of another class."""
        for queue in self._waiting.values():
            queue.reclassify(job_id, priority)

    def _pick(self, reach: Reach) -> str:
        return "" if self.runner is None else self.runner.pick(reach, self._busy)

    def _has_room_here(self, reach: Reach) -> bool:
        if self.runner is None or not self.runner.may(reach):
            return True
        return len(self._here) < HERE_PER_STREAM * self._streams()

    def _is_free(self, kind: str) -> bool:
        only_there, _, host = kind.partition(":")
        reach = Reach(host=host, only_there=bool(only_there))
        return bool(self._pick(reach)) or (not only_there and self._has_room_here(reach))


def _kind(reach: Reach) -> str:
    """What jobs that wait have in common: whether it must be a node, and which."""
    return f"{'node' if reach.only_there else ''}:{reach.host}"
