"""From a job that a handler describes to one that is accepted: hooks around it, and durable before it is told.

A job begins at once, while the journal makes its acceptance durable; it is acknowledged when both that is done.
Should the engine die in between, nobody was told, and the snapshot that may have come of it harms nobody.
"""

from __future__ import annotations

import msgspec

from engine.base.errors import Unavailable
from engine.contract import operations as ops
from engine.contract.catalog import BY_ARGUMENTS
from engine.jobs.job import Job
from engine.jobs.records import arguments_text
from engine.jobs.roster import JobSpec
from engine.operations.context import Engine
from engine.operations.hooks import with_hook
from engine.repository.repository import Repository


async def accept(engine: Engine, spec: JobSpec) -> Job:
    """Take a job on; comes back when that is durable. Raises LimitReached, Unavailable, NotPermitted."""
    job = engine.dispatcher.accept(with_hook(spec, engine.settings.hooks))
    await engine.dispatcher.accepted(job)
    return job


def kept(spec: JobSpec, operation: ops.Operation) -> JobSpec:
    """The job, such that the journal can run it again: as `operation`, which names everything from the root on.

    Raises UsageError when the arguments are too long to be kept.
    """
    again = msgspec.structs.replace(operation, wait=False) if hasattr(operation, "wait") else operation
    name = BY_ARGUMENTS[type(operation)].name
    return msgspec.structs.replace(spec, operation=name, arguments=arguments_text(again))


def open_repository(engine: Engine) -> Repository:
    """The repository, for a job that is being opened. Raises Unavailable when it is not open (any more)."""
    repository = engine.opening.repository
    if repository is None:
        raise Unavailable("the repository is not open")
    return repository
