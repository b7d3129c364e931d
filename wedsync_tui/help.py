"""Help as plain text: the program's page, and a page for each verb, made from the catalog.

In: the catalog and the arguments' words. Out: text for standard output (or a pane of the console). Plain on
purpose: it reads the same in a pipe, over a slow line and in a log, and loads nothing. Pure.
"""

from __future__ import annotations

import textwrap

from engine.contract.catalog import BY_VERB, CATALOG, OperationSpec, Role
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.options import OPTIONS

WIDTH = 100

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "The vault",
        ("init", "status", "verify", "repair", "prune", "hold", "drill", "keys", "key add", "key paper", "key remove"),
    ),
    ("Weddings", ("weddings", "wedding add", "wedding edit", "wedding archive")),
    ("Backing up", ("backup", "store", "watch", "unwatch", "watches")),
    ("What is kept", ("snapshots", "browse", "find", "diff", "receipt", "analyze")),
    ("Getting it back", ("retrieve", "recover")),
    ("Tiers and copies", ("tiers", "migrate", "recall", "copies")),
    ("Jobs", ("jobs", "job", "wait", "cancel", "pause", "resume", "retry", "prioritise", "steer")),
    ("What is to come", ("forecast", "calendar import", "demand import", "backtest", "simulate")),
    ("Schedules", ("schedules", "schedule add", "schedule remove")),
    ("Cost and capacity", ("readiness", "cost", "prices", "capacity")),
    ("The engine", ("scale", "scaling", "optimize", "config get", "config set", "shutdown")),
)

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": ("init",),
    "status": ("status",),
    "backup": (
        "backup smith-jones --from /cards/A /cards/B --wait",
        "backup smith-jones --from /photos --exclude '*.tmp' --tag second-shooter",
        "backup smith-jones --from /photos --dry-run",
    ),
    "store": ("store smith-jones speeches/notes.txt < notes.txt", "store smith-jones film.mov --file /cards/film.mov"),
    "repair": ("repair smith-jones --dry-run", "repair smith-jones --all"),
    "retrieve": (
        "retrieve smith-jones --to /restore",
        "retrieve smith-jones --to /restore --path /cards/A/DCIM --strip-prefix /cards/A",
        "retrieve smith-jones --to smith-jones.tar --as tar",
        "retrieve smith-jones --to - --as file --path /cards/A/IMG_0042.CR3",
    ),
    "weddings": ("weddings", "weddings --match bath"),
    "wedding add": (
        'wedding add smith-jones --date 2026-06-20 --tz Europe/London --venue "Bath, UK" --at 51.38,-2.36',
    ),
    "wedding edit": (
        "wedding edit smith-jones --date 2026-06-27",
        "wedding edit smith-jones --source /cards/A /cards/B",
    ),
    "wedding archive": ("wedding archive smith-jones", "wedding archive smith-jones --undo"),
    "snapshots": ("snapshots smith-jones", "snapshots smith-jones --tag second-shooter"),
    "browse": ("browse smith-jones /cards/A --recursive",),
    "find": ("find smith-jones '*.CR3'",),
    "diff": ("diff smith-jones 5f0c latest",),
    "jobs": ("jobs --state running --sort rate", "jobs --wedding smith-jones --limit 20"),
    "job": ("job 5f0c",),
    "wait": ("wait", "wait 5f0c --timeout 10m"),
    "cancel": ("cancel 5f0c",),
    "pause": ("pause 5f0c",),
    "resume": ("resume 5f0c",),
    "retry": ("retry 5f0c",),
    "steer": ("steer cancel --state queued --match smith", "steer same-day 5f0c 60a1"),
    "prioritise": ("prioritise 5f0c same-day", "prioritise 60a1 standard", "prioritise 5f0c auto"),
    "watch": ("watch smith-jones /cards/A /cards/B", "watch smith-jones --exclude '*.tmp'"),
    "unwatch": ("unwatch smith-jones", "unwatch smith-jones /cards/A"),
    "watches": ("watches", "watches smith-jones"),
    "schedules": ("schedules", "schedules nightly"),
    "schedule add": (
        "schedule add nightly --when '0 3 * * *' --tz Europe/London --run 'verify smith-jones --all'",
        "schedule add hourly --when 'every 1h' --run 'backup smith-jones'",
    ),
    "schedule remove": ("schedule remove nightly",),
    "copies": ("copies smith-jones",),
    "cost": ("cost", "cost --month 2026-06 --by wedding"),
    "prices": ("prices",),
    "optimize": ("optimize --dry-run", "optimize --from /photos --within 30m", "optimize --auto"),
    "readiness": ("readiness", "readiness 2026-06-20"),
    "capacity": ("capacity 100TB/h", "capacity --size 40TB --within 8h"),
    "verify": ("verify smith-jones --all",),
    "hold": (
        "hold smith-jones --reason 'claim 2026-114'",
        "hold smith-jones --snapshot latest --reason 'the album as it was sold'",
        "hold smith-jones --release",
    ),
    "prune": ("prune --dry-run", "prune smith-jones --keep 'last 3, monthly 12' --dry-run", "prune"),
    "drill": (
        "drill smith-jones",
        "drill smith-jones --size album",
        "drill smith-jones --files 200 --to /mnt/new-disk",
    ),
    "tiers": ("tiers", "tiers smith-jones"),
    "migrate": ("migrate --dry-run", "migrate", "migrate smith-jones --tier warm"),
    "recall": ("recall smith-jones --dry-run", "recall smith-jones --speed expedited"),
    "scale": ("scale 8", "scale 12 --until 06:00", "scale auto"),
    "scaling": ("scaling", "scaling --hours 168 --limit 200"),
    "keys": ("keys",),
    "key add": ("key add --label Ada", "key add --label Ada --passphrase-file /run/secrets/ada"),
    "key paper": ("key paper --out /media/usb/key.txt", "key paper --label 'bank safe' --out -"),
    "forecast": ("forecast", "forecast --grain hour --limit 48", "forecast --grain month"),
    "calendar import": ("calendar import weddings.ics", "calendar import bookings.csv"),
    "demand import": ("demand import history.csv", "demand import jobs.csv --time when --jobs count --bytes size"),
    "backtest": (
        "backtest jobs.csv --time hour --value jobs",
        "backtest days.csv --time day --value jobs --known booked --country GB",
    ),
    "simulate": (
        "simulate --times 3",
        "simulate --date 2026-09-12 --weddings 50 --floor 8 --ceiling 80 --rule reactive",
    ),
    "analyze": ("analyze --photos smith-jones", "analyze --photos smith-jones --distance 2"),
    "receipt": (
        "receipt smith-jones --card /media/A --out card-A.receipt",
        "receipt smith-jones --out - --snapshot 5f0c",
        "receipt --verify card-A.receipt --key 3b6a27bc…",
    ),
    "recover": (
        "recover --from 's3://weddings/hot?endpoint=https://s3.example.com'",
        "recover --to /restore --dry-run",
        "recover --from london=file:///mnt/nas/wedsync --from paris=s3://hot-paris/wedsync --to /restore",
    ),
    "key remove": ("key remove 5f0c",),
    "config get": ("config get", "config get engine.streams"),
    "config set": ("config set engine.streams 8",),
    "shutdown": ("shutdown --drain 30s",),
}

