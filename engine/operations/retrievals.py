"""retrieve: a snapshot or a part of it, to a folder, an archive, a file or standard output.

The plan and the count of conflicts are made before the job is taken on, so that who asked learns at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from engine.base.clock import SystemClock
from engine.base.entropy import Entropy
from engine.base.errors import Conflict, IntegrityError, LimitReached, NotFound, NotPermitted, Unavailable, UsageError
from engine.base.units import format_count, format_span, parse_bytes
from engine.contract import operations as ops
from engine.contract.paths import is_url
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations.accepting import kept, open_repository
from engine.operations.browsing import below, no_snapshot, with_vault
from engine.operations.context import Engine, Handler, Resumer, StreamHandler
from engine.operations.descriptors import CallerStreams, Descriptor
from engine.operations.keeping import ReadDocument
from engine.operations.outcomes import carried_out
from engine.operations.recalling import Need, Recalls
from engine.operations.rows import path_bytes
from engine.pipeline.plan import Selection, is_at_or_below, pack_sizes, plan, selected
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.archive import TarTarget, ZipTarget
from engine.pipeline.targets.bucket import BucketTarget
from engine.pipeline.targets.files import put
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.targets.stream import StreamTarget
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.entry import FILE, FOLDER, path_text
from engine.repository.manifest import telling
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

if TYPE_CHECKING:
    from engine.storage.stores.objects import Bucket

STANDARD_OUTPUT = "-"


class Destination(msgspec.Struct, frozen=True):
    """Where a retrieval goes: checked, nothing opened yet."""

    path: bytes  # absolute, or the URL of a bucket; empty: standard output
    format: str
    strip_prefix: bytes
    overwrite: Overwrite
    output: Descriptor | None = None  # the caller's, where there is no path

    @property
    def url(self) -> str:
        """The URL of the bucket; empty for a path."""
        path = os.fsdecode(self.path)
        return path if is_url(path) else ""


async def retrieve(
    engine: Engine, operation: ops.RetrieveWeddingData, streams: CallerStreams | None = None
) -> ops.Result:
    """See `ops.RetrieveWeddingData`. Raises Conflict when files stand there and nobody said what to do."""
    wedding = engine.facts.find(operation.wedding)
    named = destination_of(operation)
    destination = await engine.offload.run(wedding.id, lambda: resolved(named))
    selection = Selection(
        paths=tuple(path_bytes(path) for path in operation.paths), strip_prefix=destination.strip_prefix
    )

    def planned(vault: WeddingVault) -> tuple[Snapshot, ops.RetrievalPlan]:
        snapshot = vault.find_snapshot(operation.snapshot)
        refuse_nothing(vault, snapshot, selection)
        conflicts = conflicts_at(vault, snapshot, selection, destination)
        if operation.dry_run:
            lost: list[str] = []
            counts = plan(vault, snapshot, selection, lost)
            need = engine.tiering.needed_for(wedding, counts.pack_sizes)
            return snapshot, ops.RetrievalPlan(
                snapshot=snapshot.id,
                files=counts.files,
                bytes_restored=counts.bytes_restored,
                packs=counts.packs,
                bytes_fetched=counts.bytes_fetched,
                eta_s=need.eta_s if need.names else None,
                conflicts=conflicts,
                packs_recalled=len(need.names),
                recall=need.speed,
                cost=need.cost,
                warnings=(*vault.damaged_snapshots(operation.snapshot), *lost, *late(need)),
            )
        if conflicts and operation.overwrite == "ask":
            raise conflict(destination, conflicts)
        return snapshot, ops.RetrievalPlan(
            snapshot=snapshot.id,
            files=0,
            bytes_restored=0,
            packs=0,
            bytes_fetched=0,
            eta_s=None,
            conflicts=conflicts,
            warnings=vault.damaged_snapshots(operation.snapshot),
        )

    snapshot, answer = await with_vault(engine, operation.wedding, planned, nothing=no_snapshot)
    if operation.dry_run:
        return answer
    pinned = msgspec.structs.replace(operation, snapshot=snapshot.id)
    if destination.path:
        pinned = msgspec.structs.replace(pinned, to=os.fsdecode(destination.path))
        spec = retrieve_spec(engine, pinned, wedding)
    else:  # what went out of a stream cannot be sent again, so the journal does not run it again either
        output = (streams or CallerStreams()).output()
        spec = retrieval_job(engine, pinned, wedding, replace(destination, output=output))
    await engine.opening.needed()
    result = await carried_out(engine, spec, wait=operation.wait)
    return ops.JobResult(job=result.job, warnings=(*answer.warnings, *result.warnings))


def retrieve_spec(engine: Engine, operation: ops.RetrieveWeddingData, wedding: Wedding) -> JobSpec:
    """The job that `operation` asks for, now or after a restart: to a path, of one snapshot by its id.

    Files that an earlier attempt has placed are whole, so they are left as `overwrite` says.
    """
    return kept(retrieval_job(engine, operation, wedding, destination_of(operation)), operation)


def retrieval_job(
    engine: Engine, operation: ops.RetrieveWeddingData, wedding: Wedding, destination: Destination
) -> JobSpec:
    """The job that restores to `destination`, as it is not yet kept in the journal."""
    selection = Selection(
        paths=tuple(path_bytes(path) for path in operation.paths), strip_prefix=destination.strip_prefix
    )

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        with engine.tiering.readers.reading(job.wedding_id), open_repository(engine).vault(job.wedding_id) as vault:
            snapshot = vault.find_snapshot(operation.snapshot)
            job.snapshot = snapshot.id
            with opened_target(destination, engine.entropy) as target:
                readable = recalled(engine, job, wedding, pack_sizes_of=lambda: pack_sizes(vault, snapshot, selection))
                run = RestoreRun(vault, snapshot, selection, target, readable)
                run.read_ahead_bytes = parse_bytes(engine.settings.engine.read_ahead)
                with engine.tiering.waking(run):
                    yield _prepared(engine, job, run, target)

    parts = [os.fsdecode(part) for part in destination.path.split(b"/") if part]
    turn = ("retrieve", *parts) if destination.path else ()
    return JobSpec("retrieve", wedding, "retrieval", True, opened, turn=turn)


def late(need: Need) -> tuple[str, ...]:
    """A sentence where even the fastest recall takes longer than the settings ask for."""
    if need.meets_objective or need.eta_s is None or not need.names:
        return ()
    return (f"the fastest recall takes up to {format_span(need.eta_s)}, longer than recall_objective asks for",)


def recalled(
    engine: Engine, job: Job, wedding: Wedding, *, pack_sizes_of: Callable[[], dict[str, int]]
) -> Recalls | None:
    """Ask for the packs that have to be recalled; what tells when each has come. None: all can be read now. Blocks."""
    recalls = engine.tiering.recalls
    if not recalls.may_need(job.wedding_id):
        return None
    need = recalls.needed(job.wedding_id, pack_sizes_of())
    if not need.names:
        return None
    job.was_held_up = True  # how long it takes is the store's affair
    recalls.begin(wedding.name, need)
    return recalls


def _prepared(engine: Engine, job: Job, run: RestoreRun, target: RestoreTarget) -> Prepared:
    def conclude() -> Conclusion:
        run.done.result()
        engine.kept.reads.put(job.wedding_id, ReadDocument(engine.clock.now_ns()))
        return Conclusion(snapshot=job.snapshot, warnings=len(target.warnings))

    return Prepared(run, conclude)


HANDLERS: dict[str, Handler] = {"retrieve_wedding_data": retrieve}
RESUMERS: dict[str, Resumer] = {"retrieve_wedding_data": retrieve_spec}
STREAM_HANDLERS: dict[str, StreamHandler] = {"retrieve_wedding_data": retrieve}


# --- where it goes ------------------------------------------------------------------------------------


def destination_of(operation: ops.RetrieveWeddingData) -> Destination:
    """Check where a retrieval shall go. Raises UsageError."""
    if not operation.to:
        raise UsageError("nowhere to retrieve to", "give --to DIR")
    if "" in operation.paths:  # as an unset variable of a shell gives it; it does not mean everything
        raise UsageError("an empty path is nothing to retrieve", "give --path PATH, or leave it out for everything")
    if operation.to == STANDARD_OUTPUT and operation.format == "folder":
        raise UsageError("a folder cannot go to standard output", "give --as tar, --as zip or --as file")
    if operation.format == "file" and len(operation.paths) != 1:
        raise UsageError("--as file gives the bytes of one file", "name it with --path")
    path = b""
    if is_url(operation.to):
        if operation.format != "folder":
            raise UsageError(f"--as {operation.format} does not go to a bucket", "retrieve to a file, and upload that")
        path = os.fsencode(operation.to)
    elif operation.to != STANDARD_OUTPUT:
        path = os.path.abspath(os.path.expanduser(os.fsencode(operation.to)))
    return Destination(path, operation.format, path_bytes(operation.strip_prefix), operation.overwrite)


def resolved(destination: Destination) -> Destination:
    """The same place by its real path, so that it is known as one however it is named. Blocks."""
    path = destination.path
    if destination.url:
        return destination
    if not path or destination.format == "folder":
        return replace(destination, path=os.path.realpath(path) if path else b"")
    folder, name = os.path.split(path)
    return replace(destination, path=os.path.join(os.path.realpath(folder), name))


@contextlib.contextmanager
def opened_target(destination: Destination, entropy: Entropy) -> Iterator[RestoreTarget]:
    """The target, opened. When an exception leaves the block, nothing half-done stays behind. Blocks."""
    if destination.url:
        bucket, prefix = _bucket(destination.url)
        objects = BucketTarget(bucket, prefix, strip_prefix=destination.strip_prefix, overwrite=destination.overwrite)
        with contextlib.closing(objects):
            yield objects
    elif destination.format in ("tar", "zip"):
        with _opened_archive(destination, entropy) as archive:
            yield archive
    elif destination.format == "file":
        with opened_output(destination, entropy) as output, contextlib.closing(StreamTarget(output.fileno())) as stream:
            yield stream
    else:
        folder = FolderTarget(
            destination.path,
            entropy=entropy,
            strip_prefix=destination.strip_prefix,
            overwrite=destination.overwrite,
        )
        with contextlib.closing(folder):
            yield folder


@contextlib.contextmanager
def _opened_archive(destination: Destination, entropy: Entropy) -> Iterator[RestoreTarget]:
    """An archive; one that is whole but for what is damaged stays, for it may hold the only copy of all the rest."""
    damage: IntegrityError | None = None
    with opened_output(destination, entropy) as output:
        archive: TarTarget | ZipTarget
        if destination.format == "tar":
            archive = TarTarget(output, strip_prefix=destination.strip_prefix)
        else:
            archive = ZipTarget(output, strip_prefix=destination.strip_prefix)
        with contextlib.closing(archive):
            try:
                yield archive
            except IntegrityError as error:
                if not archive.is_whole:
                    raise
                damage = error
    if damage is not None:
        raise damage


@contextlib.contextmanager
def opened_output(destination: Destination, entropy: Entropy) -> Iterator[IO[bytes]]:
    """A file to write one stream to, which gets its name only when the block ends well. Blocks.

    Standard output, and what stands there and is no regular file (a FIFO, a device), is written directly.
    """
    path = destination.path
    with as_own_errors(path):
        if not path or _is_special(path):
            with os.fdopen(destination.output.take() if destination.output else _open_special(path), "wb") as output:
                yield output
            return
        folder, name = os.path.split(path)
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # this one, whatever stands there later
        partial = b"." + name[:200] + b"." + entropy.token(4).hex().encode() + b".part"
        try:
            fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=at)
            with os.fdopen(fd, "wb") as output:
                yield output
                output.flush()
                os.fsync(output.fileno())
            put(at, partial, name, replace=destination.overwrite not in ("never", "ask"))
            os.fsync(at)  # so that the name is as durable as the bytes
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=at)
            os.close(at)


@contextlib.contextmanager
def as_own_errors(path: bytes) -> Iterator[None]:
    """Turn the system's errors about the file at `path` into ours."""
    shown = os.fsdecode(path) or "standard output"
    try:
        yield
    except OSError as error:
        what = f"{shown}: {error.strerror or error}"
        if isinstance(error, FileExistsError):
            raise Conflict(what, "say --overwrite always, or choose another name") from None
        if isinstance(error, NotADirectoryError | IsADirectoryError):
            raise NotFound(what, "choose another place") from None
        if isinstance(error, FileNotFoundError):
            raise NotFound(what, "make the folder first") from None
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise NotPermitted(what) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LimitReached(what, "make room there, or choose another place") from None
        raise Unavailable(what) from None


