"""The console: Textual's app around an `EngineHandle`.

Flows in: status documents and events, pulled a few times a second, and answers to operations. Flows out: operations.
The screen never waits for the engine and the engine never for the screen. `run_console` draws until somebody
quits or the terminal is gone and says how it ended; what becomes of the engine then is the caller's to decide.
Main thread.
"""

from __future__ import annotations

import enum
import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Event as TerminalEvent
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.timer import Timer

import screens
from engine.base.errors import WedSyncError
from engine.base.units import format_count
from engine.contract.events import Event
from engine.contract.handle import EngineHandle
from engine.contract.settings import ConsoleSettings
from engine.contract.status import Status
from screens import view
from screens.dashboard import DashboardScreen
from screens.dialogs.choice import leave
from screens.dialogs.form import FormDialog
from screens.dialogs.retrieve import RetrieveDialog
from screens.live import LiveScreen
from screens.text import Line
from screens.widgets.command_bar import CommandBar
from wedsync_tui import terminal
from wedsync_tui.courier import Courier
from wedsync_tui.desk import ConsoleDesk
from wedsync_tui.firststeps import FirstSteps
from wedsync_tui.history import History
from wedsync_tui.keys import Followed, KeysInTurn
from wedsync_tui.palette import Command, OperationProvider, operation_commands
from wedsync_tui.script import Script
from wedsync_tui.stage import Severity
from wedsync_tui.stepper import Stepper
from wedsync_tui.theme import DARK, DEFAULT_THEME, THEMES, AsciiFilter, Look, TextConsoleFilter, look_for

if TYPE_CHECKING:
    from rich.console import RenderableType

FRAME_S = 0.050  # a frame that takes longer is a slow one
SLOW_FRAMES = 3  # so many in a row halve the rate
QUICK_FRAMES = 40  # so many in a row bring it back
SLOWEST_S = 2.0
SILENT_S = 5.0  # an engine that publishes nothing for so long is said to be silent
TOASTS_PER_PULL = 3
SETTLED_S = 1.0  # after so long all that stays has been made


class Outcome(enum.Enum):
    """How the console ended."""

    QUIT = "quit"  # somebody quit, and no job was left unfinished
    CHECKPOINT = "checkpoint"  # somebody quit and wants running jobs checkpointed now
    LEFT = "left"  # somebody quit and leaves the engine to its jobs and to other consoles
    STOPPED = "stopped"  # the engine was told to shut down
    TERMINATED = "terminated"  # SIGTERM or SIGINT: drain, then stop
    DETACHED = "detached"  # the line hung up: the engine goes on until its jobs have ended
    CRASHED = "crashed"  # the screen failed; the engine did not


