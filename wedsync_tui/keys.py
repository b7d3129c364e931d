"""`KeysInTurn`: a key is handed over when all that the key before it led to has been done.

Textual hands each key to the widget that has the focus, and a key that the widget does not want climbs to the app,
queue by queue. So of keys that come at once, as a paste, a quick hand or a slow line send them, a letter overtakes the
backspace before it, and the letters after `:` are taken for keys of the list below. Here a message follows each key
through the same queues; when it has come to the app, so has the key. It goes twice, for what the key itself sent goes
the same way.
In: keys of the terminal. Out: the same keys, one at a time. Drawing thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.events import Key
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import App

KEYS_MAX = 10_000  # keys that may wait; what comes beyond is lost
ROUNDS = 2
LOOK_S = 0.1  # how often it is looked whether a follower went away with its widget


class Followed(Message):
    """It comes to the app behind a key. Whoever gets it on its way does nothing with it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class KeysInTurn:
    """One for an app, which hands its keys to `take` and each `Followed` to `came`."""

    def __init__(self, app: App[Any], press: Callable[[Key], Awaitable[None]]) -> None:
        """`press` gives a key to whoever it is for."""
        self._app = app
        self._press = press
        self._waiting: deque[Key] = deque()
        self._is_under_way = False
        self._number = 0  # of the follower that is out
        self._rounds = 0
        self._target: Widget | Screen[Any] | None = None
        self._screen: Screen[Any] | None = None  # where the key was pressed
        self._limit: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a key has not had its turn, or is not done with."""
        return self._is_under_way or bool(self._waiting)

    async def take(self, key: Key) -> None:
        """A key has come."""
        if len(self._waiting) < KEYS_MAX:
            self._waiting.append(key)
        if not self._is_under_way:
            await self._next()

    async def _next(self) -> None:
        if not self._waiting:
            return
        self._is_under_way = True
        self._target, self._screen, self._rounds = self._app.focused or self._app.screen, self._app.screen, 0
        await self._press(self._waiting.popleft())
        self._follow()

    def _follow(self) -> None:
        self._number += 1
        if self._target is not None and self._target.post_message(Followed(self._number)):
            self._look_later(self._number)
        else:
            self._app.call_later(self.came, self._number)

    def _look_later(self, number: int) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = asyncio.get_running_loop().call_later(LOOK_S, self._look, number)

    def _look(self, number: int) -> None:
        if number == self._number and self._target is not None and self._target.is_attached:
            self._look_later(number)  # it is only slow
        else:
            self.came(number)

    def came(self, number: int) -> None:
        """The follower is back, or lost. One that was given up may still come, and is late."""
        if number != self._number:
            return
        self._number += 1
        self._rounds += 1
        if self._rounds < ROUNDS:
            self._follow()
        else:
            self._app.call_later(self._go_on)  # behind what the key put into the app's own queue: a change of the focus

    async def _go_on(self) -> None:
        if self._app.screen is not self._screen:  # the next key is for another screen, once that stands
            self._screen = self._app.screen
            self._screen.call_after_refresh(self._app.call_later, self._go_on)
            return
        self._is_under_way = False
        await self._next()
