"""Which engine the doors talk to: the one edge from the program into `engine.local`.

In: a home, a passphrase or how to get one, wishes of the command line. Out: an `EngineHandle`. The import waits
until an engine is wanted, so that help and a mistyped line answer at once. Main thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from engine.contract.handle import EngineHandle

APPLICATION = "wedsync"


def default_home() -> Path:
    """Where an engine lives when nobody says otherwise."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False)


def demo_home() -> Path:
    """Where the sample weddings live."""
    return default_home().with_name(f"{APPLICATION}-demo")


def log_of(home: Path) -> Path:
    """Where the engine of this home writes its log."""
    return home / "logs" / "engine.jsonl"


def open_engine(home: Path, passphrase: Callable[[], str], *, streams: int | None) -> EngineHandle:
    """Start an engine inside this process. Raises WedSyncError where the home or its settings will not do."""
    from engine.local import LocalEngine

    return LocalEngine.start(home, passphrase, streams=streams)
