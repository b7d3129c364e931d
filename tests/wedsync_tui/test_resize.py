"""The program on a pseudo-terminal that changes its size: drawn anew, and still there."""

from __future__ import annotations

import fcntl
import signal
import struct
import termios
from pathlib import Path

from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.wedsync_tui.lines import Line, direct


def _resize(line: Line, width: int, height: int) -> None:
    line.forget()
    fcntl.ioctl(line.master, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))


def test_it_starts_follows_the_size_of_its_terminal_and_gives_it_back(tmp_path: Path) -> None:
    home = home_with_repository(tmp_path / "home")
    with direct(home, WEDSYNC_PASSPHRASE=PASSPHRASE) as line:
        line.until("Weddings", "Retrieve")
        _resize(line, 200, 50)
        line.until("This machine")
        _resize(line, 80, 24)
        line.until("Throughput", "Now")
        _resize(line, 40, 10)
        line.until("No weddings yet.")
        line.process.send_signal(signal.SIGTERM)
        assert line.ended() in (0, 1)
        assert line._drawn.rfind(b"\x1b[?1049l") > 0  # the screen that was there before
