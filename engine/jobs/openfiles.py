"""Files that were made in a watched folder and are not closed yet: looked at now and then. Pure; engine loop only.

The kernel tells when a file is made and when it is closed, not how it grows in between (it could, for each write: a
flood). So a file that stays open is looked at after a minute, and again whenever it has been open twice as long: of a
recording that grows for hours no more is read than twice what it has in the end. What is open when the
engine starts, and more than `OPEN_MAX` at once, is left to the look at everything.
"""

from __future__ import annotations

import math

import msgspec

FIRST_S = 60.0
LAST_S = 86_400.0  # by then everything was looked at
OPEN_MAX = 10_000

Seen = tuple[int, int]  # size and time of change


class _Open(msgspec.Struct):
    watches: frozenset[str]
    made_s: float
    look_s: float
    seen: Seen | None = None


class OpenFiles:
    """Files that are open, as far as known."""

    def __init__(self) -> None:
        self._new: dict[bytes, _Open] = {}  # never looked at; in the order they are due
        self._old: dict[bytes, _Open] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def made(self, path: bytes, watches: frozenset[str], now_s: float) -> None:
        """A file was made; most are closed soon."""
        if len(self) < OPEN_MAX:
            self._old.pop(path, None)
            self._new.pop(path, None)
            self._new[path] = _Open(watches, now_s, now_s + FIRST_S)

    def closed(self, path: bytes) -> None:
        """A file was closed, or is not there any more."""
        self._new.pop(path, None)
        self._old.pop(path, None)

    def due(self, now_s: float) -> list[bytes]:
        """Files to look at now; each is asked for once until `looked` answers."""
        found = []
        for path, each in self._new.items():
            if each.look_s > now_s:
                break
            found.append(path)
        for path in found:
            self._old[path] = self._new.pop(path)
        found += [path for path, each in self._old.items() if each.look_s <= now_s and path not in found]
        for path in found:
            self._old[path].look_s = math.inf
        return found

    def looked(self, path: bytes, seen: Seen | None, now_s: float) -> frozenset[str]:
        """What a file was found to be, None when it is gone; the watches to tell, if it has changed."""
        each = self._old.get(path)
        if each is None:
            return frozenset()
        if seen is None or now_s - each.made_s > LAST_S:
            del self._old[path]
            return frozenset()
        each.look_s = now_s + max(FIRST_S, now_s - each.made_s)
        has_changed, each.seen = seen != each.seen, seen
        return each.watches if has_changed else frozenset()
