"""Lines to a terminal that may be cut: a pseudo-terminal here, one through sshd on loopback, one inside tmux.

What runs at the other end is the program, as a person's shell would start it. A thread reads what is drawn, so that no
terminal stalls unless a test wants it to.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.wedsync_tui.processes import PROGRAM, WAIT_S, environment, eventually

SIZE = (24, 80)
_ESCAPES = re.compile(rb"\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78A-Z])")
# Makes the terminal its own before it becomes the program, as a login does.
_LOGIN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Line:
    """A terminal with a program on it."""

    def __init__(self, argv: list[str], given: dict[str, str], cwd: Path) -> None:
        """Runs `argv` as the first process of a session of its own."""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", *SIZE, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, *argv],
            env={"TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none", **given},
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._lock = threading.Lock()
        self._drawn = b""  # under the lock
        self.is_read = threading.Event()
        self.is_read.set()
        self._is_open = True
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def drawn(self) -> str:
        """All that was drawn so far, without the escapes."""
        with self._lock:
            data = self._drawn
        return _ESCAPES.sub(b"", data).decode(errors="replace")

    def forget(self) -> None:
        """Look only at what is drawn from now on."""
        with self._lock:
            self._drawn = b""

    def until(self, *words: str) -> None:
        """Wait until all these have been drawn."""
        if not eventually(lambda: all(word in self.drawn for word in words) or self.process.poll() is not None):
            raise AssertionError(f"{words} did not come: {self.drawn[-2000:]}")
        assert all(word in self.drawn for word in words), self.drawn[-2000:]

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def cut(self) -> None:
        """The line is gone, without a word."""
        self._close()

    def ended(self) -> int:
        """Wait for the program, as the shell does."""
        return self.process.wait(timeout=WAIT_S)

    def close(self) -> None:
        """The end of a test, also of one that failed."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.is_read.set()
            self._reader.join()
            os.close(self.master)

    def _read(self) -> None:
        while self._is_open:
            self.is_read.wait()
            try:
                if select.select([self.master], [], [], 0.02)[0] and self.is_read.is_set():
                    data = os.read(self.master, 65_536)
                    with self._lock:
                        self._drawn += data
            except OSError:
                return


@contextlib.contextmanager
def direct(home: Path, *argv: str, **more: str) -> Iterator[Line]:
    """The program on a terminal of this machine."""
    line = Line([*PROGRAM, *argv], environment(home, **more), home.parent)
    try:
        yield line
    finally:
        line.close()


class Sshd:
    """A real sshd on loopback, with keys of its own, for the user who runs the tests."""

    PATH = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def __init__(self, folder: Path) -> None:
        assert self.PATH is not None
        self._folder = folder
        folder.mkdir()
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=WAIT_S
            )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it puts its unprivileged half
        self.process, self.port = self._started()

    def _started(self) -> tuple[subprocess.Popen[bytes], int]:
        """On a port that was free a moment ago; if it is not any more, on another."""
        assert self.PATH is not None
        for _ in range(10):
            port = _free_port()
            (self._folder / "sshd_config").write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self._folder}/host\n"
                f"AuthorizedKeysFile {self._folder}/user.pub\nStrictModes no\nPasswordAuthentication no\n"
                "PidFile none\nPrintMotd no\nPermitUserEnvironment no\nAcceptEnv LANG\n"
            )
            log = (self._folder / "log").open("wb")
            command = [self.PATH, "-D", "-e", "-f", str(self._folder / "sshd_config")]
            process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
            log.close()
            said = self._folder / "log"
            assert eventually(lambda: b"listening" in said.read_bytes() or process.poll() is not None)  # noqa: B023
            if process.poll() is None:
                return process, port
        raise AssertionError((self._folder / "log").read_text())

    def command(self, *words: str, terminal: bool) -> list[str]:
        """How a person logs in and runs `words`."""
        return [
            "ssh", "-F", "none", "-q", "-tt" if terminal else "-T", "-p", str(self.port),
            "-i", str(self._folder / "user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "127.0.0.1", shlex.join(words),
        ]  # fmt: skip

    @contextlib.contextmanager
    def line(self, home: Path, *argv: str, terminal: bool = True, **more: str) -> Iterator[Line]:
        """A login that runs the program. Cutting it kills the client, so that the connection just ends."""
        given = environment(home, TERM="xterm-256color", TEXTUAL_ANIMATIONS="none", **more)
        words = ["env", "-C", str(home.parent), *(f"{name}={value}" for name, value in given.items()), *PROGRAM, *argv]
        line = Line(self.command(*words, terminal=terminal), dict(os.environ), home.parent)
        try:
            yield line
        finally:
            line.close()

    def close(self) -> None:
        """End it and every login that is left."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=WAIT_S)


class Tmux:
    """The program inside tmux, nobody looking: its server draws for whoever attaches."""

    PATH = shutil.which("tmux")

    def __init__(self, home: Path, *argv: str, **more: str) -> None:
        assert self.PATH is not None
        self._tmux = [self.PATH, "-S", str(home.parent / "tmux"), "-f", os.devnull]
        given = environment(home, TEXTUAL_ANIMATIONS="none", **more)
        self._ask(
            "new-session", "-d", "-x", "80", "-y", "24", shlex.join([*PROGRAM, *argv]), given=given, cwd=home.parent
        )

    def __enter__(self) -> Tmux:
        """It runs."""
        return self

    def __exit__(self, *_: object) -> None:
        """It ends."""
        self.kill()

    def type(self, *keys: str) -> None:
        """Press keys."""
        self._ask("send-keys", *keys)

    def until(self, *words: str) -> None:
        """Wait until all these stand on the screen."""
        assert eventually(lambda: all(word in self._ask("capture-pane", "-p") for word in words)), words

    def kill(self) -> None:
        """The server ends, and with it the terminal."""
        self._ask("kill-server")

    def _ask(self, *words: str, given: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        command = [*self._tmux, *words]
        return subprocess.run(command, env=given, cwd=cwd, capture_output=True, text=True, check=False).stdout


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
