"""A console on an engine in memory, driven by a test: no timer, no animation, no blinking, a clock that stands.

Textual's driver sleeps 20 ms twice for each key, and draws every 16 ms, which comes to minutes over a run. Here both
take a quarter of that: what is seen is the same, only sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import textual._wait
import textual.screen
from textual.pilot import Pilot
from textual.widgets import Input

from engine.contract.handle import EngineHandle
from engine.contract.settings import ConsoleSettings
from screens.widgets.plot import Symbols
from screens.widgets.rows import Rows
from wedsync_tui.app import ConsoleApp, Outcome
from wedsync_tui.theme import Look

Driver = Pilot[Outcome]
QUICKER = 4

textual.screen.UPDATE_PERIOD /= QUICKER  # type: ignore[misc]
textual._wait.SLEEP_GRANULARITY /= QUICKER
textual._wait.SLEEP_IDLE /= QUICKER


def console(handle: EngineHandle, *, theme: str = "wedsync-dark", symbols: Symbols = "braille") -> ConsoleApp:
    """A console that pulls only when it is told to."""
    app = ConsoleApp(handle, settings=ConsoleSettings(theme=theme), look=Look(symbols), tick=False)
    app.animation_level = "none"
    return app


@asynccontextmanager
async def opened(handle: EngineHandle, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[ConsoleApp, Driver]]:
    """The console, drawn once."""
    app = console(handle)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield app, pilot


async def settled(pilot: Driver) -> None:
    """Let an answer of the engine arrive and be drawn."""
    for _ in range(3):
        await pilot.pause()


async def typed(pilot: Driver, line: str) -> None:
    """Open the command line, write, and press Enter."""
    await pilot.press("colon")
    await pilot.pause()
    pilot.app.screen.query_one("#line", Input).value = line
    await pilot.press("enter")
    await settled(pilot)


async def eventually(condition: Callable[[], object]) -> None:
    """Come back once `condition` holds; what is done on other threads takes its time. Fails after 20 seconds."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


def shown(app: ConsoleApp) -> str:
    """All text on the screen, line by line."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def panel(app: ConsoleApp, name: str) -> str:
    """The text of one panel of the top screen."""
    rows = app.screen.query_one(f"#{name}", Rows)
    return "\n".join("".join(span.text for span in rows.line_at(index)).rstrip() for index in range(rows.count))


def toasts(app: ConsoleApp) -> list[str]:
    """What was told."""
    return [notification.message for notification in app._notifications]


def without_colours_of_ours(patch: pytest.MonkeyPatch) -> None:
    """Forget what the person at the keyboard wishes of terminals."""
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_DIM_FACTOR", "TEXTUAL_ANIMATIONS"):
        patch.delenv(name, raising=False)
