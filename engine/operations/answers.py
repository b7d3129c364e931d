"""What a caller gets, on whichever thread it waits: the result or the error, and the one when the engine has gone."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError

from engine.base.errors import Unavailable, WedSyncError
from engine.contract.operations import Result


def answer(future: Future[Result], found: Result | WedSyncError) -> None:
    """Give the answer, unless the caller has given up waiting."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(found, WedSyncError):
            future.set_exception(found)
        else:
            future.set_result(found)


def has_stopped() -> Unavailable:
    """What is said to a call that an engine will not answer any more."""
    return Unavailable("the engine has stopped", "start it again")
