"""Results as tables and sentences: any result struct in, a sheet or one line out.

Generic over the structs: a field's name tells its unit (`…_bytes`, `…_s`, `…_ns`, `…_share`), the first tuple
of structs in a result is its table, all else is a fact above it. A few structs name the columns that matter
first. Pure, and without a screen library; any thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.base.units import format_bytes, format_count, format_rate, format_span, format_time
from engine.contract import copies, placements, recovery, steering
from engine.contract import operations as ops
from engine.contract.decisions import ScalingReport
from engine.contract.retention import PruneReport
from engine.contract.scaling import DecisionRow
from engine.contract.status import JobRow
from screens.text import clean
from screens.view import KIND_DOING, warnings_told

NONE = "–"
ID_DIGITS = 12

_ID_FIELDS = frozenset({"id", "snapshot", "parent", "hash", "repository", "job"})
_TIME_FIELDS = frozenset({"time", "modified", "protected_since", "timestamp", "committed", "safe", "verified", "since"})
_COLUMNS: dict[type, tuple[str, ...]] = {
    JobRow: (
        "id", "kind", "wedding", "state", "priority", "queued_ns", "files_done", "bytes_read", "bytes_stored",
        "rate_bytes_per_s", "warnings", "snapshot", "message",
    ),
    ops.WeddingSummary: (
        "name", "date", "priority", "protected_since", "snapshots", "venue", "timezone", "archived", "held",
    ),
    ops.SnapshotSummary: (
        "id", "time", "files", "bytes_source", "bytes_stored", "files_unchanged", "warnings", "partial", "sources",
        "tags", "host", "priority", "parent", "engine_version", "held",
    ),
    ops.EntryRow: ("type", "mode", "size", "modified", "path", "target", "uid", "gid", "snapshot", "hash"),
    DecisionRow: ("time_ns", "workers", "target", "reserved", "spot", "reason"),
    ops.DiffRow: ("change", "bytes_before", "bytes_after", "path"),
    ops.SettingRow: ("key", "value", "default", "help"),
}  # fmt: skip


class Head(NamedTuple):
    """One column's heading; numbers stand to the right."""

    title: str
    right: bool


class Sheet(NamedTuple):
    """A result to look at. `sources` are the structs behind the rows; `more`: its further lists."""

    title: str
    facts: tuple[tuple[str, str], ...]
    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]
    sources: tuple[msgspec.Struct, ...]
    warnings: tuple[str, ...] = ()
    more: tuple[Sheet, ...] = ()


# --- one value ----------------------------------------------------------------------------------------


def value_words(field: str, value: object) -> str:
    """A value as people read it; its field's name tells the unit."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number_words(field, value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return ", ".join(value_words("", item) for item in value)
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{title_of(name)} {value_words(name, inner)}" for name, inner in _fields(value))
    text = clean(str(value))
    if field in _TIME_FIELDS:
        return text.replace("T", " ", 1).removesuffix("Z").split(".")[0]
    return text[:ID_DIGITS] if field in _ID_FIELDS and _is_hex(text) else text


def _number_words(field: str, value: float) -> str:
    if field.endswith("bytes_per_s"):
        return format_rate(value)
    if field.endswith("_bytes") or field.startswith("bytes_") or field in ("bytes", "size"):
        return format_bytes(value)
    if field.endswith("_ns"):
        return format_time(int(value)).replace("T", " ")[:19] if value else NONE
    if field.endswith("_s"):
        return format_span(value)
    if field.endswith("_share"):
        return f"{value * 100:.0f} %"
    if field in ("uid", "gid"):
        return str(value)
    if field.startswith(("price", "cost", "saves")):
        return money_words(value)
    return format_count(value) if isinstance(value, int) else f"{value:.2f}"


def money_words(amount: float) -> str:
    """`1234.5` → `1,234.50`; of what is less than a tenth, two digits that say something: `0.0036`."""
    return f"{amount:.2g}" if 0.0001 <= abs(amount) < 0.1 else f"{amount:,.2f}"


def _is_hex(text: str) -> bool:
    return len(text) > ID_DIGITS and all(character in "0123456789abcdef-" for character in text)


def title_of(field: str) -> str:
    """A field's name as a heading: `bytes_source` → `source`, `eta_s` → `eta`."""
    for suffix in ("_bytes_per_s", "_bytes", "_ns", "_share", "_s"):
        field = field.removesuffix(suffix)
    return field.removeprefix("bytes_").replace("_", " ")


def _fields(struct: msgspec.Struct) -> list[tuple[str, object]]:
    return [(name, getattr(struct, name)) for name in struct.__struct_fields__]  # `structs.fields` takes 150 µs each


