"""backup and store: from a request to a job. What blocks runs on the executor, the runs on the streams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator

import msgspec

from engine.base.errors import NotFound, NotPermitted, UsageError
from engine.contract import operations as ops
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.priority import class_of
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations.accepting import accept, kept, open_repository
from engine.operations.browsing import with_vault
from engine.operations.context import Engine, Handler, Resumer, StreamHandler
from engine.operations.descriptors import CallerStreams
from engine.operations.facts import Recovery
from engine.operations.origins import checked_urls, opened_origins, paths_of
from engine.operations.outcomes import carried_out
from engine.operations.queue import ended
from engine.operations.reaching import check_on_nodes, on_nodes, reach_of
from engine.operations.rows import path_bytes
from engine.pipeline.backup import BackupOutcome, BackupRequest, BackupRun
from engine.pipeline.committed import CommittedRun
from engine.pipeline.estimate import Estimate, estimate
from engine.pipeline.parents import Selection
from engine.pipeline.pool import Run
from engine.repository.reach import require_whole
from engine.repository.vault import WeddingVault

_TAG_CHARS_MAX = 100
_TAGS_MAX = 32


async def start_backup(engine: Engine, operation: ops.StartBackup) -> ops.Result:
    """See `ops.StartBackup`. Raises NotFound for a source that is not there."""
    wedding = engine.facts.find(operation.wedding)
    tags = checked_tags(operation.tags)
    named = operation.sources or tuple(map(os.fsdecode, engine.kept.sources_of(wedding.id)))
    sources = await engine.offload.run(wedding.id, lambda: checked_sources(named))
    if on_nodes(tuple(map(os.fsdecode, sources))):
        check_on_nodes(engine, dry_run=operation.dry_run)
    if operation.dry_run:
        absolute = msgspec.structs.replace(operation, sources=tuple(map(os.fsdecode, sources)))
        counts = await with_vault(engine, operation.wedding, lambda vault: _estimated(engine, absolute, vault))
        return ops.BackupEstimate(
            files=counts.files,
            files_new=counts.files_new,
            files_changed=counts.files_changed,
            files_unchanged=counts.files_unchanged,
            files_gone=counts.files_gone,
            bytes_source=counts.bytes_source,
            bytes_to_read=counts.bytes_to_read,
            warnings=counts.warnings,
        )
    await engine.opening.needed()
    absolute = msgspec.structs.replace(operation, sources=tuple(map(os.fsdecode, sources)), tags=tags)
    return await carried_out(engine, backup_spec(engine, absolute, wedding), wait=operation.wait)


def backup_spec(
    engine: Engine, operation: ops.StartBackup, wedding: Wedding, changed: tuple[bytes, ...] = ()
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart. Its sources are absolute.

    `changed` is what a watch says has changed; it counts for the first attempt only, later ones look at everything.
    """

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        assert job.priority != "retrieval"
        with opened_origins(operation.sources, engine.clock) as origins:
            request = BackupRequest(
                job_id=job.id,
                sources=paths_of(origins) or tuple(map(os.fsencode, operation.sources)),
                tags=operation.tags,
                priority=job.priority,
                host=os.uname().nodename,
                exclude=operation.exclude,
                one_file_system=operation.one_file_system,
                origins=origins,
                own=engine.home.restless(engine.clock.now_ns()),
                changed=changed if job.attempts == 1 else (),
            )
            with _backup_run(engine, job, request) as prepared:
                yield prepared

    priority = operation.priority or class_of(wedding, engine.clock.now_ns())
    # A change that a watch tells of is saved at once, also beside a long backup of the whole.
    turn = () if changed else ("backup", wedding.id, "\0".join(operation.sources))
    reach = None if changed else reach_of(engine, operation, wedding)
    given = operation.priority is not None
    return kept(JobSpec("backup", wedding, priority, given, opened, turn=turn, reach=reach), operation)


def _estimated(engine: Engine, operation: ops.StartBackup, vault: WeddingVault) -> Estimate:
    with opened_origins(operation.sources, engine.clock) as origins:
        paths = paths_of(origins) or tuple(map(os.fsencode, operation.sources))
        own = engine.home.restless(engine.clock.now_ns())
        what = Selection(paths, operation.exclude, operation.one_file_system, origins, own)
        return estimate(vault, what, engine.clock)


