"""The door to the console: start the engine, ask what must be asked on the plain terminal, draw, and stop in order.

In: options, home, passphrase. Out: an exit code. The console itself is `wedsync_tui.app`; it is imported here only,
and only when everything else is settled, so that nothing without a screen loads Textual and no question waits for it.
Main thread.
"""

from __future__ import annotations

from engine.base.errors import EXIT_DONE, EXIT_FAILED, WedSyncError
from engine.base.shapes import convert
from engine.contract import operations as ops
from engine.contract.handle import EngineHandle
from engine.contract.settings import ConsoleSettings
from wedsync_tui.entrance import Entrance
from wedsync_tui.headless import Headless
from wedsync_tui.mainthread import MainThread
from wedsync_tui.options import Options
from wedsync_tui.output import Output, worse
from wedsync_tui.passphrase import Passphrase
from wedsync_tui.script import Script
from wedsync_tui.wiring import OpenEngine, history_file, log_of


def open_console(options: Options, script: Script, entrance: Entrance, *, output: Output) -> int:
    """Draw the console on the engine of this home until it ends. Returns the exit code."""
    output.raw = True  # a screen is drawn on standard output: no JSON lines before or after it
    with MainThread() as main:
        opened = entrance.attach_or_start(main)
        door = entrance.door(opened, output, main)
        try:
            if options.demo and not opened.is_attached:
                door.prepare_demo(entrance.home, wait=False)
            _ask_first(door, entrance.passphrase)
            settings = _console_settings(opened.engine)
        except WedSyncError as error:
            return worse(output.error(error), door.stop(drain_s=0.0))
        except BaseException:
            opened.engine.close(drain_s=0.0)
            raise
    from wedsync_tui.app import Outcome, run_console
    from wedsync_tui.history import History

    if entrance.passphrase is not None:
        entrance.passphrase.main = None  # from here on the terminal is the screen's
    outcome = run_console(
        opened.engine,
        settings=settings,
        script=script if script.steps else None,
        history=History(history_file()),
        is_attached=opened.is_attached,
    )
    code = EXIT_DONE
    if outcome is Outcome.CRASHED:
        output.note(f"the console failed and the engine did not; {log_of(entrance.home)} has the reason")
        code = EXIT_FAILED
    with MainThread() as main:
        door = entrance.door(opened, output, main)
        door.seen_seq = _newest_event(opened.engine)
        return worse(code, _end(door, opened, outcome.value, code=code, drain_s=options.drain_s))


def _end(door: Headless, opened: OpenEngine, outcome: str, *, code: int, drain_s: float) -> int:
    """What becomes of the engine. Returns the exit code."""
    if opened.is_attached:
        if outcome == "stopped":
            stopped = "went away" if opened.went_away() else "has stopped"
            door.output.note(f"the engine {stopped}; start the console again to open one")
        return max(door.stop(drain_s=0.0), EXIT_FAILED if opened.went_away() else EXIT_DONE)
    if outcome in {"left", "detached", "crashed"}:
        return door.leave(code, to_jobs=True, drain_s=drain_s)
    if outcome == "quit":
        return door.leave(code, to_jobs=False, drain_s=drain_s)
    return door.stop(drain_s=drain_s if outcome == "terminated" else 0.0)


def _ask_first(door: Headless, passphrase: Passphrase | None) -> None:
    """Let the repository open, and a person type what it needs, while the terminal is still plain."""
    if passphrase is None or passphrase.known:
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
    return convert(values, ConsoleSettings, strict=False)


def _newest_event(engine: EngineHandle) -> int:
    return max((event.seq for event in engine.events(0).events), default=0)
