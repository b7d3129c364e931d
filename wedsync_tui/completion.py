"""How a half-written line may go on: verbs, options, names of weddings and jobs, choices, zones, paths.

In: the line, and what is `Known` (taken from the status document; folders are read by a function handed in).
Out: suggestions, likeliest first, each the whole line it makes. Pure but for that function; any thread.
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Iterable
from zoneinfo import available_timezones

import msgspec

from engine.contract.catalog import BY_VERB, CATALOG, OperationSpec
from engine.contract.settings import TABLES, Settings
from engine.contract.status import JOB_STATES_ENDED, JobRow, Status
from screens.desk import Suggestion
from screens.fuzzy import NO_MATCH, distance
from screens.text import clean
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.words import OpenQuote, split_words

SUGGESTIONS_MAX = 100
FOLDER_ENTRIES_MAX = 5_000

ListFolder = Callable[[str], Iterable[str]]
Choice = tuple[str, str]  # the word, and what it means


class Known(msgspec.Struct, frozen=True):
    """The names there are now. `list_folder` gives the names in a folder, those of folders ending in a slash.

    Weddings may be ten thousand, and are asked for only where the line wants one.
    """

    weddings: Callable[[], Iterable[Choice]] = tuple
    jobs: tuple[Choice, ...] = ()
    snapshots: tuple[Choice, ...] = ()
    list_folder: ListFolder = lambda _: ()


def known_from(status: Status, list_folder: ListFolder | None = None) -> Known:
    """Names out of the status document."""
    return Known(
        weddings=lambda: [(row.name, f"{row.date} {clean(row.venue)}".strip()) for row in status.weddings],
        jobs=tuple((row.id[:12], f"{row.kind} {clean(row.wedding)}, {row.state}") for row in _unfinished_first(status)),
        snapshots=tuple((row.snapshot[:12], f"{row.kind} {row.wedding}") for row in status.jobs if row.snapshot),
        list_folder=list_folder or folder_names,
    )


def _unfinished_first(status: Status) -> list[JobRow]:
    return sorted(status.jobs, key=lambda job: job.state in JOB_STATES_ENDED)


def folder_names(folder: str) -> list[str]:
    """The names in a folder of this machine, folders with a slash; none where it cannot be read."""
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            return [
                f"{entry.name}/" if entry.is_dir() else entry.name for entry, _ in zip(entries, _BOUND, strict=False)
            ]
    except OSError:
        return []


_BOUND = range(FOLDER_ENTRIES_MAX)


def suggest(line: str, known: Known) -> tuple[Suggestion, ...]:
    """How `line` may go on. Empty where nothing fits or the line makes no sense."""
    start, words, partial = _taken_apart(line)
    spec = _verb_in(words)
    if spec is None:
        choices = _verbs(words)
        start, partial = 0, " ".join([*words, partial]) if words else partial
    else:
        choices = _arguments(spec, words[len(spec.verb.split()) :], partial, known)
    found = _fitting(choices, partial)
    return tuple(
        Suggestion(line[:start] + _quoted(word, is_verb=spec is None), clean(word), meaning)
        for word, meaning in found[:SUGGESTIONS_MAX]
    )


# --- the line -----------------------------------------------------------------------------------------


def _taken_apart(line: str) -> tuple[int, list[str], str]:
    """Where the word being written starts, the words before it, and what of it is there."""
    for ending in ("", "'", '"'):
        try:
            words = split_words(line + ending)
        except OpenQuote:
            continue
        texts = [word.filled({name: f"${name}" for name in word.variables}) for word in words]
        if words and words[-1].end >= len(line):
            return words[-1].start, texts[:-1], texts[-1]
        return len(line), texts, ""
    return len(line), [], ""


def _verb_in(words: list[str]) -> OperationSpec | None:
    for length in (2, 1):
        spec = BY_VERB.get(" ".join(words[:length]))
        if spec is not None and len(words) >= length:
            return spec
    return None


def _verbs(words: list[str]) -> Iterable[Choice]:
    if words and words[0] == "help":
        return [(f"help {spec.verb}", spec.help) for spec in CATALOG]
    return [*((spec.verb, spec.help) for spec in CATALOG), ("help", "how a verb is written")]


# --- arguments ----------------------------------------------------------------------------------------


def _arguments(spec: OperationSpec, words: list[str], partial: str, known: Known) -> Iterable[Choice]:
    rows = arguments_of(spec)
    flag, is_sated, places = _state(rows, words)
    if partial.startswith("--") and "=" in partial:
        name, _, begun = partial.partition("=")
        row = _row_of(rows, name)
        return [(f"{name}={word}", words) for word, words in _values(row, begun, known)] if row else ()
    if partial.startswith("-") and is_sated:
        return _flags(rows, words)
    values: list[Choice] = list(_values(flag, partial, known)) if flag else []
    if flag is None or is_sated:
        waiting = [row for row in rows if not row.flag][places:]
        if waiting and flag is None:
            values += _values(waiting[0], partial, known)
        if not partial and not (waiting and waiting[0].required):
            values += _flags(rows, words)
    return values


def _state(rows: tuple[Argument, ...], words: list[str]) -> tuple[Argument | None, bool, int]:
    """The flag whose value is being written, whether it has one already, and how many places are filled."""
    flag: Argument | None = None
    is_sated, places = True, 0
    for word in words:
        if word.startswith("--"):
            row = _row_of(rows, word.partition("=")[0])
            flag = row if row is not None and row.kind != "switch" and "=" not in word else None
            is_sated = flag is None
        elif flag is not None:
            is_sated = True
            flag = flag if flag.kind == "list" else None
        else:
            places += 1
    return flag, is_sated, places


def _row_of(rows: tuple[Argument, ...], flag: str) -> Argument | None:
    return next((row for row in rows if flag in {row.flag, row.negative} - {""}), None)


def _flags(rows: tuple[Argument, ...], words: list[str]) -> list[Choice]:
    given = {word.partition("=")[0] for word in words}
    free = [row for row in rows if row.flag and (row.kind == "list" or not given & {row.flag, row.negative})]
    free.sort(key=lambda row: not row.required)
    return [(row.negative if row.default is True else row.flag, row.help) for row in free]


def _values(row: Argument, begun: str, known: Known) -> Iterable[Choice]:
    if row.choices:
        return [(word, "") for word in row.choices]
    if row.field == "key" and row.title == "KEY":
        return _settings()
    if row.title == "PATH" and row.field != "sources":
        return ()  # a path inside a snapshot: only the engine could tell
    values: dict[str, Callable[[], Iterable[Choice]]] = {
        "WEDDING": known.weddings,
        "JOB": lambda: known.jobs,
        "SNAPSHOT": lambda: [("latest", "the newest"), *known.snapshots],
        "OLDER": lambda: known.snapshots,
        "NEWER": lambda: [("latest", "the newest"), *known.snapshots],
        "ZONE": lambda: [(zone, "") for zone in _zones()],
        "N|auto": lambda: [("auto", "what scaling.mode says")],
        **dict.fromkeys(("PATH", "DIR", "FILE"), lambda: _paths(begun, known)),
    }
    return values.get(row.title, tuple)()


def _paths(begun: str, known: Known) -> Iterable[Choice]:
    folder = begun.rpartition("/")[0]
    prefix = begun[: len(begun) - len(begun.rpartition("/")[2])]
    names = known.list_folder(folder or ("/" if begun.startswith("/") else "."))
    hidden_too = begun.rpartition("/")[2].startswith(".")
    return [(f"{prefix}{name}", "") for name in sorted(names) if hidden_too or not name.startswith(".")]


@functools.cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


@functools.cache
def _settings() -> tuple[Choice, ...]:
    keys: list[Choice] = []
    for part in msgspec.structs.fields(Settings):
        if part.name in TABLES:
            continue
        for setting in msgspec.structs.fields(part.type):
            keys.append((f"{part.name}.{setting.name}", ""))
    return tuple(keys)


# --- choosing -----------------------------------------------------------------------------------------


def _fitting(choices: Iterable[Choice], partial: str) -> list[Choice]:
    """Those that begin so, then those with the letters inside; an option or a path only as it begins."""
    if partial.startswith("-") or "/" in partial:
        wanted = partial.casefold()
        return [choice for choice in choices if choice[0].casefold().startswith(wanted)]
    near = [(distance(partial, choice[0]), choice) for choice in choices]
    near.sort(key=lambda pair: (pair[0], not pair[1][0].startswith(partial)) if partial else (0, False))
    return [choice for how_far, choice in near if how_far < NO_MATCH]


def _quoted(word: str, *, is_verb: bool) -> str:
    """The word as it must be written; a folder or an option to be filled goes on without a blank."""
    text = word if is_verb else shlex.quote(word)
    return text if word.endswith("/") else f"{text} "