def _open_special(path: bytes) -> int:
    """A descriptor to write what is no regular file; one that took its place meanwhile is not written over."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileExistsError(errno.EEXIST, "a file was put in its place")
    return fd


def _is_special(path: bytes) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise UsageError(f"{os.fsdecode(path)} is a folder", "name the file to write")
    return not stat.S_ISREG(mode)


# --- what stands there already ------------------------------------------------------------------------


def conflicts_at(vault: WeddingVault, snapshot: Snapshot, selection: Selection, destination: Destination) -> int:
    """How many files and links of the selection stand at the destination already. Blocks.

    What cannot be read of the manifest will not be restored either, as the job tells. Only counts; that nothing
    outside is touched, and nothing replaced that came later, is the target's work.
    """
    if not destination.path:
        return 0
    if destination.url:
        return _conflicts_in_bucket(vault, snapshot, selection, destination)
    with as_own_errors(destination.path):
        if destination.format != "folder":
            os.stat(os.path.dirname(destination.path))
            return int(not _is_special(destination.path) and os.path.lexists(destination.path))
        try:
            with os.scandir(destination.path) as inside:
                if next(inside, None) is None:
                    return 0
        except FileNotFoundError:
            return 0
    count = 0
    prefix = destination.strip_prefix
    for entry in selected(vault, snapshot, selection, damaged=telling([])):
        if entry.kind != FOLDER and is_at_or_below(entry.path, prefix):
            path = entry.path[len(prefix) :].lstrip(b"/") if prefix else entry.path
            count += os.path.lexists(os.path.join(destination.path, path or os.path.basename(prefix)))
    return count


def _conflicts_in_bucket(
    vault: WeddingVault, snapshot: Snapshot, selection: Selection, destination: Destination
) -> int:
    bucket, prefix = _bucket(destination.url)
    standing = bucket.sizes(prefix)
    if not standing:
        return 0
    strip = destination.strip_prefix
    count = 0
    for entry in selected(vault, snapshot, selection, damaged=telling([])):
        if entry.kind == FILE and is_at_or_below(entry.path, strip):
            path = entry.path[len(strip) :].lstrip(b"/") if strip else entry.path
            count += "/".join(filter(None, (prefix, path.decode("utf-8", "replace")))) in standing
    return count


def _bucket(url: str) -> tuple[Bucket, str]:
    from engine.storage.stores.buckets import open_objects  # its library is loaded only where it is needed

    return open_objects(url, SystemClock())


def conflict(destination: Destination, count: int) -> Conflict:
    """What is said when files stand there and nobody said what to do."""
    where = os.fsdecode(destination.path)
    if destination.format != "folder":
        return Conflict(f"{where} stands already", "say --overwrite always, or choose another name")
    verb = "stands" if count == 1 else "stand"
    return Conflict(
        f"{format_count(count, 'file')} {verb} in {where} already",
        "say --overwrite never (keep them), changed (replace those that differ) or always",
    )


def refuse_nothing(vault: WeddingVault, snapshot: Snapshot, selection: Selection) -> None:
    """Raise NotFound for a selected path, or a prefix to leave off, that is not in the snapshot. Blocks.

    Raises IntegrityError when a selected path cannot be found because a part of the manifest cannot be read.
    """
    prefix = selection.strip_prefix
    for path in (*selection.paths, prefix) if prefix else selection.paths:
        lost: list[str] = []
        if next(below(vault, snapshot, path, recursive=False, damaged=telling(lost)), None) is not None:
            continue
        if lost and path != prefix:
            raise IntegrityError(lost[0], "an older snapshot may still have it: find shows which")
        if not lost:
            raise NotFound(f"{path_text(path)} is not in snapshot {snapshot.id[:8]}", "browse or find shows what is")
    near = (is_at_or_below(path, prefix) or is_at_or_below(prefix, path) for path in selection.paths)
    if selection.paths and not any(near):
        raise UsageError("nothing that is named by --path lies below --strip-prefix", "leave one of them out")
