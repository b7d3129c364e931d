"""The door to the console: start the engine, ask what must be asked on the plain terminal, draw, and stop in order.

In: options, home, passphrase. Out: an exit code. The console itself is `wedsync_tui.app`; it is imported here only,
and only when everything else is settled, so that nothing without a screen loads Textual and no question waits for it.
Main thread.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.base.errors import EXIT_FAILED, WedSyncError
from engine.contract import operations as ops
from engine.contract.handle import EngineHandle
from engine.contract.settings import ConsoleSettings
from wedsync_tui.headless import Headless
from wedsync_tui.mainthread import MainThread
from wedsync_tui.options import Options
from wedsync_tui.output import Output, worse
from wedsync_tui.passphrase import Passphrase
from wedsync_tui.script import Script
from wedsync_tui.wiring import log_of, open_engine

LET_JOBS_END_S = 7 * 86_400.0  # after a hang-up: as long as a job can take


def open_console(options: Options, script: Script, passphrase: Passphrase, *, home: Path, output: Output) -> int:
    """Draw the console on an engine of this home until it ends. Returns the exit code."""
    output.raw = True  # a screen is drawn on standard output: no JSON lines before or after it
    with MainThread() as main:
        passphrase.main = main
        engine = open_engine(home, passphrase, streams=options.streams)
        passphrase.making = lambda: engine.status().status == "no-repository"
        door = Headless(engine, output, main)
        try:
            if options.demo:
                door.prepare_demo(home, wait=False)
            _ask_first(door, passphrase)
            settings = _console_settings(engine)
        except WedSyncError as error:
            return worse(output.error(error), door.stop(drain_s=0.0))
        except BaseException:
            engine.close(drain_s=0.0)
            raise
    from wedsync_tui.app import Outcome, run_console

    passphrase.main = None  # from here on the terminal is the screen's
    outcome = run_console(engine, settings=settings, script=script if script.steps else None)
    with MainThread() as main:
        code = Headless(engine, output, main, seen_seq=_newest_event(engine)).stop(
            drain_s=_drain_s(outcome.value, options)
        )
    if outcome is Outcome.CRASHED:
        output.note(f"the console failed and the engine did not; {log_of(home)} has the reason")
        return EXIT_FAILED
    return code


def _ask_first(door: Headless, passphrase: Passphrase) -> None:
    """Let the repository open, and a person type what it needs, while the terminal is still plain."""
    if passphrase.known:
        return
    status = door.settle()
    if status == "no-repository":
        passphrase.ask_before_the_screen()
    else:
        door.check_repository()


def _console_settings(engine: EngineHandle) -> ConsoleSettings:
    rows = engine.call(ops.ReadConfiguration(key="console")).result(timeout=10.0)
    if not isinstance(rows, ops.Configuration):
        return ConsoleSettings()
    values = {row.key.removeprefix("console."): row.value for row in rows.settings if row.key.startswith("console.")}
    return msgspec.convert(values, ConsoleSettings, strict=False)


def _newest_event(engine: EngineHandle) -> int:
    return max((event.seq for event in engine.events(0).events), default=0)


def _drain_s(outcome: str, options: Options) -> float:
    """How long jobs may go on: to their end after a hang-up, as agreed after a signal, not at all after a quit."""
    if outcome == "detached":
        return LET_JOBS_END_S
    return options.drain_s if outcome in {"terminated", "crashed"} else 0.0
