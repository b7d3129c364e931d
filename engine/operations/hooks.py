"""Programs that run before and after each job, off unless `hooks` in the settings names one.

A hook is a program with arguments, started without a shell, its standard streams closed to it. It is told of the job
by its environment: `WEDSYNC_JOB` (id), `WEDSYNC_KIND`, `WEDSYNC_WEDDING`, `WEDSYNC_PRIORITY`, `WEDSYNC_HOOK` (before
or after), and after a job `WEDSYNC_STATE`, `WEDSYNC_SNAPSHOT` and `WEDSYNC_MESSAGE`; of the engine's own environment
it gets `PATH`, `HOME`, `LANG`, `TZ` and `USER` alone, so no passphrase. One that fails before a job ends the job;
one that fails after it is a line in the log. Hooks run on the executor.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager

import msgspec

from engine.base.errors import NotPermitted, WedSyncError
from engine.base.units import parse_span
from engine.contract.events import EventKind
from engine.contract.settings import HookSettings
from engine.jobs.job import Job
from engine.jobs.offload import Means
from engine.jobs.roster import JobSpec, Opener, Prepared
from engine.operations.context import Engine

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME")
_SAID_BYTES_MAX = 4096
_LOG = logging.getLogger(__name__)


def with_hook(spec: JobSpec, hooks: HookSettings) -> JobSpec:
    """The job, with the program that runs before each of its attempts; as it was when there is none."""
    return msgspec.structs.replace(spec, open=_after_hook(spec.open, hooks)) if hooks.before else spec


def _after_hook(opener: Opener, hooks: HookSettings) -> Opener:
    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        run_hook(hooks.before, environment_of(job, "before"), timeout_s=parse_span(hooks.timeout))
        inner: AbstractContextManager[Prepared] = opener(job)
        with inner as prepared:
            yield prepared

    return opened


def announced(engine: Engine, means: Means, kind: EventKind, job: Job) -> None:
    """Tell what happened to a job, and run the program for it where there is one. Engine loop only."""
    engine.events.announce_job(kind, job)
    if kind == "job-ended":
        engine.forecasting.take(job)
    hooks = engine.settings.hooks
    if kind == "job-ended" and hooks.after:
        environment = environment_of(job, "after")

        async def run() -> None:
            try:
                await means.offload.run(
                    "hooks", lambda: run_hook(hooks.after, environment, timeout_s=parse_span(hooks.timeout))
                )
            except WedSyncError as error:
                _LOG.warning("%s", error.line(), extra={"job": job.id})

        means.spawn(run())


def environment_of(job: Job, which: str) -> dict[str, str]:
    """What a hook is told."""
    told = {
        "WEDSYNC_HOOK": which,
        "WEDSYNC_JOB": job.id,
        "WEDSYNC_KIND": job.kind,
        "WEDSYNC_WEDDING": job.wedding,
        "WEDSYNC_PRIORITY": job.priority,
    }
    if which == "after":
        told |= {"WEDSYNC_STATE": job.state, "WEDSYNC_SNAPSHOT": job.snapshot, "WEDSYNC_MESSAGE": job.message}
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | told


def run_hook(command: tuple[str, ...], environment: dict[str, str], *, timeout_s: float) -> None:
    """Run a program to its end; blocks. Raises NotPermitted, WedSyncError when it failed or took too long.

    It gets a session of its own, and when its time is over all of that session that still runs is killed.
    """
    if not command:
        return
    name = os.path.basename(command[0])
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise NotPermitted(f"the hook {command[0]} cannot be run: {error.strerror}", "see config get hooks") from None
    try:
        _, said = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise WedSyncError(f"the hook {name} took over {timeout_s:.0f} s", "see config get hooks.timeout") from None
    if process.returncode:
        words = " ".join(said[:_SAID_BYTES_MAX].decode("utf-8", "backslashreplace").split())
        raise WedSyncError(f"the hook {name} ended with {process.returncode}" + (f": {words}" if words else ""))
