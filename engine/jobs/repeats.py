"""Jobs that ask for the very same thing take turns: what was interrupted is not done twice side by side.

After an interruption the journal goes on with a job, and the person repeats the command. Were both at work at once,
each would read and store what is left; one after the other, the second finds it done. Engine loop only.
"""

from __future__ import annotations

from collections import deque

from engine.jobs.roster import Idle

_Request = tuple[str, str, str]  # wedding id, operation, arguments


class Repeats:
    """Who is the first to ask for something, and who waits behind it."""

    def __init__(self) -> None:
        self._first: dict[_Request, str] = {}  # job ids
        self._behind: dict[_Request, deque[Idle]] = {}

    def may_line_up(self, idle: Idle) -> bool:
        """Whether a job may begin now. Else it is remembered, and `left` of the one before it gives it back."""
        request = _request_of(idle)
        if request is None or self._first.setdefault(request, idle.job.id) == idle.job.id:
            return True
        self._behind.setdefault(request, deque()).append(idle)
        return False

    def left(self, idle: Idle) -> list[Idle]:
        """A job ended or is paused: those that waited behind it, in order; they are to line up again."""
        request = _request_of(idle)
        if request is None or self._first.get(request) != idle.job.id:
            return []
        del self._first[request]
        return list(self._behind.pop(request, ()))


def _request_of(idle: Idle) -> _Request | None:
    if not idle.spec.takes_turns:
        return None
    return idle.job.wedding_id, idle.spec.operation, idle.spec.arguments
