"""The operations as data: one struct of arguments and one of results each. The catalog lists them.

An argument's words come from its `Meta`: `title` is the placeholder in help, `description` the help text, its `extra`
holds `positional`, `flag` where that is not the name, and `path` for a file of the caller's machine (`contract.paths`).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec

from engine.contract.rows import DiffRow as DiffRow
from engine.contract.rows import EntryRow as EntryRow
from engine.contract.rows import KeySlotRow as KeySlotRow
from engine.contract.rows import SettingRow as SettingRow
from engine.contract.rows import SnapshotSummary as SnapshotSummary
from engine.contract.rows import WeddingSummary as WeddingSummary
from engine.contract.status import JobKind, JobRow, JobState, Status
from engine.contract.weddings import PriorityClass, Wedding


def _words(text: str, *, title: str = "", positional: bool = False, flag: str = "", path: bool = False) -> Any:
    """How an argument shows itself at the doors."""
    extra: dict[str, object] = {"positional": positional, "path": path}
    if flag:
        extra["flag"] = flag
    return msgspec.Meta(title=title or None, description=text, extra=extra)


class Operation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Arguments of one operation. Each subclass is one row of the catalog."""


class Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an operation gave back. `warnings` make exit code 3."""

    warnings: tuple[str, ...] = ()


WeddingName = Annotated[str, _words("the wedding, by its name", title="WEDDING", positional=True)]
SnapshotName = Annotated[str, _words("the snapshot: latest, an id, or its first digits", title="SNAPSHOT")]
JobName = Annotated[str, _words("the job, by its id or its first digits", title="JOB", positional=True)]
Paths = tuple[str, ...]
Overwrite = Literal["ask", "never", "changed", "always"]


class Empty(Result, frozen=True, kw_only=True):
    """Nothing to tell but that it is done."""


# --- the repository -----------------------------------------------------------------------------------


class InitRepository(Operation, frozen=True, kw_only=True):
    """Make the repository in the hot store, with one key slot."""


class RepositoryInfo(Result, frozen=True, kw_only=True):
    """A repository that was made or opened."""

    repository: str
    url: str


class ReadStatus(Operation, frozen=True, kw_only=True):
    """The status document."""


class StatusResult(Result, frozen=True, kw_only=True):
    """The status document."""

    document: Status


# --- weddings -----------------------------------------------------------------------------------------


class ListWeddings(Operation, frozen=True, kw_only=True):
    """The register."""

    archived: Annotated[bool, _words("also those that are archived")] = False
    match: Annotated[str, _words("only names or venues that contain this", title="TEXT")] = ""


class WeddingList(Result, frozen=True, kw_only=True):
    """Weddings by date, then name."""

    weddings: tuple[WeddingSummary, ...]


class AddWedding(Operation, frozen=True, kw_only=True):
    """Register a wedding."""

    name: WeddingName
    date: Annotated[dt.date, _words("the day of the wedding, as 2026-06-20", title="DATE")]
    timezone: Annotated[str, _words("the venue's time zone", title="ZONE", flag="--tz")] = "UTC"
    venue: Annotated[str, _words("the venue, as a person would write it", title="TEXT")] = ""
    at: Annotated[str, _words("the venue's position, as 51.38,-2.36", title="LAT,LON")] = ""
    regions: Annotated[Paths, _words("a region it may lie in (default: any)", title="REGION", flag="--region")] = ()


class EditWedding(Operation, frozen=True, kw_only=True):
    """Change what is known of a wedding; a moved date counts at once."""

    name: WeddingName
    rename: Annotated[str | None, _words("the new name", title="NAME")] = None
    date: Annotated[dt.date | None, _words("the new day", title="DATE")] = None
    timezone: Annotated[str | None, _words("the venue's time zone", title="ZONE", flag="--tz")] = None
    venue: Annotated[str | None, _words("the venue", title="TEXT")] = None
    at: Annotated[str | None, _words("the venue's position", title="LAT,LON")] = None
    regions: Annotated[
        Paths, _words("the regions it may lie in, in place of before; any", title="REGION", flag="--region")
    ] = ()
    sources: Annotated[
        Paths, _words("where its files lie here, in place of before", title="PATH", flag="--source", path=True)
    ] = ()


class ArchiveWedding(Operation, frozen=True, kw_only=True):
    """Take a wedding out of the daily lists; its data stays."""

    name: WeddingName
    undo: Annotated[bool, _words("bring it back into the lists")] = False


class WeddingResult(Result, frozen=True, kw_only=True):
    """The wedding as it now stands."""

    wedding: Wedding


# --- backing up ---------------------------------------------------------------------------------------


class StartBackup(Operation, frozen=True, kw_only=True):
    """Queue a backup job."""

    wedding: WeddingName
    sources: Annotated[
        Paths, _words("files and folders to back up; none: the wedding's own", title="PATH", flag="--from", path=True)
    ] = ()
    priority: Annotated[PriorityClass | None, _words("instead of the class the date gives")] = None
    tags: Annotated[Paths, _words("a word kept with the snapshot", title="TAG", flag="--tag")] = ()
    exclude: Annotated[Paths, _words("leave out what matches, as .gitignore would", title="GLOB")] = ()
    one_file_system: Annotated[bool, _words("do not cross into other file systems")] = False
    dry_run: Annotated[bool, _words("only tell what would be read and stored")] = False
    wait: Annotated[bool, _words("come back when the job has ended")] = False


class StoreWeddingData(Operation, frozen=True, kw_only=True):
    """Take one stream or file straight into the vault."""

    wedding: WeddingName
    name: Annotated[str, _words("the path it gets in the snapshot", title="NAME", positional=True)]
    file: Annotated[str, _words("the file to read; - is standard input", title="FILE", path=True)] = "-"
    tags: Annotated[Paths, _words("a word kept with the snapshot", title="TAG", flag="--tag")] = ()


class JobResult(Result, frozen=True, kw_only=True):
    """A job: queued, or, where the operation waited, ended."""

    job: JobRow


class BackupEstimate(Result, frozen=True, kw_only=True):
    """What a dry run found."""

    files: int
    files_new: int
    files_changed: int
    files_unchanged: int
    files_gone: int
    bytes_source: int
    bytes_to_read: int


# --- what is kept -------------------------------------------------------------------------------------


class ListSnapshots(Operation, frozen=True, kw_only=True):
    """The snapshots of a wedding, oldest first."""

    wedding: WeddingName
    partial: Annotated[bool, _words("also checkpoints of unfinished jobs")] = False
    tags: Annotated[Paths, _words("only those with this tag", title="TAG", flag="--tag")] = ()


class SnapshotList(Result, frozen=True, kw_only=True):
    """Snapshots, oldest first."""

    wedding: str
    snapshots: tuple[SnapshotSummary, ...]


class Browse(Operation, frozen=True, kw_only=True):
    """List a folder of a snapshot."""

    wedding: WeddingName
    path: Annotated[str, _words("the folder", title="PATH", positional=True)] = "/"
    snapshot: SnapshotName = "latest"
    recursive: Annotated[bool, _words("everything below it too")] = False
    limit: Annotated[int, _words("at most this many rows", title="N"), msgspec.Meta(ge=1)] = 10_000


class Find(Operation, frozen=True, kw_only=True):
    """Search file names in every snapshot of a wedding, or in one."""

    wedding: WeddingName
    pattern: Annotated[str, _words("a glob, matched with the name or the whole path", title="GLOB", positional=True)]
    snapshot: Annotated[str, _words("only this snapshot", title="SNAPSHOT")] = ""
    limit: Annotated[int, _words("at most this many rows", title="N"), msgspec.Meta(ge=1)] = 10_000


class EntryList(Result, frozen=True, kw_only=True):
    """Entries in the order of the walk. `truncated` when the limit cut the list."""

    entries: tuple[EntryRow, ...]
    truncated: bool = False


class Diff(Operation, frozen=True, kw_only=True):
    """What changed between two snapshots."""

    wedding: WeddingName
    older: Annotated[str, _words("the older snapshot", title="OLDER", positional=True)]
    newer: Annotated[str, _words("the newer snapshot", title="NEWER", positional=True)] = "latest"
    limit: Annotated[int, _words("at most this many rows", title="N"), msgspec.Meta(ge=1)] = 10_000


class DiffResult(Result, frozen=True, kw_only=True):
    """Differences in the order of the walk, with totals over all of them."""

    rows: tuple[DiffRow, ...]
    added: int
    removed: int
    changed: int
    truncated: bool = False


# --- getting it back ----------------------------------------------------------------------------------


class RetrieveWeddingData(Operation, frozen=True, kw_only=True):
    """Restore a snapshot or a part of it."""

    wedding: WeddingName
    to: Annotated[str, _words("the folder, or archive file, to write; - is standard output", title="DIR", path=True)]
    snapshot: SnapshotName = "latest"
    paths: Annotated[Paths, _words("only this file or folder of the snapshot", title="PATH", flag="--path")] = ()
    strip_prefix: Annotated[str, _words("leave this off the front of each path", title="PATH")] = ""
    format: Annotated[
        Literal["folder", "tar", "zip", "file"],
        _words("folder; tar or zip for an archive; file for the bare bytes of one file", flag="--as"),
    ] = "folder"
    overwrite: Annotated[Overwrite, _words("what to do where a file stands already")] = "ask"
    dry_run: Annotated[bool, _words("only tell what it would take")] = False
    wait: Annotated[bool, _words("come back when the job has ended (--no-wait: at once)")] = True


class RetrievalPlan(Result, frozen=True, kw_only=True):
    """What a retrieval needs."""

    snapshot: str
    files: int
    bytes_restored: int
    packs: int
    bytes_fetched: int
    eta_s: float | None
    conflicts: int  # files that stand at the target already
    packs_recalled: int = 0  # of the packs, those that have to be recalled first; `eta_s` is then how long that takes
    recall: str = ""  # how fast they are asked for
    cost: float = 0.0  # of recalling and reading, by the prices of the settings


# --- jobs ---------------------------------------------------------------------------------------------


JobSort = Literal["age", "state", "wedding", "class", "kind", "progress", "rate", "eta"]


class ListJobs(Operation, frozen=True, kw_only=True):
    """The queue, newest first or as it is sorted; a page of it."""

    wedding: Annotated[str, _words("only this wedding's", title="WEDDING")] = ""
    state: Annotated[JobState | None, _words("only in this state")] = None
    kind: Annotated[JobKind | None, _words("only of this kind")] = None
    match: Annotated[str, _words("only with these words in id, wedding, kind, class, state", title="TEXT")] = ""
    sort: Annotated[JobSort, _words("by what; each begins with what matters most")] = "age"
    reverse: Annotated[bool, _words("the other way round")] = False
    offset: Annotated[int, _words("leave out so many rows first", title="N"), msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, _words("at most this many rows", title="N"), msgspec.Meta(ge=1)] = 1_000
    around: Annotated[str, _words("the page that has this job in its middle", title="JOB")] = ""
    ids: Annotated[bool, _words("only their ids, of all of them")] = False


class JobList(Result, frozen=True, kw_only=True):
    """Jobs, newest first."""

    jobs: tuple[JobRow, ...]
    total: int


class JobPage(JobList, frozen=True, kw_only=True):
    """A page of jobs. `total` of them fit; `offset` stand before this page; `position` is where `around` stands."""

    known: int  # jobs in all
    offset: int = 0
    position: int | None = None
    ids: tuple[str, ...] = ()


class WaitForJobs(Operation, frozen=True, kw_only=True):
    """Wait until a job, or every job, has ended."""

    job: Annotated[str, _words("the job; without one, all", title="JOB", positional=True)] = ""
    timeout: Annotated[str, _words("give up after, as 10m", title="SPAN")] = ""


class CancelJob(Operation, frozen=True, kw_only=True):
    """Stop a job; what it has checkpointed stays for a week."""

    job: JobName


# --- keeping it safe ----------------------------------------------------------------------------------


class Verify(Operation, frozen=True, kw_only=True):
    """Check structure, every pack by its name and every blob by decryption."""

    wedding: WeddingName
    all: Annotated[bool, _words("also every file by its hash")] = False
    copies: Annotated[bool, _words("instead read every copy of every pack where it lies")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class VerifyReport(Result, frozen=True, kw_only=True):
    """What a verification found. Problems make an integrity error of it."""

    job: JobRow
    snapshots: int
    packs: int
    blobs: int
    files: int
    bytes_checked: int
    copies: int = 0
    problems: tuple[str, ...] = ()


class Repair(Operation, frozen=True, kw_only=True):
    """Make a damaged index whole from the packs, save what can be saved, tell what is lost by name."""

    wedding: WeddingName
    all: Annotated[bool, _words("also read every pack and open every blob")] = False
    dry_run: Annotated[bool, _words("only tell what would be done")] = False
    wait: Annotated[bool, _words("come back when it has ended (--no-wait: at once)")] = True


class RepairReport(Result, frozen=True, kw_only=True):
    """What a repair found and did. Losses, files that cannot be restored, make an integrity error of it."""

    job: JobRow
    packs: int
    packs_recovered: int
    packs_dropped: int
    chunks_saved: int
    fragments_replaced: int
    problems: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    losses_total: int = 0


# --- running the engine -------------------------------------------------------------------------------


class ScaleInfrastructure(Operation, frozen=True, kw_only=True):
    """Set how many streams work at once."""

    target: Annotated[str, _words("a number, or auto for what scaling.mode says", title="N|auto", positional=True)]
    until: Annotated[str, _words("then as before: 2h, 06:00 or 2026-06-21T06:00 (UTC)", title="WHEN")] = ""


class ScaleResult(Result, frozen=True, kw_only=True):
    """Streams, or nodes, before and after."""

    before: int
    streams: int  # or nodes
    mode: Literal["default", "manual", "auto"]
    until: str | None = None  # ISO 8601
    of: Literal["streams", "nodes"] = "streams"  # nodes: of a cluster that can bring them (`cluster.launch`)


class ListKeys(Operation, frozen=True, kw_only=True):
    """The key slots."""


class KeyList(Result, frozen=True, kw_only=True):
    """Key slots, and the public key that receipts are signed with."""

    keys: tuple[KeySlotRow, ...]
    receipt_key: str = ""  # 64 hex digits


class AddKey(Operation, frozen=True, kw_only=True):
    """Add a passphrase. It is read from a file, a descriptor or a prompt, never from the command line."""

    label: Annotated[str, _words("whose it is", title="TEXT")] = ""
    passphrase_file: Annotated[str, _words("a file with the new passphrase", title="FILE", path=True)] = ""


class RemoveKey(Operation, frozen=True, kw_only=True):
    """Remove a key slot; the last one stays."""

    key: Annotated[str, _words("the slot, by its id or its first digits", title="KEY", positional=True)]


class ReadConfiguration(Operation, frozen=True, kw_only=True):
    """Show settings in force."""

    key: Annotated[str, _words("one setting, as engine.streams", title="KEY", positional=True)] = ""


class Configuration(Result, frozen=True, kw_only=True):
    """Settings in force."""

    settings: tuple[SettingRow, ...]


class Configure(Operation, frozen=True, kw_only=True):
    """Change a setting: checked, saved, applied."""

    key: Annotated[str, _words("the setting, as engine.streams", title="KEY", positional=True)]
    value: Annotated[str, _words("its new value", title="VALUE", positional=True)]


class ConfigureResult(Result, frozen=True, kw_only=True):
    """A changed setting."""

    key: str
    before: str
    after: str
    applied: Literal["now", "at the next start"]


class Shutdown(Operation, frozen=True, kw_only=True):
    """Drain, checkpoint, stop."""

    drain: Annotated[str, _words("how long jobs may go on, as 30s", title="SPAN")] = "0s"
