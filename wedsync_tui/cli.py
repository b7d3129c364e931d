"""The front door: what was asked for on the command line, and who does it.

In: argv, environment, standard streams. Out: an exit code (design: 0 done, 1 failed, 2 usage, 3 warnings, 4 not
permitted, 5 integrity). Everything is read and checked before an engine is started. Whatever goes wrong ends as
one line; no traceback leaves here. Main thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path

from engine.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, UsageError, WedSyncError
from engine.base.units import format_count
from engine.base.version import VERSION
from wedsync_tui import background
from wedsync_tui.background import Background
from wedsync_tui.entrance import Entrance
from wedsync_tui.mainthread import SIGNALS, MainThread
from wedsync_tui.options import PROGRAM, Options, read_options
from wedsync_tui.output import Output, worse
from wedsync_tui.passphrase import Passphrase
from wedsync_tui.script import PROBLEMS_SHOWN, HelpStep, Script, read_commands, read_script
from wedsync_tui.wiring import attach, default_home, demo_home, log_of


def main() -> None:
    """What `wedsync_tui.__main__` hands over to. Does not come back."""
    code = run(sys.argv[1:], os.environ, divide=lambda: background.divide() if background.is_at_terminal() else None)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # all is done: what comes now must not change how it ended
    sys.exit(code)


def run(
    argv: Sequence[str],
    environment: MutableMapping[str, str],
    *,
    divide: Callable[[], Background | None] = lambda: None,
) -> int:
    """Do what `argv` says. Returns the exit code; raises nothing.

    `divide` makes this process one that can go on in the background; called only when it starts an engine.
    """
    output = Output.of_process(debug=environment.get("WEDSYNC_DEBUG", "") not in {"", "0"})
    log = ""
    try:
        options = read_options(argv)
        log = str(log_of(_home(options, environment)))
        return _Door(options, environment, output, divide).enter()
    except WedSyncError as error:
        return output.error(error)
    except KeyboardInterrupt:
        output.note(f"{PROGRAM}: interrupted")
        return EXIT_FAILED
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        return output.bug(error, log)


class _Door:
    """One call of the program."""

    def __init__(
        self,
        options: Options,
        environment: MutableMapping[str, str],
        output: Output,
        divide: Callable[[], Background | None],
    ) -> None:
        self._options = options
        self._environment = environment
        self._output = output
        self._divide = divide

    def enter(self) -> int:
        """Answer, or start an engine and hand over."""
        options = self._options
        if options.help or options.version:
            self._output.page(_page(options))
            return EXIT_DONE
        if options.completion or options.complete is not None:
            words = _completion(options, self._home())
            if words:  # an empty line would be a word to the shell
                self._output.page(words)
            return EXIT_DONE
        if options.machine:
            from wedsync_tui import machines

            passphrase = self._passphrase()
            return machines.run(options.machine, self._home(), passphrase, streams=options.streams, output=self._output)
        script = self._script()
        if script.problems:
            return self._refuse(script)
        if options.dry_run:
            verb = "is" if len(script.steps) == 1 else "are"
            self._output.note(f"{format_count(len(script.steps), 'step')} {verb} well formed; nothing was done")
            return EXIT_DONE
        if script.steps and all(isinstance(step, HelpStep) for step in script.steps):
            return self._answer(script)
        if not self._is_headless():
            from wedsync_tui.console import open_console

            return open_console(options, script, self._entrance(), output=self._output)
        return self._headless(script)

    def _headless(self, script: Script) -> int:
        self._output.raw = script.writes_standard_output
        options, entrance = self._options, self._entrance()
        entrance.recovers = script.recovers
        is_run = bool(script.steps or options.script)
        with MainThread() as main:
            opened = entrance.attach_or_start(main) if is_run else entrance.start(main)
            headless = entrance.door(opened, self._output, main)
            code = EXIT_FAILED
            try:
                if options.demo and not opened.is_attached:
                    headless.prepare_demo(self._home(), wait=True)
                if is_run:
                    code = headless.run(script)
                    ended = headless.leave(code, to_jobs=False, drain_s=0.0)
                else:
                    code = headless.serve()
                    ended = headless.stop(drain_s=options.drain_s)
            except BaseException:
                opened.engine.close(drain_s=0.0)
                raise
        return worse(code, ended)

    # --- what was asked ---

    def _script(self) -> Script:
        options = self._options
        if options.commands:
            return read_commands(options.commands)
        if not options.script:
            return Script(())
        if options.script == "-":
            script = read_script(sys.stdin.buffer.read(), "standard input")
            if script.reads_standard_input is not None:
                raise UsageError(
                    f"{script.reads_standard_input}standard input is the script itself", "give --file FILE"
                )
            return script
        path = Path(options.script)
        try:
            return read_script(path.read_bytes(), path.name)
        except OSError as problem:
            raise UsageError(f"the script {path} cannot be read: {problem.strerror}") from None

    def _refuse(self, script: Script) -> int:
        for problem in script.problems[:PROBLEMS_SHOWN]:
            self._output.error(problem.error, problem.place)
        more = len(script.problems) - PROBLEMS_SHOWN
        if more > 0:
            self._output.note(f"and {more} more; nothing was done")
        return EXIT_USAGE

    def _answer(self, script: Script) -> int:
        from wedsync_tui import help as pages

        for step in script.steps:
            if isinstance(step, HelpStep):
                self._output.page(pages.page(step.verb))
        return EXIT_DONE

    def _is_headless(self) -> bool:
        if self._options.no_ui or self._options.commands:
            return True
        at_a_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        if self._options.script:
            return not at_a_terminal or self._options.script == "-"
        if not at_a_terminal:
            raise UsageError("the console needs a terminal", "run it in one, or give --no-ui or a command")
        return False

    def _home(self) -> Path:
        return _home(self._options, self._environment)

    def _entrance(self) -> Entrance:
        return Entrance(self._home(), self._passphrase, streams=self._options.streams, divide=self._divide)

    def _passphrase(self) -> Passphrase:
        if self._options.demo:
            from fixtures.demo import PASSPHRASE

            return Passphrase({"WEDSYNC_PASSPHRASE": PASSPHRASE})
        file = Path(self._options.passphrase_file) if self._options.passphrase_file else None
        return Passphrase(self._environment, file=file)


def _home(options: Options, environment: MutableMapping[str, str]) -> Path:
    """Where the engine lives. The demo never touches the home of the environment."""
    if options.home:
        return Path(options.home).expanduser().absolute()
    if options.demo:
        return demo_home()
    if environment.get("WEDSYNC_HOME"):
        return Path(environment["WEDSYNC_HOME"]).expanduser().absolute()
    return default_home()


def _completion(options: Options, home: Path) -> str:
    """What the shell asked for. Names come from the engine of the home, if one runs; none is started."""
    from wedsync_tui import completion, shells

    if options.completion:
        return shells.BASH
    known = completion.Known(list_folder=completion.folder_names)
    with contextlib.suppress(WedSyncError):
        opened = attach(home)
        if opened is not None:
            known = completion.known_from(opened.engine.status())
            opened.engine.close(drain_s=0.0)
    return shells.page(shells.candidates(options.complete or "", known))


def _page(options: Options) -> str:
    from wedsync_tui import help as pages

    if options.version:
        return f"{PROGRAM} {VERSION}"
    return pages.program_page()
