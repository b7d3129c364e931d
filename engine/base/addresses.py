"""Where a unix socket is reached: its path, or a shorter one for the same place. Any thread.

A socket's address holds 107 bytes of path, and a home may lie deeper than that. Through a descriptor of its folder
the same socket has a short name, so there is no second place where it might lie, be found stale, or be squatted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS_BYTES_MAX = 107


@contextmanager
def address_of(path: Path) -> Iterator[bytes]:
    """An address for the socket at `path`, good inside the `with`. Raises OSError when its folder cannot be opened."""
    full = os.fsencode(path)
    if len(full) <= ADDRESS_BYTES_MAX:
        yield full
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%s" % (folder, os.fsencode(path.name))
    finally:
        os.close(folder)
