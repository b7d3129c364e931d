"""Which engine the doors talk to: the one that runs on the home, in another process, or one in this process.

In: a home, a passphrase or how to get one, wishes of the command line. Out: an `EngineHandle`, and whether it is
somebody else's. The only edges from the program into `engine.local` and `engine.remote`; both wait until an engine is
wanted, so that help and a mistyped line answer at once. Main thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import platformdirs

from engine.base.errors import Conflict
from engine.contract.cluster import Machine, Tls
from engine.contract.handle import EngineHandle

APPLICATION = "wedsync"
LOOKS = 100  # for an engine that has begun to start, or not yet ended
BETWEEN_LOOKS_S = 0.05


class OpenEngine(msgspec.Struct, frozen=True):
    """An engine to work with."""

    engine: EngineHandle
    is_attached: bool  # it lives in another process, and goes on without this one
    went_away: Callable[[], bool] = lambda: False  # whether it ended without a word, as when it was killed


def start_node(home: Path, passphrase: Callable[[], str], machine: Machine, tell: Callable[[str], None]) -> None:
    """Be a node of a cluster until a signal, or until it is told to leave. Raises WedSyncError."""
    from engine.node import run_node

    run_node(home, passphrase, machine, tell)


def start_scheduler(listen: str, tls: Tls, tell: Callable[[str], None]) -> None:
    """Be the scheduler of a cluster until a signal. Raises WedSyncError."""
    from engine.node import run_scheduler

    run_scheduler(listen, tls, tell)


def default_home() -> Path:
    """Where an engine lives when nobody says otherwise."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False)


def demo_home() -> Path:
    """Where the sample weddings live."""
    return default_home().with_name(f"{APPLICATION}-demo")


def history_file() -> Path:
    """Where the lines are kept that this person wrote in consoles."""
    return platformdirs.user_state_path(APPLICATION, appauthor=False) / "history"


def log_of(home: Path) -> Path:
    """Where the engine of this home writes its log."""
    return home / "logs" / "engine.jsonl"


def attach(home: Path) -> OpenEngine | None:
    """The engine that runs on this home, if one can be found. Raises WedSyncError where it will not have us."""
    from engine.remote import RemoteEngine

    engine = RemoteEngine.attach(home)
    return None if engine is None else OpenEngine(engine, True, lambda: engine.went_away)


def start_engine(home: Path, passphrase: Callable[[], str], *, streams: int | None) -> OpenEngine:
    """Start an engine in this process. Raises Conflict when one runs on this home already, WedSyncError."""
    from engine.local import LocalEngine

    return OpenEngine(LocalEngine.start(home, passphrase, streams=streams), False)


def open_engine(home: Path, start: Callable[[], OpenEngine]) -> OpenEngine:
    """The engine that runs on this home, else the one that `start` starts.

    Others do the same at the same moment: an engine may come between the look and the start, or go between the look
    and the hello. So a start that is refused is followed by another look, for as long as an engine may take to begin
    or to end. Raises WedSyncError.
    """
    for left in range(LOOKS, -1, -1):
        found = attach(home)
        if found is not None:
            return found
        try:
            return start()
        except Conflict:
            if not left:
                raise
            threading.Event().wait(BETWEEN_LOOKS_S)
    raise AssertionError("the last look ends it")
