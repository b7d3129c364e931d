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
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._is_unwritten = False  # some of it; under the lock, as the numbers are
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
        with self._lock:
            before = self._numbers.get(f"{repository}:{folder}", 0)
        if number < before:
            raise IntegrityError(
                f"the repository shows {folder}{number}, but this home has seen {folder}{before}",
                "it was set back to an older state; use an up-to-date copy",
            )

    def remember(self, repository: str, folder: str, number: int) -> None:
        """From now on less than `number` is refused; it has to have authenticated.

        Where the home's disk is full, until this engine ends; it is written down at a later call.
        """
        key = f"{repository}:{folder}"
        with self._lock:
            if number > self._numbers.get(key, 0):
                self._numbers[key] = number
            elif not self._is_unwritten:
                return
            self._write()

    def _write(self) -> None:
        """Write all down. Called under the lock."""
        if self._path is None:
            return
        try:
            replace_file(self._path, msgspec.json.encode(self._numbers))
        except OSError as error:
            if not self._is_unwritten:
                _LOG.warning("%s cannot be written: %s; its numbers are in memory only", self._path, error.strerror)
            self._is_unwritten = True
        else:
            self._is_unwritten = False