_USAGE = """\
wedsync-tui [options]                     the console
wedsync-tui [options] COMMAND [argument]… one command, without the console
wedsync-tui [options] -c COMMAND…         several, in order; the first failure ends it
wedsync-tui --no-ui [options]             the engine as a service, until SIGTERM"""

_ENVIRONMENT: tuple[tuple[str, str], ...] = (
    ("WEDSYNC_HOME", "as --home"),
    ("WEDSYNC_PASSPHRASE", "the passphrase"),
    ("WEDSYNC_PASSPHRASE_FILE", "a file whose first line is the passphrase"),
    ("WEDSYNC_PASSPHRASE_COMMAND", "a command whose first line of output is the passphrase"),
    ("WEDSYNC_DEBUG", "1 shows the traceback of an internal error"),
)

_UNITS = (
    "Sizes 500MB or 64MiB; spans 90s, 5m, 1h30m, 2d; dates 2026-06-20. A snapshot is latest, an id or its first "
    "digits; a job is its id or its first digits. An option with … takes several values, or may be repeated."
)
_RESULTS = (
    "Standard output is JSON lines; people's words go to standard error. Exit codes: 0 done, 1 failed, 2 usage, "
    "3 done with warnings, 4 not permitted or wrong passphrase, 5 integrity error."
)
_ROLES = {Role.VIEWER: "viewer", Role.OPERATOR: "operator", Role.ADMIN: "admin"}


