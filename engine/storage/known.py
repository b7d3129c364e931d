"""Stores in folders, recognised: an empty mount point is never taken for the store that is mounted there.

A store that is opened for the first time gets a file of its own beside its objects (`MARKER`, a random word), and the
home remembers the word. Where a store that the home knows has no such file, or another's, its disk is not mounted, or
another is: that is Unavailable, and nothing is written there. A folder is filled anew only where somebody has put an
empty marker into it, which says so. Stores of before get theirs when they are first opened. Any thread; blocks.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.base.atomic import replace_file
from engine.base.entropy import SystemEntropy
from engine.base.errors import Unavailable
from engine.base.shapes import from_json
from engine.storage.stores.failures import explain, shown
from engine.storage.stores.open import folder_of, open_store
from engine.storage.stores.store import ObjectStore

MARKER = ".wedsync-store"  # no name of an object begins with a dot, so no list shows it and nothing copies it
_MARKER_BYTES_MAX = 256
_LOG = logging.getLogger(__name__)


class KnownStores:
    """The words of the stores that a home has opened, by URL."""

    def __init__(self, path: Path | None, *, keep: bool = True) -> None:
        """`path`: the file of the home, written unless `keep` is False; None: in memory.

        One that is damaged is as good as none.
        """
        self._path = path if keep else None
        self._lock = threading.RLock()
        self._words: dict[str, str] = {}  # under the lock
        if path is not None:
            try:
                self._words = from_json(path.read_bytes(), dict[str, str])
            except FileNotFoundError:
                pass
            except (OSError, msgspec.MsgspecError) as error:
                _LOG.warning("%s cannot be read, so stores are taken as they are: %s", path, error)

    def is_known(self, url: str) -> bool:
        """Whether the store at `url` was opened before."""
        with self._lock:
            return url in self._words

    def open(self, url: str, *, create: bool, holds: Callable[[], bool]) -> ObjectStore:
        """The store at `url`, made if it is missing, was never seen, and `create`.

        `holds`: whether copies are known to lie there, asked where the home knows no word yet. Raises Unavailable
        where it is not the store that was there, and what `open_store` raises.
        """
        folder = folder_of(url)
        if folder is None:
            return open_store(url, create=create)
        with self._lock:
            word, found = self._words.get(url), _marker_in(folder)
            if word is not None and found != word:
                if found != "":
                    raise _not_there(folder, found)
                create = False  # somebody says that this one is to be filled
            elif word is None and not found:
                if found is None and _is_bare(folder) and holds():
                    raise _not_there(folder, found)
            else:
                create = False
            store = open_store(url, create=create)
            self._remember(url, folder, word, found)
            return store

    def _remember(self, url: str, folder: str, word: str | None, found: str | None) -> None:
        """See that folder and home have one word. Where either cannot be written, the store goes unrecognised."""
        try:
            if not found:
                found = word or SystemEntropy().token(16).hex()
                replace_file(Path(folder, MARKER), f"{found}\n".encode(), mode=0o644)
            if found != word:
                self._words[url] = found
                if self._path is not None:
                    replace_file(self._path, msgspec.json.encode(self._words))
        except OSError as error:
            _LOG.warning("the store at %s gets no marker: %s", shown(folder), error)


def _marker_in(folder: str) -> str | None:
    """The word in a folder's marker; None: it has none. Raises Unavailable and the like."""
    try:
        with open(os.path.join(folder, MARKER), "rb") as file:
            return file.read(_MARKER_BYTES_MAX).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, folder) from error


def _is_bare(folder: str) -> bool:
    """Whether nothing is there that could be a store."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return not any(name for name in os.listdir(folder) if name != "lost+found")
    return True


def _not_there(folder: str, found: str | None) -> Unavailable:
    where, marker = shown(folder), shown(os.path.join(folder, MARKER))
    if found is None:
        hint = f"mount its disk; only if that is lost and this one is to be filled anew, make an empty file {marker}"
        return Unavailable(f"the store that belongs to {where} is not there", hint)
    hint = f"mount the right disk; only if this one is to take its place, make its file {marker} empty"
    return Unavailable(f"another store than before lies at {where}", hint)
