"""`Folders`: the names in folders of this machine, for completion, read off the drawing loop.

What is known is answered at once; what is not is read aside, and `changed` is called when it has come. So a mount that
hangs costs the suggestions in it and nothing else. Drawing loop only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wedsync_tui.aside import Aside
from wedsync_tui.completion import folder_names

FRESH_S = 5.0
KEPT_MAX = 64


class Folders:
    """A small memory of folders."""

    def __init__(self, aside: Aside, *, time_s: Callable[[], float]) -> None:
        self._aside = aside
        self._time_s = time_s
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._reading: set[str] = set()
        self.changed: Callable[[], None] = lambda: None
        self.read: Callable[[str], list[str]] = folder_names

    def names(self, folder: str) -> Iterable[str]:
        """The names in `folder`, as far as known now."""
        at_s, names = self._known.get(folder, (float("-inf"), []))
        if self._time_s() - at_s > FRESH_S and folder not in self._reading:
            self._reading.add(folder)
            if not self._aside.run(lambda: self.read(folder), lambda found: self._came(folder, found)):
                self._reading.discard(folder)
        return names

    @property
    def is_reading(self) -> bool:
        """Whether names may still come."""
        return bool(self._reading)

    def _came(self, folder: str, names: list[str]) -> None:
        self._reading.discard(folder)
        is_news = self._known.get(folder, (0.0, None))[1] != names
        self._known.pop(folder, None)
        self._known[folder] = (self._time_s(), names)
        while len(self._known) > KEPT_MAX:
            self._known.pop(next(iter(self._known)))
        if is_news:
            self.changed()
