"""recover and key paper: a lost home rebuilt from its repository, and the key in the safe that makes it possible.

Weddings are restored one after the other, those of today and to come first, then the past from the newest on: so the
couple who wait for their pictures have them whole, and each pack is read in one go. Each is a job of its own in the
journal, so a machine that stops again goes on where it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil

import msgspec

from engine.base.errors import LimitReached, NotFound, NotPermitted, UsageError, WedSyncError
from engine.base.units import format_bytes, format_count, format_time
from engine.contract import operations as ops
from engine.contract.recovery import MakePaperKey, PaperKeyMade, Recover, RecoveredWedding, Recovery
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import JobSpec
from engine.operations import recoverytimes
from engine.operations.accepting import accept, kept
from engine.operations.adopting import LOOKED_AT_MAX, adopt, warnings_of, what_is_missing
from engine.operations.browsing import with_vault
from engine.operations.context import Engine, Handler, Resumer, StreamHandler
from engine.operations.descriptors import CallerStreams
from engine.operations.newfiles import new_file
from engine.operations.queue import ended
from engine.operations.recalling import NOTHING_NEEDED, Need
from engine.operations.recalls import recall_together
from engine.operations.retrievals import destination_of, retrieval_job
from engine.pipeline.plan import Selection, plan
from engine.repository.repository import Repository
from engine.repository.vault import WeddingVault

_ANEW = (
    "settings, also warm and cold stores: config.toml is not in a repository; config get shows what is in force",
    "watches and schedules: watch, schedule add",
    "where each wedding's files lie on this machine: wedding edit NAME --source PATH",
    "jobs of the lost machine that had not ended: begin them again",
)
_ROLLBACK = "a new home cannot tell whether the repository was set back before it came: compare the newest snapshots"


async def recover(engine: Engine, operation: Recover) -> Recovery:
    """See `Recover`. Raises Conflict where this home has a repository, NotFound, WrongPassphrase, UsageError."""
    if not (operation.sources or operation.to):
        raise UsageError("nothing to recover", "give --from URL on an empty home, --to DIR to restore weddings")
    if operation.sources and operation.dry_run:
        hint = "say recover --from URL, which only opens it, then recover --to DIR --dry-run"
        raise UsageError("--from writes down where the repository lies, which is no dry run", hint)
    if operation.sources:
        await adopt(engine, operation.sources)
    repository = await engine.opening.needed()
    await engine.went_on.wait()
    anew = (*_ANEW, _ROLLBACK) if operation.sources else ()
    weddings = in_order(engine, operation.weddings)
    looked_at = weddings if operation.to else weddings[:LOOKED_AT_MAX]
    incomplete = await what_is_missing(engine, looked_at) if operation.sources or operation.dry_run else ()
    told = Recovery(
        repository=repository.id,
        url=repository.store.url,
        weddings=len(engine.facts.weddings),
        set_again=anew,
        incomplete=incomplete,
        warnings=warnings_of(engine, incomplete, left=len(weddings) - len(looked_at)),
    )
    if not operation.to:
        return told
    need = NOTHING_NEEDED
    if operation.dry_run:
        rows, need, warnings = await _planned(engine, weddings)
    else:
        rows, warnings = await _restored(engine, operation, weddings)
    bytes_restored = sum(row.bytes_restored for row in rows)
    if short := await engine.offload.run("room", lambda: _shortage(operation.to, bytes_restored)):
        warnings = [short, *warnings]
    return msgspec.structs.replace(
        told,
        restored=tuple(rows),
        bytes_restored=bytes_restored,
        bytes_fetched=sum(row.bytes_fetched for row in rows),
        eta_s=recoverytimes.eta_s(engine, bytes_restored) if operation.dry_run else None,
        recall_eta_s=need.eta_s if any(row.packs_recalled for row in rows) else None,
        cost=need.cost,
        warnings=(*told.warnings, *warnings),
    )


def in_order(engine: Engine, names: tuple[str, ...]) -> list[Wedding]:
    """Weddings as they are recovered: today's, those to come, the past from the newest on, archived ones last."""
    listed = [wedding for wedding, _ in engine.facts.listing(engine.clock.now_ns()).weddings]
    archived = [wedding for wedding in reversed(engine.facts.weddings) if wedding.archived]
    if not names:
        return listed + archived
    wanted = {engine.facts.find(name).id for name in names}
    return [wedding for wedding in listed + archived if wedding.id in wanted]


