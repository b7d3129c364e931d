"""The palette: every operation of the catalog, and what the console itself can do, searched as one types.

A reader of the catalog like the command line and scripts. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from engine.contract.catalog import CATALOG, OperationSpec
from wedsync_tui.commands import synopsis


class Command(NamedTuple):
    """One row of the palette."""

    text: str
    help: str
    act: Callable[[], object]


class Commanded(Protocol):
    """An app that has commands."""

    def palette_commands(self) -> list[Command]:
        """All of them, in the order they are shown."""
        ...


class OperationProvider(Provider):
    """Feeds Textual's palette."""

    def _commands(self) -> list[Command]:
        return cast(Commanded, self.app).palette_commands()

    async def discover(self) -> Hits:
        """All of them, in the order of the catalog."""
        for text, words, act in self._commands():
            yield DiscoveryHit(text, act, text=text, help=words)

    async def search(self, query: str) -> Hits:
        """Those that match what is typed, in the line or in the words about it."""
        matcher = self.matcher(query)
        for text, words, act in self._commands():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), act, text=text, help=words)
            elif query.casefold() in words.casefold():
                yield Hit(0.01, text, act, text=text, help=words)


def operation_commands(choose: Callable[[OperationSpec], object]) -> list[Command]:
    """Every operation of the catalog; `choose` gets the one that is chosen."""
    return [Command(synopsis(spec), help_of(spec), partial(choose, spec)) for spec in CATALOG]


def help_of(spec: OperationSpec) -> str:
    """What the palette says of an operation."""
    return f"{spec.help} Asks first." if spec.confirm else spec.help
