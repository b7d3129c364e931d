"""How one call of the program comes to an engine: the passphrase, the division of the process, the choice of engine.

In: a home, options, the environment. Out: an engine, and what goes with it. A passphrase is looked for only when an
engine is started here; that of an engine which runs already is that engine's affair. Main thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wedsync_tui.background import Background
from wedsync_tui.headless import Headless
from wedsync_tui.mainthread import MainThread
from wedsync_tui.output import Output
from wedsync_tui.passphrase import Passphrase
from wedsync_tui.wiring import OpenEngine, open_engine, start_engine


class Entrance:
    """Used once."""

    def __init__(
        self,
        home: Path,
        passphrase: Callable[[], Passphrase],
        *,
        streams: int | None,
        divide: Callable[[], Background | None],
    ) -> None:
        """`passphrase` and `divide` are called at most once, and only when an engine is started here."""
        self.home = home
        self.passphrase: Passphrase | None = None
        self.background: Background | None = None
        self.recovers = False  # the passphrase is of a repository that is there, though not known here yet
        self._make_passphrase = passphrase
        self._streams = streams
        self._divide = divide

    def attach_or_start(self, main: MainThread) -> OpenEngine:
        """The engine of this home: the one that runs, else one in this process. Raises WedSyncError."""
        return open_engine(self.home, lambda: self._start(main))

    def start(self, main: MainThread) -> OpenEngine:
        """An engine in this process, which stays here. Raises Conflict when one runs already, WedSyncError."""
        self._divide = lambda: None
        return self._start(main)

    def door(self, opened: OpenEngine, output: Output, main: MainThread) -> Headless:
        """Something that works with the engine without a screen. What happened before it came is not its news."""
        seen = max((event.seq for event in opened.engine.events(0).events), default=0) if opened.is_attached else 0
        if opened.is_attached and self._streams is not None:
            output.note("--streams is for an engine that is started; this one runs already: scale changes it")
        return Headless(
            opened.engine,
            output,
            main,
            is_attached=opened.is_attached,
            background=self.background,
            seen_seq=seen,
        )

    def _start(self, main: MainThread) -> OpenEngine:
        if self.passphrase is None:
            self.background = self._divide()
            self.passphrase = self._make_passphrase()
        passphrase = self.passphrase
        passphrase.main = main
        opened = start_engine(self.home, passphrase, streams=self._streams)
        passphrase.making = lambda: opened.engine.status().status == "no-repository" and not self.recovers
        return opened