async def _planned(engine: Engine, weddings: list[Wedding]) -> tuple[list[RecoveredWedding], Need, list[str]]:
    """What each needs, and the recalls of all: packs that several files share are counted once, as they are read."""
    rows: list[RecoveredWedding] = []
    warnings: list[str] = []
    recalls = NOTHING_NEEDED
    for wedding in weddings:
        try:
            row, need, lost = await _plan_of(engine, wedding)
        except NotFound:  # checkpoints alone
            row, need, lost = _nothing_of(wedding), NOTHING_NEEDED, []
        rows.append(row)
        warnings += [f"{wedding.name}: {what}" for what in lost]
        if need.names:
            recalls = recalls.beside(need)
    return rows, recalls, warnings


async def _plan_of(engine: Engine, wedding: Wedding) -> tuple[RecoveredWedding, Need, list[str]]:
    lost: list[str] = []

    def read(vault: WeddingVault) -> tuple[RecoveredWedding, Need]:
        snapshot = vault.find_snapshot("latest")
        counts = plan(vault, snapshot, Selection(), lost)
        need = engine.tiering.needed_for(wedding, counts.pack_sizes)
        row = RecoveredWedding(
            wedding.name,
            wedding.date,
            snapshot.id,
            counts.files,
            counts.bytes_restored,
            counts.packs,
            counts.bytes_fetched,
            len(need.names),
        )
        return row, need

    nothing = _nothing_of(wedding), NOTHING_NEEDED
    return *(await with_vault(engine, wedding.name, read, nothing=lambda: nothing)), lost


async def _restored(
    engine: Engine, operation: Recover, weddings: list[Wedding]
) -> tuple[list[RecoveredWedding], list[str]]:
    """A job each, in this order; their rows, as far as they are. What has to be recalled is asked for first, of all."""
    root = await engine.offload.run("room", lambda: _made_folder(operation.to))
    repository = await engine.opening.needed()
    await engine.offload.run("recalls", lambda: recall_together(engine, weddings))
    begun: list[tuple[RecoveredWedding, Job | None]] = []
    for wedding in weddings:
        row = await engine.offload.run(wedding.id, lambda wedding=wedding: _newest(repository, wedding))  # type: ignore[misc]
        job = None
        if row.snapshot:
            one = msgspec.structs.replace(operation, sources=(), to=root, weddings=(wedding.name,))
            job = await accept(engine, recover_spec(engine, one, wedding))
            row = msgspec.structs.replace(row, job=job.id)
        begun.append((row, job))
    rows: list[RecoveredWedding] = []
    warnings: list[str] = []
    for row, job in begun:
        if job is None:
            rows.append(row)
            continue
        if operation.wait:
            await ended(engine, job)
            if job.state == "warnings":
                warnings.append(
                    f"{row.name}: {format_count(job.counts.warnings, 'warning')}; job {job.id[:12]} lists them"
                )
        rows.append(msgspec.structs.replace(row, state=job.state, code=job.code, message=job.message))
    return rows, warnings


def recover_spec(engine: Engine, operation: Recover, wedding: Wedding) -> JobSpec:
    """The job that restores one wedding, now or after a restart. Those of one folder take turns.

    Those that wait for a recall take turns of their own, so that they hold up nobody whose packs can be read.
    """
    retrieval = ops.RetrieveWeddingData(
        wedding=wedding.name,
        to=os.path.join(operation.to, wedding.name),
        overwrite=operation.overwrite,
    )
    job = retrieval_job(engine, retrieval, wedding, destination_of(retrieval))
    line = "recalled" if _has_cold_packs(engine, wedding) else "readable"
    return kept(msgspec.structs.replace(job, turn=("recover", line, operation.to)), operation)