def _flat(struct: msgspec.Struct) -> dict[str, object]:
    """Fields of a row, those of an inner struct beside them; `WeddingSummary` so shows its wedding's name."""
    flat: dict[str, object] = {}
    for name, value in _fields(struct):
        if isinstance(value, msgspec.Struct):
            flat.update((inner, part) for inner, part in _flat(value).items() if inner != "id")
        else:
            flat[name] = value
    return flat


# --- a whole result -----------------------------------------------------------------------------------


def sheet_of(title: str, result: msgspec.Struct) -> Sheet:
    """The result as facts and a table; lists beside it are sheets of their own."""
    main = _main_field(result)
    table: tuple[msgspec.Struct, ...] = ()
    facts: list[tuple[str, str]] = []
    more: list[Sheet] = []
    for name, value in _fields(result):
        if name == "warnings" or (name in _WHEN_SAID and not value):
            continue
        if name == main:
            table = value  # type: ignore[assignment]
        elif _is_table(result, name, value):
            more.append(Sheet(title_of(name), (), *_table(value), value))  # type: ignore[arg-type]
        elif name in _SHOWN_IF_ANY and not value:
            continue
        elif isinstance(value, msgspec.Struct):
            facts.extend(_facts(value, name))
        elif isinstance(value, tuple) and name in _LINES:
            facts.extend((_LINES[name], clean(str(one))) for one in value)
        else:
            facts.append((title_of(name), value_words(name, value) or NONE))
    warnings = tuple(clean(str(line)) for line in getattr(result, "warnings", ()) or () if isinstance(line, str))
    heads, rows = _table(table)
    return Sheet(title, tuple(facts), heads, rows, table, warnings, tuple(more))


def _main_field(result: msgspec.Struct) -> str:
    """The field that holds the table: the first that can be one, unless another is what was asked for."""
    fields = [name for name, value in _fields(result) if _is_table(result, name, value)]
    wanted = _MAIN_FIELD.get(type(result), "")
    return wanted if wanted in fields else next(iter(fields), "")


