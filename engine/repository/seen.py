"""The highest numbers this home has seen, so that a repository that was set back is refused. Any thread."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from engine.base.atomic import replace_file
from engine.base.errors import IntegrityError


class SeenNumbers:
    """A small durable map: what is numbered → the highest number that authenticated here.

    `path` None keeps it in memory only (a home that has seen nothing).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        if path is not None and path.exists():
            try:
                self._numbers = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
            except msgspec.MsgspecError:
                raise IntegrityError(
                    f"{path} is damaged", "it guards against a repository that was set back; remove it to start anew"
                ) from None

    def check(self, key: str, number: int) -> None:
        """Remember `number` for `key`. Raises IntegrityError when a higher one was seen before."""
        with self._lock:
            before = self._numbers.get(key, 0)
            if number < before:
                raise IntegrityError(
                    f"the repository shows {key}{number}, but this home has seen {key}{before}",
                    "it was set back to an older state; use an up-to-date copy",
                )
            if number > before:
                self._numbers[key] = number
                if self._path is not None:
                    replace_file(self._path, msgspec.json.encode(self._numbers))