def _has_cold_packs(engine: Engine, wedding: Wedding) -> bool:
    """Whether something of it may have to be recalled. One look into the catalog."""
    return engine.tiering.recalls.may_need(wedding.id)


def _newest(repository: Repository, wedding: Wedding) -> RecoveredWedding:
    whole = [each for each in repository.snapshots(wedding.id) if not each.body.partial]
    if not whole:
        return _nothing_of(wedding)
    newest = max(whole, key=lambda each: each.body.time_ns)
    counts = newest.body.counts
    return RecoveredWedding(wedding.name, wedding.date, newest.id, counts.files, counts.bytes_source)


def _nothing_of(wedding: Wedding) -> RecoveredWedding:
    return RecoveredWedding(wedding.name, wedding.date, "", 0, 0)


def _made_folder(path: str) -> str:
    """The folder, by its real path. Blocks. Raises NotPermitted, LimitReached."""
    path = os.path.realpath(os.path.expanduser(path))
    try:
        os.makedirs(path, exist_ok=True)
    except PermissionError:
        raise NotPermitted(f"{path} may not be made") from None
    except FileExistsError:
        raise UsageError(f"{path} is no folder", "name a folder with --to") from None
    except OSError as error:
        raise LimitReached(f"{path} cannot be made: {error.strerror}") from None
    return path


def _shortage(path: str, needed_bytes: int) -> str:
    """A warning when the disk has less room than all weddings take; what stands there already is not counted off."""
    above = os.path.realpath(os.path.expanduser(path))
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    free_bytes = shutil.disk_usage(above).free
    if needed_bytes <= free_bytes:
        return ""
    return f"all of it takes {format_bytes(needed_bytes)}, and {above} has {format_bytes(free_bytes)} free"


# --- the key in the safe ------------------------------------------------------------------------------


async def make_paper_key(engine: Engine, operation: MakePaperKey, streams: CallerStreams | None = None) -> PaperKeyMade:
    """See `MakePaperKey`. Raises UsageError without a place for the page, Conflict where a file stands."""
    if not operation.out:
        raise UsageError("nowhere to put the page", "give --out FILE, or --out - to send it to a printer")
    repository = await engine.opening.needed()
    output = (streams or CallerStreams()).output() if operation.out == "-" else None

    def make() -> PaperKeyMade:
        with contextlib.ExitStack() as undo:
            fd = output.take() if output is not None else None
            with new_file(os.path.expanduser(operation.out), fd, mode=0o600) as page:
                slot, text = repository.add_paper_slot(operation.label)
                undo.callback(_remove_quietly, repository, slot.id)  # a key that nobody has opens nothing for anybody
                page.write(_page(repository, slot.id, text, format_time(engine.clock.now_ns())).encode())
            undo.pop_all()
        return PaperKeyMade(key=slot.id, label=slot.label, kdf=slot.kdf, out=operation.out)

    made = await engine.offload.run("keys", make)
    engine.events.announce("key-changed", f"key {made.key[:8]} on paper was made")
    return made


def _remove_quietly(repository: Repository, slot: str) -> None:
    with contextlib.suppress(WedSyncError):
        repository.remove_slot(slot)


def _page(repository: Repository, slot: str, text: str, made: str) -> str:
    return _lines(
        "WEDSYNC KEY ON PAPER",
        "",
        f"    {text}",
        "",
        f"Repository  {repository.id}",
        f"Store       {repository.store.url}",
        f"Key slot    {slot}",
        f"Made        {made}",
        "",
        "On an empty machine:  wedsync-tui recover --from URL",
        "and type the key where the passphrase is asked for. Capitals, blanks and dashes do not matter; the last",
        "character of each group checks it, so a slip is told by its group. Whoever has this page and the store can",
        "read every wedding. Lock it away, not beside the machine, and delete the file it was printed from.",
        f"To make it worthless:  wedsync-tui key remove {slot[:8]}",
    )


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


HANDLERS: dict[str, Handler] = {"recover": recover, "key_paper": make_paper_key}
STREAM_HANDLERS: dict[str, StreamHandler] = {"key_paper": make_paper_key}
RESUMERS: dict[str, Resumer] = {"recover": recover_spec}
