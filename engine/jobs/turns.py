"""Jobs that would work on the same thing take turns: nothing is written or read by two of them side by side.

After an interruption the journal goes on with a job, and the person repeats the command. Were both at work at once,
two retrievals would meet in every file of the target, and two backups would each read and store what is left; one
after the other, the second finds it done. Engine loop only.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.jobs.roster import Idle, Turn


class Turns:
    """Who is at work on what, and who waits behind whom. Looking up costs O(length of a turn)."""

    def __init__(self) -> None:
        self._at: dict[Turn, str] = {}  # job ids
        self._within: dict[Turn, dict[str, None]] = {}  # of each beginning of a turn that is taken
        self._behind: dict[str, dict[str, Idle]] = {}  # job at work → those that wait for it
        self._waits_for: dict[str, str] = {}  # the same, the other way round

    def take(self, idle: Idle) -> str:
        """Give the turn to a job that is about to begin: "". Else it waits behind the job whose id this returns."""
        turn = idle.spec.turn
        if not turn:
            return ""
        beginnings = [turn[:length] for length in range(1, len(turn) + 1)]
        above = (self._at[beginning] for beginning in beginnings if beginning in self._at)
        in_the_way = next(above, "") or next(iter(self._within.get(turn, ())), "")
        if in_the_way:
            self._behind.setdefault(in_the_way, {})[idle.job.id] = idle
            self._waits_for[idle.job.id] = in_the_way
            return in_the_way
        self._at[turn] = idle.job.id
        for beginning in beginnings:
            self._within.setdefault(beginning, {})[idle.job.id] = None
        return ""

    def leave(self, job_id: str, turn: Turn) -> list[Idle]:
        """A job is not at work any more: those that waited behind it, in order; they are to line up again."""
        if self._at.get(turn) != job_id:
            return []
        del self._at[turn]
        for length in range(1, len(turn) + 1):
            jobs = self._within[turn[:length]]
            del jobs[job_id]
            if not jobs:
                del self._within[turn[:length]]
        behind = self._behind.pop(job_id, {})
        for waiting in behind:
            del self._waits_for[waiting]
        return list(behind.values())

    def in_the_way(self, job_id: str) -> str:
        """The job at work that this one waits for, or did until it was stopped; empty: none."""
        return self._waits_for.get(job_id, "")

    def behind(self, job_id: str) -> Iterable[Idle]:
        """Those that wait for a job at work, and others that did and have been stopped since."""
        return self._behind.get(job_id, {}).values()
