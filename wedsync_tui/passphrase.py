"""Where the repository's passphrase comes from, in this order: option, environment, file, command, the person.

It is taken once, removed from the environment, and never shown: no message, log or process list has it. The
engine asks for it (on a thread of its own) only when there is a repository to open or to make, so a person is
asked only then, by the main thread, and never while a screen is drawn.
"""

from __future__ import annotations

import getpass
import shlex
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path

from engine.base.errors import UsageError
from wedsync_tui.headless import ask_new_passphrase
from wedsync_tui.mainthread import MainThread

COMMAND_TIMEOUT_S = 60.0
PASSPHRASE_BYTES_MAX = 4096
_HINT = "set WEDSYNC_PASSPHRASE, WEDSYNC_PASSPHRASE_FILE or WEDSYNC_PASSPHRASE_COMMAND, or start at a terminal"


class Passphrase:
    """Callable by the engine, from any thread. `main` and `making` are set by the door that starts the engine."""

    def __init__(self, environment: MutableMapping[str, str], *, file: Path | None = None) -> None:
        given = environment.pop("WEDSYNC_PASSPHRASE", "")
        named = environment.pop("WEDSYNC_PASSPHRASE_FILE", "")
        command = environment.pop("WEDSYNC_PASSPHRASE_COMMAND", "")
        self.main: MainThread | None = None
        self.making: Callable[[], bool] = lambda: False
        self._text = ""
        if file is not None:
            self._text = _first_line(_read(file), f"{file}")
        elif given:
            self._text = given
        elif named:
            self._text = _first_line(_read(Path(named)), "the file WEDSYNC_PASSPHRASE_FILE names")
        elif command:
            self._text = _first_line(_output_of(command), "WEDSYNC_PASSPHRASE_COMMAND")

    def __repr__(self) -> str:
        """Never the passphrase."""
        return f"<Passphrase {'known' if self._text else 'not known'}>"

    @property
    def known(self) -> bool:
        """Whether nobody needs to be asked."""
        return bool(self._text)

    def __call__(self) -> str:
        """The passphrase. Raises UsageError when there is none and nobody to ask."""
        if self._text:
            return self._text
        if self.main is None or not sys.stdin.isatty():
            raise UsageError("the repository's passphrase is not known", _HINT)
        self._text = self.main.ask(ask_new_passphrase if self.making() else _ask)
        return self._text

    def ask_before_the_screen(self) -> None:
        """Have a person choose one for a repository that will be made from the console. Empty leaves it."""
        if not self._text and sys.stdin.isatty():
            self._text = getpass.getpass("Passphrase for the new repository (empty: later): ")
            if self._text and getpass.getpass("The same again: ") != self._text:
                self._text = ""
                raise UsageError("the two passphrases differ", "start again")


def _ask() -> str:
    text = getpass.getpass("Passphrase: ")
    if not text:
        raise UsageError("no passphrase was given", _HINT)
    return text


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PASSPHRASE_BYTES_MAX + 1)
    except OSError as problem:
        raise UsageError(f"the passphrase file {path} cannot be read: {problem.strerror}") from None


def _output_of(command: str) -> bytes:
    try:
        done = subprocess.run(
            shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError) as problem:
        reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        raise UsageError(f"WEDSYNC_PASSPHRASE_COMMAND cannot be run: {reason}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"WEDSYNC_PASSPHRASE_COMMAND did not end within {COMMAND_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise UsageError(f"WEDSYNC_PASSPHRASE_COMMAND ended with code {done.returncode}", "run it by hand to see why")
    return done.stdout


def _first_line(data: bytes, where: str) -> str:
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        raise UsageError(f"{where} gives no passphrase", "its first line is taken")
    if len(line) > PASSPHRASE_BYTES_MAX:
        raise UsageError(f"{where} gives a line that is too long for a passphrase")
    return line.decode("utf-8", "surrogateescape")
