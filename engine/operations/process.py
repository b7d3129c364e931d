"""This process, made ready for an engine: open files, thread changes, a log that stays off the screen. Any thread."""

from __future__ import annotations

import contextlib
import gc
import logging
import resource
import sys

OPEN_FILES_WANTED = 65_536
SWITCH_INTERVAL_S = 0.0005  # streams hand the interpreter over soon, so that loop and screen stay quick
COLLECTED_AFTER = 50_000  # new objects: a unit of small files makes thousands, and none of them in a ring


def make_ready() -> None:
    """More open files, a quicker change of threads, fewer collections and a quieter log than Python gives by itself."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if not gc.get_freeze_count():  # once: what an engine before this one left behind must not stay
        gc.freeze()  # modules and classes do: looking through them again and again takes 3 % of a backup
    gc.set_threshold(COLLECTED_AFTER, 20, 50)
    logging.raiseExceptions = False  # a log that cannot be written (disk full) must not write to the screen instead
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
