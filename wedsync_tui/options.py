"""The program's own options: read from the words after `wedsync-tui`, before any command.

In: argv without the program's name. Out: `Options`; the first bare word begins a command and takes the rest of
the line. The same reader as for commands, so mistakes are told the same way. Raises UsageError. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import cast

import msgspec

from engine.base import units
from engine.base.errors import UsageError
from engine.contract.settings import STREAMS_MAX
from wedsync_tui.arguments import Argument, ArgumentKind
from wedsync_tui.binding import Form, bind_values, convert_values

PROGRAM = "wedsync-tui"
SHELLS = ("bash",)
MACHINES = ("node", "scheduler")  # what a machine of a cluster runs: no commands of the catalog
SHORT = {"-c": "--command", "-h": "--help"}


def option(field: str, kind: ArgumentKind, title: str, words: str, *, default: object = None) -> Argument:
    """A row of a form that is not an operation's: `--field TITLE`."""
    flag = f"--{field.replace('_', '-')}"
    minimum = 1 if kind == "number" else None
    return Argument(field, flag, title, words, kind, required=False, default=default, minimum=minimum)


OPTIONS: tuple[Argument, ...] = (
    option("home", "text", "DIR", "settings, journal and log lie here (WEDSYNC_HOME; else the user's data folder)"),
    option("command", "list", "COMMAND", "-c: run this command; may be repeated", default=()),
    option("script", "text", "FILE", "run the commands of a file, - for standard input", default=""),
    option("dry_run", "switch", "", "check the commands or the script, and do nothing", default=False),
    option("no_ui", "switch", "", "no console: run commands and exit, or serve until SIGTERM", default=False),
    option("demo", "switch", "", "a home of its own with sample weddings; everything says SAMPLE", default=False),
    option("streams", "number", "N", "how many streams work at once, for this run"),
    option("drain", "span", "SPAN", "at the end, how long jobs may go on before they are checkpointed", default="10s"),
    option("passphrase_file", "text", "FILE", "the repository's passphrase is the first line of this file", default=""),
    option("completion", "text", "SHELL", "print what bash loads to complete commands: bash", default=""),
    option("complete", "text", "LINE", "print the words that a command may go on with; for the shell"),
    option("version", "switch", "", "the version", default=False),
    option("help", "switch", "", "this page; help VERB tells of one command", default=False),
)
PROGRAM_FORM = Form("the program", OPTIONS, f"{PROGRAM} --help lists its options")
_WITH_VALUE = frozenset(row.flag for row in OPTIONS if row.kind != "switch")


class Options(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    home: str = ""
    commands: tuple[str, ...] = ()  # those of -c, or the one written out
    machine: tuple[str, ...] = ()  # `node` or `scheduler`, and its options
    script: str = ""
    dry_run: bool = False
    no_ui: bool = False
    demo: bool = False
    streams: int | None = None
    drain_s: float = 10.0
    passphrase_file: str = ""
    completion: str = ""
    complete: str | None = None  # the line, which may be empty
    version: bool = False
    help: bool = False


def read_options(argv: Sequence[str]) -> Options:
    """The options in `argv`. Raises UsageError."""
    own, command = _divided(argv)
    values = convert_values(PROGRAM_FORM, bind_values(PROGRAM_FORM, own))
    given = {row.field: values.get(row.field, row.default) for row in OPTIONS}
    commands = tuple(cast("tuple[str, ...]", given["command"] or ()))
    if command and commands:
        raise UsageError(f'"{command[0]}" stands beside -c', "give each command by its own -c, or one command alone")
    machine = tuple(command) if command and command[0] in MACHINES else ()
    if command and not machine:
        commands = (shlex.join(command),)
    script = str(given["script"] or "")
    if script and commands:
        raise UsageError("commands and a script cannot be given at once", "put the commands into the script")
    streams = cast("int | None", given["streams"])
    if streams is not None and streams > STREAMS_MAX:
        raise UsageError(f"--streams: {streams} is too many", f"{STREAMS_MAX} is the most")
    completion = str(given["completion"] or "")
    if completion not in ("", *SHELLS):
        raise UsageError(f"there is no completion for {completion}", f"there is for {', '.join(SHELLS)}")
    return Options(
        home=str(given["home"] or ""),
        commands=commands,
        machine=machine,
        script=script,
        dry_run=bool(given["dry_run"]),
        no_ui=bool(given["no_ui"]),
        demo=bool(given["demo"]),
        streams=streams,
        drain_s=units.parse_span(str(given["drain"] or "0s")),
        passphrase_file=str(given["passphrase_file"] or ""),
        completion=completion,
        complete=None if given["complete"] is None else str(given["complete"]),
        version=bool(given["version"]),
        help=bool(given["help"]),
    )


def _divided(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program's own words, each value tied to its option, and the words of a command after them."""
    own: list[str] = []
    at = 0
    while at < len(argv):
        word = argv[at]
        if not word.startswith("-") or word == "-":
            return own, list(argv[at:])
        if word == "--":
            return own, list(argv[at + 1 :])
        name, sign, value = word.partition("=")
        name = SHORT.get(name, name)
        at += 1
        if name in _WITH_VALUE and not sign and at < len(argv):
            sign, value = "=", argv[at]
            at += 1
        own.append(f"{name}{sign}{value}")
    return own, []
