"""One operation, from any door: role, repository, handler, result. Engine loop only.

What a handler raises besides `WedSyncError` is a bug: it goes to the log whole, and to the door as one line.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
from concurrent.futures import Future, InvalidStateError

import msgspec

from engine.base.errors import NotPermitted, Unavailable, UsageError, WedSyncError
from engine.base.shapes import convert
from engine.contract.catalog import BY_ARGUMENTS, BY_NAME, OperationSpec
from engine.contract.operations import Operation, Result
from engine.operations import (
    administration,
    backups,
    browsing,
    capacity,
    copylist,
    costs,
    drills,
    forecasting,
    joblist,
    manyjobs,
    migrating,
    optimizing,
    photos,
    pruning,
    queue,
    readying,
    recalls,
    receipts,
    recovery,
    retrievals,
    scalingreport,
    scheduling,
    simulating,
    sizing,
    upkeep,
    watching,
    weddings,
)
from engine.operations.context import Caller, Engine, Handler, StreamHandler

_LOG = logging.getLogger(__name__)

HANDLERS: dict[str, Handler] = {
    **administration.HANDLERS,
    **backups.HANDLERS,
    **browsing.HANDLERS,
    **capacity.HANDLERS,
    **copylist.HANDLERS,
    **forecasting.HANDLERS,
    **costs.HANDLERS,
    **joblist.HANDLERS,
    **manyjobs.HANDLERS,
    **migrating.HANDLERS,
    **pruning.HANDLERS,
    **queue.HANDLERS,
    **recalls.HANDLERS,
    **optimizing.HANDLERS,
    **photos.HANDLERS,
    **readying.HANDLERS,
    **receipts.HANDLERS,
    **recovery.HANDLERS,
    **retrievals.HANDLERS,
    **scalingreport.HANDLERS,
    **scheduling.HANDLERS,
    **sizing.HANDLERS,
    **simulating.HANDLERS,
    **drills.HANDLERS,
    **upkeep.HANDLERS,
    **watching.HANDLERS,
    **weddings.HANDLERS,
}
STREAM_HANDLERS: dict[str, StreamHandler] = {  # of these, the same with the caller's standard input and output
    **administration.STREAM_HANDLERS,
    **backups.STREAM_HANDLERS,
    **receipts.STREAM_HANDLERS,
    **recovery.STREAM_HANDLERS,
    **retrievals.STREAM_HANDLERS,
}


def operation_from(name: str, arguments: dict[str, object]) -> Operation:
    """The arguments struct of the operation called `name`. Raises UsageError."""
    spec = BY_NAME.get(name)
    if spec is None:
        near = difflib.get_close_matches(name, BY_NAME, n=1)
        raise UsageError(f"there is no operation {name!r}", f"did you mean {near[0]}?" if near else "see the catalog")
    try:
        return convert(arguments, spec.arguments)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}") from None


async def run(engine: Engine, operation: Operation, caller: Caller) -> Result:
    """Carry out `operation` for `caller`. Raises WedSyncError only (and CancelledError)."""
    spec = BY_ARGUMENTS.get(type(operation))
    if spec is None:
        raise UsageError(f"there is no operation for {type(operation).__name__}")
    _permit(spec, caller)
    if spec.changes and engine.home.read_only and not getattr(operation, "dry_run", False):
        hint = "list, browse, verify and retrieve from it; to change anything, copy it to where it can be written"
        raise NotPermitted(f"{spec.verb} is not possible: {engine.home.read_only}", hint)
    try:
        if spec.needs_repository:
            if engine.stopping and engine.opening.repository is None:
                raise Unavailable("the engine is stopping")
            await engine.opening.needed()
            await engine.went_on.wait()  # so that every job that was accepted is there to be asked about
        if spec.name in STREAM_HANDLERS:
            return await STREAM_HANDLERS[spec.name](engine, operation, caller.streams)
        return await HANDLERS[spec.name](engine, operation)
    except WedSyncError:
        raise
    except OSError as error:
        _LOG.exception("an operation met an error of the system", extra={"operation": spec.name})
        raise WedSyncError(f"{spec.verb}: {error.strerror or error}") from error
    except Exception as error:
        _LOG.exception("an operation met a bug", extra={"operation": spec.name})
        raise WedSyncError(
            f"internal error in {spec.verb}: {error!r}", "the log in the home has the details"
        ) from error


def _permit(spec: OperationSpec, caller: Caller) -> None:
    if caller.role < spec.role:
        needed, has = spec.role.name.lower(), caller.role.name.lower()
        raise NotPermitted(f"{spec.verb} is for the role {needed}; {caller.name} has {has}")


def answer(future: Future[Result], given: Result | WedSyncError) -> None:
    """Give a caller the answer, unless it has given up waiting."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(given, WedSyncError):
            future.set_exception(given)
        else:
            future.set_result(given)


def has_stopped() -> Unavailable:
    """What a call gets that comes too late."""
    return Unavailable("the engine has stopped", "start it again")