def program_page() -> str:
    """What `wedsync-tui --help` says."""
    parts = ["WedSync keeps the only copies of wedding photographs.", _indented(_USAGE.splitlines()), "Options"]
    parts.append(_table(tuple((row.usage.strip("[]"), row.help) for row in OPTIONS)))
    parts.append(verbs_page())
    parts += ["Environment", _table(_ENVIRONMENT), _wrapped(_UNITS), _wrapped(_RESULTS)]
    return _joined(parts)


def verbs_page() -> str:
    """Every verb with one line, by group: what `help` says inside the program."""
    parts: list[str] = []
    grouped = {verb for _, verbs in GROUPS for verb in verbs}
    rest = tuple(spec.verb for spec in CATALOG if spec.verb not in grouped)
    for title, verbs in (*GROUPS, *((("More", rest),) if rest else ())):
        parts += [title, _table(tuple((verb, BY_VERB[verb].help) for verb in verbs))]
    return _joined(parts)


def verb_page(verb: str, width: int = WIDTH) -> str:
    """What `help VERB` says, in lines of `width` cells. `verb` is one of the catalog's."""
    spec = BY_VERB[verb]
    rows = arguments_of(spec)
    parts = [_wrapped(spec.help, width), _synopsis(spec, rows, width)]
    for title, some in (("Arguments", [r for r in rows if not r.flag]), ("Options", [r for r in rows if r.flag])):
        if some:
            parts += [title, _table(tuple(_described(row) for row in some), width)]
    parts += ["Examples", _indented(list(EXAMPLES.get(verb, (verb,)))), _wrapped(_UNITS, width)]
    parts.append(f"Role: {_ROLES[spec.role]}. In the API: {spec.name}.")
    return _joined(parts)


def page(verb: str) -> str:
    """The page of one verb, or the list of all for an empty one."""
    return verb_page(verb) if verb else verbs_page()


def lines_of_page(verb: str, width: int) -> list[str]:
    """The page of a verb for a pane of `width` cells."""
    return verb_page(verb, min(WIDTH, max(40, width))).splitlines()


def _synopsis(spec: OperationSpec, rows: tuple[Argument, ...], width: int) -> str:
    words = [spec.verb, *(row.usage.replace(" ", "\N{NO-BREAK SPACE}") for row in rows)]
    lines = textwrap.wrap(
        " ".join(words), width - 2, subsequent_indent=" " * (len(spec.verb) + 1), break_on_hyphens=False
    )
    return _indented([line.replace("\N{NO-BREAK SPACE}", " ") for line in lines])


def _described(row: Argument) -> tuple[str, str]:
    left = row.usage.strip("[]")
    if row.negative and row.default is True:
        left = f"{row.flag}, {row.negative}"
    if row.required:
        return left, row.help + (" (needed)" if row.flag else "")
    if row.default in (None, "", (), False, True):
        return left, row.help
    return left, f"{row.help} ({row.default})"


def _table(rows: tuple[tuple[str, str], ...], width: int = WIDTH) -> str:
    left = min(max(len(name) for name, _ in rows), 26)
    lines: list[str] = []
    for name, words in rows:
        wrapped = textwrap.wrap(words, width - left - 4) or [""]
        if len(name) > left:
            lines.append(f"  {name}")
            lines += [f"  {'':{left}}  {line}" for line in wrapped]
        else:
            lines.append(f"  {name:{left}}  {wrapped[0]}")
            lines += [f"  {'':{left}}  {line}" for line in wrapped[1:]]
    return "\n".join(line.rstrip() for line in lines)


def _indented(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _wrapped(text: str, width: int = WIDTH) -> str:
    return textwrap.fill(text, width)


def _joined(parts: list[str]) -> str:
    """Parts one below the other: a blank line between them, except between a heading and its table."""
    text = ""
    for part in parts:
        gap = "" if not text else "\n" if text.rsplit("\n", 1)[-1] in _HEADINGS else "\n\n"
        text += gap + part
    return text


_HEADINGS = frozenset({"Options", "Arguments", "Examples", "Environment", "More", *(title for title, _ in GROUPS)})