class ConsoleApp(App[Outcome]):
    """The console. With `tick` False nothing is pulled by itself: tests call `pull`."""

    TITLE = "WedSync"
    CSS_PATH = Path(screens.__file__).with_name("console.tcss")
    COMMANDS: ClassVar[set[type[OperationProvider] | Callable[[], type[OperationProvider]]]] = {OperationProvider}  # type: ignore[assignment]
    COMMAND_PALETTE_DISPLAY = "^p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("o", "newest", "Newest result", show=False),
        Binding("t", "next_theme", "Theme", show=False),
    ]

    def __init__(
        self,
        handle: EngineHandle,
        *,
        settings: ConsoleSettings | None = None,
        look: Look = Look(),  # noqa: B008
        script: Script | None = None,
        tick: bool = True,
    ) -> None:
        super().__init__(driver_class=terminal.SteadyDriver)
        self._handle = handle
        self._settings = settings or ConsoleSettings()
        self._script = script
        self.is_guest = False  # whether the engine lives in another process; said by who opens the console
        self._ticks = tick
        self._interval_s = 1 / self._settings.refresh_hz
        self._timer: Timer | None = None
        self._seq = -1
        self._events_after = 0
        self._unchanged = 0
        self._slow = self._quick = 0
        self._crashed = False
        self._leaves_when_idle = self._is_asking = False
        self.courier = Courier(handle)
        self.symbols = look.symbols
        self.keys = KeysInTurn(self, super().on_event)
        self.desk = ConsoleDesk(self)
        self.guide = FirstSteps(self, self.desk)
        self.stepper = Stepper(self, handle)
        self._dashboard = DashboardScreen(self.desk, symbols=look.symbols)
        if look.symbols != "braille":
            self._filters.append(AsciiFilter() if look.symbols == "ascii" else TextConsoleFilter())
        for theme in look.themes:
            self.register_theme(theme)

    # --- starting ---

    def get_default_screen(self) -> Screen[None]:
        """The dashboard."""
        return self._dashboard

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Variables of ours that a theme of Textual's does not have."""
        return dict(DARK.variables)

    def on_mount(self) -> None:
        """Choose the theme, pull once, then keep pulling."""
        wanted = self._settings.theme
        self.theme = wanted if wanted in self.available_themes else DEFAULT_THEME
        self.courier.start()
        self.call_after_refresh(self.pull)
        if self._ticks:
            self._timer = self.set_interval(self._interval_s, self.pull)
            self.set_timer(SETTLED_S, _settle)
        if self._script is not None:
            self.run_worker(self.stepper.run(self._script), name="script")

    # --- pulling ---

    def pull(self) -> None:
        """Read the newest document and what has happened since; show what changed."""
        if self._ticks and not self.is_headless and terminal.is_lost():
            terminal.let_go()
            self.exit(Outcome.DETACHED)
            return
        started = self._loop_time()
        try:
            status = self._handle.status()
            batch = self._handle.events(self._events_after)
        except WedSyncError as error:
            self._unchanged += 1
            self.tell(error.line(), severity="error")
            return
        is_new = status.seq != self._seq
        self._unchanged = 0 if is_new else self._unchanged + 1
        if not is_new and not batch.events and self._unchanged * self._interval_s < SILENT_S:
            return
        self._seq = status.seq
        if batch.events:
            self._events_after = batch.events[-1].seq
        notice = self._notice(status, batch.dropped)
        with self.batch_update():
            self._dashboard.apply(status, batch.events, notice=notice)
            for screen in self.screen_stack:
                if isinstance(screen, LiveScreen) and screen.is_mounted:
                    screen.apply(status, notice=notice)
        told = [one for one in batch.events if self._is_told(one)]
        for event in told[-TOASTS_PER_PULL:]:
            severity: Severity = "information" if event.level == "info" else event.level
            self.tell(view.event_words(event), severity=severity)
        self._leave_if_over(status)
        self.guide.look(status)
        if self._ticks:
            self.call_after_refresh(self._frame_took, started)

    def _is_told(self, event: Event) -> bool:
        """Whether a toast tells of it: not where it is seen anyway, nor what somebody did to many jobs at once."""
        if event.level == "info":
            return event.kind == "job-ended" and not isinstance(self.screen, LiveScreen)
        return not event.job or event.job not in self.desk.hushed

    def _notice(self, status: Status, dropped: int) -> str:
        parts = []
        if self._unchanged * self._interval_s >= SILENT_S:
            parts.append(f"engine silent for {self._unchanged * self._interval_s:.0f} s")
        if self._leaves_when_idle:
            left = view.unfinished(status)
            verb = "has" if left == 1 else "have"
            parts.append(f"quitting when {format_count(left, 'job')} {verb} ended (q decides again)")
        if self.stepper.words:
            parts.append(self.stepper.words)
        if dropped:
            parts.append(f"{format_count(dropped, 'event')} dropped")
        return ", ".join(parts)

    def _leave_if_over(self, status: Status) -> None:
        if status.status == "stopped":
            self.exit(Outcome.STOPPED)
        elif self._leaves_when_idle and not view.unfinished(status):
            self.exit(Outcome.QUIT)

    def _loop_time(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _frame_took(self, started: float) -> None:
        """Pull half as often while frames are slow, and as often as wished when they are quick again."""
        is_slow = self._loop_time() - started > FRAME_S
        self._slow, self._quick = (self._slow + 1, 0) if is_slow else (0, self._quick + 1)
        if self._slow >= SLOW_FRAMES and self._interval_s < SLOWEST_S:
            self._pull_every(min(SLOWEST_S, self._interval_s * 2))
        elif self._quick >= QUICK_FRAMES and self._interval_s > 1 / self._settings.refresh_hz:
            self._pull_every(max(1 / self._settings.refresh_hz, self._interval_s / 2))

    def _pull_every(self, seconds: float) -> None:
        self._slow = self._quick = 0
        self._interval_s = seconds
        if self._timer is not None:
            self._timer.stop()
            self._timer = self.set_interval(seconds, self.pull)

    # --- the stage ---

    @property
    def is_busy(self) -> bool:
        """See `Stage.is_busy`."""
        return isinstance(self.screen, ModalScreen) or any(bar.is_open for bar in self.screen.query(CommandBar))

    def status(self) -> Status:
        """See `Stage.status`."""
        return self._handle.status()

    def open(self, screen: Screen[Any], then: Callable[[Any], None] | None = None) -> None:
        """See `Stage.open`."""
        self.push_screen(screen, then)

    def open_line(self, line: str) -> None:
        """See `Stage.open_line`."""
        for bar in self.screen.query(CommandBar):
            bar.open(line)

    def look_again(self) -> None:
        """See `Stage.look_again`."""
        if isinstance(self.screen, FormDialog | RetrieveDialog):
            self.screen.look_again()
        for bar in self.screen.query(CommandBar):
            bar.look_again()

    def tell(self, words: str, *, severity: Severity = "information") -> None:
        """A toast. Its words are never read as markup."""
        self.notify(words, severity=severity, markup=False, timeout=8 if severity == "error" else 4)

    def note(self, line: Line) -> None:
        """A line of the log."""
        if self._dashboard.is_mounted:
            self._dashboard.note(line)

    def palette_commands(self) -> list[Command]:
        """What the palette offers: the operations, then what the console itself can do."""
        return [
            *operation_commands(self.desk.choose),
            Command("help", "Keys and commands.", self.desk.help),
            Command("theme", "The next theme: dark, light, colour-blind safe.", self.action_next_theme),
            Command("choose theme", "Any theme, by name.", self.search_themes),
            Command("screenshot", "Save this screen as an SVG picture.", self.deliver_screenshot),
            Command("quit", "Leave the console.", self.action_quit),
        ]

    # --- keys ---

    async def on_event(self, event: TerminalEvent) -> None:
        """Keys of the terminal wait for their turn."""
        if isinstance(event, Key) and not event.is_forwarded:
            await self.keys.take(event)
        else:
            await super().on_event(event)

    def on_followed(self, event: Followed) -> None:
        """A key has been wherever it leads."""
        self.keys.came(event.number)

    def action_help(self) -> None:
        """Keys and verbs."""
        self.desk.help()

    def action_newest(self) -> None:
        """The newest result."""
        self.desk.show_newest()

    def action_next_theme(self) -> None:
        """Dark, light, colour-blind safe, and round again."""
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.tell(f"theme {self.theme}")

    async def action_quit(self) -> None:
        """Leave; ask what becomes of unfinished jobs and of other consoles, where the engine lives in this program."""
        status = self._handle.status()
        unfinished, others = view.unfinished(status), status.infrastructure.attached
        if self.is_guest or not (unfinished or others):
            self.exit(Outcome.QUIT)
        elif not self._is_asking:
            self._is_asking = True
            self.push_screen(leave(unfinished, others), self._decided)

    def _decided(self, answer: str | None) -> None:
        self._is_asking = False
        self._leaves_when_idle = answer == "wait"
        if answer in ("stop", "leave"):
            self.exit(Outcome.CHECKPOINT if answer == "stop" else Outcome.LEFT)

    def action_suspend_process(self) -> None:
        """Never: stopping the process would stop the engine's threads, too."""

    # --- ending badly ---

    def _fatal_error(self) -> None:
        """A screen failed: the log gets the details, the person a line from whoever runs us."""
        self._crashed = True
        logging.getLogger(__name__).error("the screen failed", exc_info=self._exception)
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """As `_fatal_error`, for what Textual finds wrong itself."""
        self._crashed = True
        logging.getLogger(__name__).error("the screen failed: %s", " ".join(str(one) for one in renderables))
        self._close_messages_no_wait()

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome.CRASHED if self._crashed else self.return_value or Outcome.QUIT

    def leave_from_signal(self, outcome: Outcome) -> None:
        """Leave at once; safe in a signal handler on the main thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.exit, outcome)


def _settle() -> None:
    """Let the collector pass over all that stays: looking at it again and again takes a key 45 ms each time."""
    gc.collect()
    gc.freeze()


def run_console(
    handle: EngineHandle,
    *,
    settings: ConsoleSettings,
    script: Script | None = None,
    history: History | None = None,
    is_attached: bool = False,
) -> Outcome:
    """Draw the console until it ends, on the main thread. `script` is run in it, step by step, visibly."""
    app = ConsoleApp(handle, settings=settings, look=look_for(os.environ), script=script)
    app.desk.history = history or app.desk.history
    app.is_guest = is_attached
    with terminal.guarded(
        hung_up=lambda: app.leave_from_signal(Outcome.DETACHED), ended=lambda: app.leave_from_signal(Outcome.TERMINATED)
    ):
        app.run()
    return app.outcome
