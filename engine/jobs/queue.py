"""Which job that waits begins next. Pure and deterministic; engine loop only.

The classes take turns, and within a class the weddings do, so a wedding with a thousand jobs holds nobody
up; the jobs of one wedding keep their order. Every operation costs O(1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator

import msgspec

from engine.base.invariants import check
from engine.contract.weddings import JOB_CLASSES, JobClass

_Line = OrderedDict[str, None]  # job ids in order of arrival


class Waiting(msgspec.Struct, frozen=True):
    """A job that waits: its id, its wedding's id, its class."""

    job_id: str
    wedding_id: str
    priority: JobClass


class FairQueue:
    """Jobs that wait."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._turns: dict[JobClass, OrderedDict[str, _Line]] = {name: OrderedDict() for name in JOB_CLASSES}
        self._classes: list[JobClass] = list(JOB_CLASSES)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._waiting

    def __iter__(self) -> Iterator[str]:
        """Ids in order of arrival."""
        return iter(self._waiting)

    def push(self, waiting: Waiting) -> None:
        """Put a job at the end of its wedding's line."""
        check(waiting.job_id not in self._waiting, "a job waits once")
        self._waiting[waiting.job_id] = waiting
        self._turns[waiting.priority].setdefault(waiting.wedding_id, OrderedDict())[waiting.job_id] = None

    def pop(self, blocked: Collection[JobClass] = ()) -> str | None:
        """The job whose turn it is, taken out; None when none waits but in the `blocked` classes."""
        for position, name in enumerate(self._classes):
            turns = self._turns[name]
            if not turns or name in blocked:
                continue
            wedding_id, line = next(iter(turns.items()))
            job_id = next(iter(line))
            self.remove(job_id)
            if wedding_id in turns:
                turns.move_to_end(wedding_id)
            self._classes.append(self._classes.pop(position))
            return job_id
        return None

    def remove(self, job_id: str) -> bool:
        """Take a job out of the queue. False when it does not wait."""
        waiting = self._waiting.pop(job_id, None)
        if waiting is None:
            return False
        turns = self._turns[waiting.priority]
        line = turns[waiting.wedding_id]
        del line[job_id]
        if not line:
            del turns[waiting.wedding_id]
        return True

    def reclassify(self, job_id: str, priority: JobClass) -> None:
        """Give a job that waits another class; it goes to the end of its wedding's line there."""
        waiting = self._waiting.get(job_id)
        if waiting is None or waiting.priority == priority:
            return
        self.remove(job_id)
        self.push(Waiting(job_id, waiting.wedding_id, priority))

    def validate(self) -> None:
        """Check the whole structure (tests call it after every step)."""
        lines = [
            (name, wedding_id, job_id)
            for name, turns in self._turns.items()
            for wedding_id, line in turns.items()
            for job_id in line
        ]
        check(len(lines) == len(self._waiting), "every job that waits stands in one line")
        check(all(line for turns in self._turns.values() for line in turns.values()), "no line is empty")
        check(
            all(self._waiting[job_id] == Waiting(job_id, wedding_id, name) for name, wedding_id, job_id in lines),
            "a job stands in the line of its class and wedding",
        )
        check(sorted(self._classes) == sorted(JOB_CLASSES), "every class has its turn")
