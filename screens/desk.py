"""What a screen may ask of the program: to understand a line, to suggest one, to run an operation.

The console implements it; screens know nothing of parsers, threads or futures. What can go wrong comes back
as a `Problem`, a line for people, never as an exception. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from engine.contract.operations import Operation, Result
from engine.contract.steering import SteerJobs, SteerResult


class Problem(NamedTuple):
    """Why something cannot be done, as one line with what to do."""

    line: str


class HelpWanted(NamedTuple):
    """The line asks how to write a verb (empty: which verbs there are)."""

    verb: str


class Suggestion(NamedTuple):
    """One way to go on with a line: the whole line it makes, the part to show, and what it means."""

    line: str
    shown: str
    help: str = ""


class Desk(Protocol):
    """The one door from screens into the program."""

    def understand(self, line: str) -> Operation | HelpWanted | Problem:
        """Read a line as the palette, scripts and the command line do."""
        ...

    def suggest(self, line: str) -> tuple[Suggestion, ...]:
        """How the line may go on, likeliest first."""
        ...

    def synopsis(self, line: str) -> str:
        """How the verb that `line` begins with is written; empty while there is none."""
        ...

    def submit(self, line: str) -> None:
        """Run a line and remember it."""
        ...

    def recall(self, text: str, *, anywhere: bool) -> Sequence[str]:
        """Lines written before: those that begin with `text`, oldest first; `anywhere`: that hold it, newest first."""
        ...

    def ask(self, operation: Operation, then: Callable[[Result | Problem], None]) -> None:
        """Run an operation and hand over what comes back, later; nothing is shown."""
        ...

    def weddings(self) -> Sequence[tuple[str, str]]:
        """Every wedding's name, and what tells it from others: as far as known now."""
        ...

    def request(self, operation: Operation) -> None:
        """Run an operation: ask first where it can't be undone, then show what comes back."""
        ...

    def open_line(self, line: str = "") -> None:
        """Open the command line with this in it."""
        ...

    def open_form(self, name: str, given: Mapping[str, str]) -> None:
        """Open the form of the operation `name`, with these fields filled in."""
        ...

    def steer(self, operation: SteerJobs, then: Callable[[SteerResult | None], None]) -> None:
        """Do one thing with jobs and tell how it went in one sentence; `then` gets the result, None when it failed."""
        ...

    def open_jobs(self, match: str = "") -> None:
        """Open the list of jobs, narrowed to `match`."""
        ...

    def open_job(self, job: str) -> None:
        """Open one job, by its id or its first digits."""
        ...

    def open_storage(self) -> None:
        """Open the screen of tiers, regions, copies and what moves between them."""
        ...

    def open_scaling(self) -> None:
        """Open the screen of workers, as they were and are forecast, and what they cost."""
        ...

    def command_of(self, operation: str, arguments: str) -> str:
        """The line that asks for the operation of this name with these arguments (JSON); empty where there is none."""
        ...

    def show(self, title: str, operation: Operation, result: msgspec.Struct) -> None:
        """Show what is known already as a result of `operation`."""
        ...
