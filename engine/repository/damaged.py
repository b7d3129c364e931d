"""Packs that this home has found damaged, so that no backup relies on what only they hold. Any thread.

Kept in the home, by the packs' names, which no two packs of any repository share: to write it into the repository
would take packs that were found damaged out of it for good, and a home's findings may be its own machine's. What is
lost with the file the next `verify` finds again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from engine.base.atomic import replace_file
from engine.base.shapes import from_json
from engine.repository import layout

_LOG = logging.getLogger(__name__)


class Copies(msgspec.Struct, frozen=True):
    """What those who keep several copies are asked and told, by a pack's object name."""

    recheck: Callable[[str], bool]  # after it was read in vain: whether there is a good copy, which is then read
    verified: Callable[[str], None]  # it was read whole, and is good


class DamagedPacks:
    """A small durable set of pack names. `path` None keeps it in memory only."""

    def __init__(self, path: Path | None = None) -> None:
        """A file that cannot be read is as good as none."""
        self._path = path
        self._lock = threading.Lock()
        self._names: set[bytes] = set()
        if path is not None and path.exists():
            try:
                listed = from_json(path.read_bytes(), list[str])
            except (OSError, msgspec.MsgspecError) as error:
                _LOG.warning("%s cannot be read: %s; verify finds damaged packs again", path, error)
            else:
                self._names = {bytes.fromhex(name) for name in listed if layout.is_hash(name)}

    def names(self) -> frozenset[bytes]:
        """All of them."""
        with self._lock:
            return frozenset(self._names)

    def add(self, name: bytes) -> bool:
        """Remember a pack, durably unless the home's disk is full; whether that is news."""
        with self._lock:
            if name in self._names:
                return False
            self._names.add(name)
            self._write()
            return True

    def forget(self, names: Iterable[bytes]) -> None:
        """Packs that were read whole and are good, or that count no longer."""
        with self._lock:
            if self._names.isdisjoint(gone := set(names)):
                return
            self._names -= gone
            self._write()

    def _write(self) -> None:
        """Called under the lock."""
        if self._path is None:
            return
        try:
            replace_file(self._path, msgspec.json.encode(sorted(name.hex() for name in self._names)))
        except OSError as error:
            _LOG.warning("%s cannot be written: %s; it is in memory only", self._path, error.strerror)
