"""Folders in memory: tests make tens of thousands of small files, and wait for a disk at each fsync otherwise.

Nothing is lost by it: what a power cut would leave is worked out (tests/crash/disk.py), not waited for.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30


def memory_folder() -> Path | None:
    """A file system in memory with room for a whole run; None where there is none."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES
    return _MEMORY if has_room else None


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder, in memory if there is room."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as made:
        yield Path(made)
