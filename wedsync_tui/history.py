"""`History`: the lines a person wrote, kept between consoles in the person's own state folder.

Bounded, readable by nobody else, written off the drawing loop. A line that begins with a blank is not kept, as in a
shell; passphrases are never part of a line. What cannot be read or written is forgotten without a word: a history is a
comfort. Drawing loop, but for `append_line`.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from pathlib import Path

from wedsync_tui.aside import Aside

LINES_MAX = 500
LINE_CHARS_MAX = 2_000
FILE_BYTES_MAX = 512 * 1024


class History:
    """Newest last. Without a path it lives as long as the console."""

    def __init__(self, path: Path | None = None, aside: Aside | None = None) -> None:
        """Reads what is there: a local file of at most 512 KiB."""
        self._path = path
        self._aside = aside or Aside()
        self.lines: deque[str] = deque(read_lines(path) if path is not None else (), maxlen=LINES_MAX)

    def add(self, line: str) -> None:
        """Remember a line, unless it is the one before or begins with a blank."""
        if not line.strip() or line[:1].isspace() or len(line) > LINE_CHARS_MAX or "\n" in line:
            return
        if self.lines and self.lines[-1] == line:
            return
        self.lines.append(line)
        path = self._path
        if path is not None:
            kept = tuple(self.lines)
            self._aside.run(lambda: append_line(path, line, kept), lambda _: None)

    def containing(self, text: str) -> list[str]:
        """Lines with `text` in them, whatever its case, each once, the newest first."""
        wanted = text.casefold()
        return list(dict.fromkeys(line for line in reversed(self.lines) if wanted in line.casefold()))

    def beginning(self, text: str) -> list[str]:
        """Lines that begin with `text`, oldest first."""
        return [line for line in self.lines if line.startswith(text)]


def read_lines(path: Path) -> list[str]:
    """The newest lines of the file; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX)
    except OSError:
        return []
    return [line for line in data.decode("utf-8", "replace").splitlines() if line and line.isprintable()][-LINES_MAX:]


def append_line(path: Path, line: str, kept: tuple[str, ...]) -> None:
    """Add a line; a file that has grown to twice what is kept is written anew. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        size_bytes = os.fstat(file.fileno()).st_size
        file.write(f"{line}\n".encode("utf-8", "replace"))
    if size_bytes > min(FILE_BYTES_MAX // 2, 2 * sum(len(one) + 1 for one in kept) + 4_096):
        fresh = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write("".join(f"{one}\n" for one in kept).encode("utf-8", "replace"))
        with contextlib.suppress(FileNotFoundError):
            fresh.replace(path)
