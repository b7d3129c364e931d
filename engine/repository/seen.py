"""The highest numbers this home has seen, so that a repository that was set back is refused. Any thread.

Kept by repository: a home that is pointed at another one, or whose repository was made anew, starts anew for it.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

from engine.base.atomic import replace_file
from engine.base.errors import IntegrityError, NotPermitted
from engine.base.shapes import from_json

_LOG = logging.getLogger(__name__)


class SeenNumbers:
    """A small durable map: repository and what is numbered → the highest number that authenticated here.

    `path` None keeps it in memory only (a home that has seen nothing).
    """

    def __init__(self, path: Path | None) -> None:
        """Raises IntegrityError for a damaged file, NotPermitted for one that cannot be read."""
        self._path = path
        self._changed = threading.Condition()
        self._numbers: dict[str, int] = {}  # with all below, guarded by `_changed`
        self._unwritten: set[str] = set()  # of them, those to be written next
        self._in_flight: set[str] = set()  # those that are being written, by one thread at a time
        self._has_failed = False  # the last time
        if path is not None and path.exists():
            try:
                self._numbers = from_json(path.read_bytes(), dict[str, int])
            except OSError as error:
                raise NotPermitted(f"{path} cannot be read: {error.strerror}") from None
            except msgspec.MsgspecError:
                raise IntegrityError(
                    f"{path} is damaged", "it guards against a repository that was set back; remove it to start anew"
                ) from None

    def check(self, repository: str, folder: str, number: int) -> None:
        """Refuse less than was seen, else remember `number` of `folder`. Raises IntegrityError."""
        self.refuse_less(repository, folder, number)
        self.remember(repository, folder, number)

    def refuse_less(self, repository: str, folder: str, number: int) -> None:
        """Raise IntegrityError when a higher number of `folder` was seen before."""
        with self._changed:
            before = self._numbers.get(f"{repository}:{folder}", 0)
        if number < before:
            raise IntegrityError(
                f"the repository shows {folder}{number}, but this home has seen {folder}{before}",
                "it was set back to an older state; use an up-to-date copy",
            )

    def remember(self, repository: str, folder: str, number: int) -> None:
        """From now on less than `number` is refused; it has to have authenticated. Comes back when it is durable.

        Where the home's disk is full, until this engine ends; it is written down at a later call.
        """
        key = f"{repository}:{folder}"
        with self._changed:
            if number > self._numbers.get(key, 0):
                self._numbers[key] = number
                self._unwritten.add(key)
            self._changed.wait_for(lambda: not self._in_flight or self._is_durable(key))
            if self._is_durable(key) and not self._has_failed:
                return
            self._in_flight, self._unwritten = self._unwritten, set()
            data = msgspec.json.encode(self._numbers)
        error = self._written(data)
        with self._changed:
            if error is not None:
                self._unwritten |= self._in_flight
                if not self._has_failed:
                    _LOG.warning("%s cannot be written: %s; its numbers are in memory only", self._path, error.strerror)
            self._has_failed = error is not None
            self._in_flight = set()
            self._changed.notify_all()

    def _is_durable(self, key: str) -> bool:
        return key not in self._unwritten and key not in self._in_flight

    def _written(self, data: bytes) -> OSError | None:
        """Write all down, outside the lock: what comes meanwhile is written together, next. Why it failed, if so."""
        try:
            if self._path is not None:
                replace_file(self._path, data)
        except OSError as error:
            return error
        return None