async def store_wedding_data(
    engine: Engine, operation: ops.StoreWeddingData, streams: CallerStreams | None = None
) -> ops.Result:
    """See `ops.StoreWeddingData`. Comes back when the stream is stored.

    A caller who goes away stops the job that reads from it: what feeds it may have been cut short with the caller.
    """
    wedding = engine.facts.find(operation.wedding)
    tags = checked_tags(operation.tags)
    name = path_bytes(operation.name)
    if not name or len(name) > 4095 or b"\0" in name or any(len(part) > 255 for part in name.split(b"/")):
        raise UsageError(f"{operation.name!r} cannot be the path of a file", "write it like speeches/father.wav")
    await engine.opening.needed()
    await engine.offload.run(wedding.id, lambda: check_input(operation.file))
    given = (streams or CallerStreams()).input() if operation.file == "-" else None

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        assert job.priority != "retrieval"
        fd = given.take() if given else open_input(operation.file)
        try:
            request = BackupRequest(
                job_id=job.id,
                sources=(),
                tags=tags,
                priority=job.priority,
                host=os.uname().nodename,
                stream=(name, fd),
            )
            with _backup_run(engine, job, request) as prepared:
                yield prepared
        finally:
            os.close(fd)

    priority = class_of(wedding, engine.clock.now_ns())
    job = await accept(engine, JobSpec("store", wedding, priority, False, opened))
    try:
        return await ended(engine, job)
    except asyncio.CancelledError:
        if given is not None and not job.ended:
            engine.dispatcher.cancel(job)
        raise


HANDLERS: dict[str, Handler] = {"start_backup": start_backup, "store_wedding_data": store_wedding_data}
STREAM_HANDLERS: dict[str, StreamHandler] = {"store_wedding_data": store_wedding_data}
RESUMERS: dict[str, Resumer] = {"start_backup": backup_spec}


@contextlib.contextmanager
def _backup_run(engine: Engine, job: Job, request: BackupRequest) -> Iterator[Prepared]:
    with open_repository(engine).vault(job.wedding_id) as vault:
        committed = vault.committed(job.id) if job.attempts > 1 or job.was_held_up else None
        if committed is not None:
            require_whole(vault, committed)  # it did not live to see that itself
        run: Run[BackupOutcome] = (
            CommittedRun(committed)
            if committed is not None
            else BackupRun(vault, request, clock=engine.clock, entropy=engine.entropy, settings=engine.settings.engine)
        )

        def conclude() -> Conclusion:
            committed = run.done.result().snapshot
            counts = committed.body.counts
            engine.facts.committed(job.wedding_id, Recovery(committed.body.time_ns, counts.bytes_source))
            return Conclusion(snapshot=committed.id, warnings=counts.warnings)

        yield Prepared(run, conclude)


# --- what a person wrote, checked ---------------------------------------------------------------------


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags, each once. Raises UsageError."""
    if len(tags) > _TAGS_MAX or any(not tag or len(tag) > _TAG_CHARS_MAX or not tag.isprintable() for tag in tags):
        raise UsageError(f"a tag is up to {_TAG_CHARS_MAX} printable characters, and a snapshot has up to {_TAGS_MAX}")
    return tuple(dict.fromkeys(tags))


def checked_sources(sources: tuple[str, ...]) -> tuple[bytes, ...]:
    """Absolute paths, or URLs of buckets, of what to back up, each once, sorted. Blocks.

    One path inside another stays: it counts also where the outer one leaves it out. Raises UsageError, NotFound,
    NotPermitted.
    """
    if not sources:
        raise UsageError("nothing to back up", "give --from PATH, or name the wedding's sources with wedding edit")
    found: list[bytes] = []
    urls = checked_urls(sources) or on_nodes(sources)
    for source in () if urls else sources:
        if not source:  # as an unset variable of a shell gives it; it does not mean the working folder
            raise UsageError("an empty path is nothing to back up", "give --from PATH")
        path = os.path.abspath(os.path.expanduser(os.fsencode(source)))
        try:
            os.lstat(path)
        except PermissionError:
            raise NotPermitted(f"{source} may not be read") from None
        except OSError as error:
            raise NotFound(f"{source}: {error.strerror}", "give --from a file or folder that is there") from None
        found.append(path)
    return tuple(sorted({*found, *urls}))


def is_inside(path: bytes, folder: bytes) -> bool:
    """Whether the absolute `path` lies below `folder`."""
    return path != folder and path.startswith(folder.rstrip(b"/") + b"/")


def check_input(file: str) -> None:
    """Refuse what cannot be read as a stream. Blocks. Raises NotFound, NotPermitted, UsageError."""
    if file == "-":
        return
    path = os.path.expanduser(os.fsencode(file))
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{file} is a folder", "use backup for folders")
    if not os.access(path, os.R_OK):
        raise NotPermitted(f"{file} may not be read")


def open_input(file: str) -> int:
    """A descriptor to read `file` from. A FIFO need not have a writer yet."""
    check_input(file)
    try:
        fd = os.open(os.path.expanduser(os.fsencode(file)), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(fd, True)
        return fd
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from None
