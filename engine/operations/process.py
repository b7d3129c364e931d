"""This process, made ready for an engine: open files, thread changes, a log that stays off the screen. Any thread."""

from __future__ import annotations

import contextlib
import logging
import resource
import sys

OPEN_FILES_WANTED = 65_536
SWITCH_INTERVAL_S = 0.0005  # streams hand the interpreter over soon, so that loop and screen stay quick


def make_ready() -> None:
    """More open files, a quicker change of threads, and a quieter log than Python gives by itself."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    logging.raiseExceptions = False  # a log that cannot be written (disk full) must not write to the screen instead
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