def _is_table(result: msgspec.Struct, name: str, value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    return (bool(value) and isinstance(value[0], msgspec.Struct)) or name in _TABLE_FIELDS.get(type(result), ())


_TABLE_FIELDS: dict[type, tuple[str, ...]] = {
    ops.WeddingList: ("weddings",), ops.SnapshotList: ("snapshots",), ops.EntryList: ("entries",),
    ops.DiffResult: ("rows",), ops.JobList: ("jobs",), ops.JobPage: ("jobs",), ops.KeyList: ("keys",),
    ops.Configuration: ("settings",), steering.JobDetail: ("history",),
    copies.CopyList: ("places",), steering.WatchList: ("watches",), steering.ScheduleList: ("schedules",),
    ScalingReport: ("decisions",),
}  # fmt: skip


_MAIN_FIELD: dict[type, str] = {placements.TierList: "copies"}
_SHOWN_IF_ANY = (
    "recalls",
    "endpoints",
    "cached",
    "moves",
    "stays",
    "copies",
    "tiers",
    "timeline",
    "forecast",
)  # lists that are often empty
_WHEN_SAID = (
    "offset",
    "position",
    "ids",
    "refused",
    "until",
    "shortfall",
    "launch",
)  # facts only where there is something to tell
_LINES = {"problems": "problem", "first_warnings": "warning", "lines": "warning"}  # lists of sentences: a line each
_UNNAMED = ("document", "job", "wedding")  # what a result is about needs no name before its facts


def _facts(struct: msgspec.Struct, prefix: str) -> list[tuple[str, str]]:
    """The fields of an inner struct, one fact each; of a list of structs only the count, for it has its own verb."""
    facts: list[tuple[str, str]] = []
    for name, value in _fields(struct):
        label = title_of(name) if prefix in _UNNAMED else f"{title_of(prefix)}: {title_of(name)}"
        if isinstance(value, msgspec.Struct):
            facts.extend(_facts(value, name))
        elif isinstance(value, tuple) and name in _LINES:
            facts.extend((_LINES[name], clean(str(one))) for one in value)
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            if len(value) <= 8 and name not in ("jobs", "weddings", "alerts"):
                facts.extend((label, value_words("", item)) for item in value)
            else:
                facts.append((label, f"{len(value)} rows"))
        elif value not in ("", ()):
            facts.append((label, value_words(name, value)))
    return facts


def _table(structs: Sequence[msgspec.Struct]) -> tuple[tuple[Head, ...], tuple[tuple[str, ...], ...]]:
    if not structs:
        return (), ()
    flats = [_flat(one) for one in structs]
    wanted = _COLUMNS.get(type(structs[0]), tuple(flats[0]))
    heads: list[Head] = []
    columns: list[list[str]] = []
    for name in wanted:
        words = [value_words(name, flat.get(name)) for flat in flats]
        if all(word in ("", NONE, "no") for word in words) and len(wanted) > 4:
            continue
        title = title_of(name)
        if any(head.title == title for head in heads):
            title = name.replace("_", " ")
        heads.append(Head(title, isinstance(flats[0].get(name), int | float) and not name.endswith("_ns")))
        columns.append(words)
    return tuple(heads), tuple(zip(*columns, strict=True))


def rank_words(sheet: Sheet) -> str:
    """`12 rows`."""
    return format_count(len(sheet.rows), "row")


# --- one line instead ---------------------------------------------------------------------------------


def sentence_of(result: msgspec.Struct) -> str:
    """What a toast says of a result that is not worth a screen; empty for one that is."""
    match result:
        case ops.JobResult(job=job) | placements.RecallReport(job=job):
            return job_sentence(job)
        case steering.SteerResult():
            return steered_sentence(result)
        case ops.WeddingResult(wedding=wedding):
            is_what = "archived" if wedding.archived else f"registered for {wedding.date.isoformat()}"
            return f"{clean(wedding.name)} is {is_what}"
        case ops.ScaleResult(before=before, streams=streams, mode=mode, of=of):
            how = {"manual": "set by hand", "auto": "as the need is", "default": "by default"}[mode]
            return f"{of}: {before} → {streams}, {how}"
        case ops.ConfigureResult(key=key, after=after, applied=applied):
            return f"{clean(key)} is {clean(after)}, applied {applied}"
        case ops.RepositoryInfo(url=url):
            return f"the repository is made in {clean(url)}"
        case recovery.PaperKeyMade(key=key, out=out):
            place = "standard output" if out == "-" else clean(out)
            return f"key {key[:ID_DIGITS]} is on the page in {place}: print it, lock it away, delete the file"
        case PruneReport(dry_run=False):
            return pruned_sentence(result)
        case ops.Empty():
            return "done"
    return ""


def pruned_sentence(report: PruneReport) -> str:
    """What a prune did, or would do: `3 snapshots and 12 packs would go, 1.2 GB would come free`."""
    snapshots = format_count(sum(row.snapshots_gone for row in report.weddings), "snapshot")
    packs = format_count(sum(row.packs_freed for row in report.weddings), "pack")
    freed = format_bytes(max(0, report.bytes_freed))
    moved = format_bytes(sum(row.bytes_written for row in report.weddings))
    if report.dry_run:
        return f"{snapshots} and {packs} would go, {freed} would come free; {moved} would be written anew"
    return f"{snapshots} and {packs} are gone, {freed} came free; {moved} was written anew"


_STEERED = {"cancel": "cancelled", "pause": "paused", "resume": "resumed", "retry": "begun again"}


def steered_sentence(result: steering.SteerResult) -> str:
    """What became of many jobs: `3 cancelled, 1 had ended already`."""
    done = _STEERED.get(result.action) or ("moved to the date's class" if result.action == "auto" else "")
    words = [f"{result.done:,} {done or f'moved to {result.action}'}"] if result.done or not result.refused else []
    words += [f"{refusal.jobs:,} {_one(refusal)}" for refusal in result.refused]
    return ", ".join(words)


def _one(refusal: steering.Refusal) -> str:
    """The reason, as it is said of one job or of several."""
    reason = clean(refusal.reason)
    return f"was{reason.removeprefix('were')}" if refusal.jobs == 1 and reason.startswith("were ") else reason


def job_sentence(job: JobRow) -> str:
    """A job in a few words: `backup of smith-jones is queued`."""
    words = f"{job.kind} of {clean(job.wedding)}"
    if job.state == "queued":
        return f"{words} is queued"
    if job.state == "running":
        return f"{KIND_DOING[job.kind]} {clean(job.wedding)}"
    reason = f": {clean(job.message)}" if job.message else ""
    warnings = f" with {warnings_told(job)}" if job.warnings else ""
    return f"{words} {'is done' if job.state in ('done', 'warnings') else job.state}{warnings}{reason}"


# --- from a row to what is inside it ------------------------------------------------------------------


def inside(operation: ops.Operation, row: msgspec.Struct) -> ops.Operation | None:
    """The operation that shows what is inside a row of the result of `operation`; None where there is nothing."""
    match operation, row:
        case _, ops.WeddingSummary(wedding=wedding):
            return ops.ListSnapshots(wedding=wedding.name)
        case ops.ListSnapshots(wedding=name), ops.SnapshotSummary(id=snapshot):
            return ops.Browse(wedding=name, snapshot=snapshot)
        case ops.Browse(wedding=name, snapshot=snapshot), ops.EntryRow(type="folder", path=path, path_base64=""):
            return ops.Browse(wedding=name, snapshot=snapshot, path=path)
    return None
