"""`EngineHandle`: all that a door (palette, script, command line, HTTP) ever holds of the engine."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from engine.contract.events import EventBatch
from engine.contract.operations import Operation, Result
from engine.contract.status import Status


class EngineHandle(Protocol):
    """An engine, embedded or behind a socket. Every method may be called from any thread and never blocks.

    An engine opens its repository in the background: `call` of an operation that needs it waits for that, and
    carries what went wrong (NotFound: there is none yet; WrongPassphrase; …). When an engine stops, by `close`
    or by the operation `shutdown`, there is one event `engine-stopping`, `status().status` becomes `draining`,
    and `stopped` when it has let go of everything; from then on `call` gives Unavailable.
    """

    def status(self) -> Status:
        """The newest status document."""
        ...

    def call(self, operation: Operation) -> Future[Result]:
        """Run one operation. The future carries its result or a `WedSyncError`; cancelling it cancels the wait."""
        ...

    def events(self, after_seq: int) -> EventBatch:
        """What happened after `after_seq` (0: all that is kept)."""
        ...

    def close(self, *, drain_s: float) -> Future[None]:
        """Let go. An embedded engine stops: jobs get `drain_s` seconds to end, then are checkpointed.

        An engine in another process goes on; only this handle ends. To stop it there is the operation `shutdown`.
        """
        ...

    def leave(self, *, to_jobs: bool) -> Future[bool]:
        """Leave the engine to the other processes that are attached to it. Whether it goes on in this process.

        An embedded engine stops by itself once nobody is attached and no job runs or waits; at once, if nobody is
        attached now. With `to_jobs` it goes on for its jobs alone. An engine in another process goes on in any case;
        only this handle ends.
        """
        ...
