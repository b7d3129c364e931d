"""The ways to one bucket: each endpoint with its client, its breaker, and the rate that was measured on it.

Calls go to the endpoints in proportion to their rates (smooth weighted round robin, as in nginx); one that does not
answer gives way to the next, and rests after a few failures in a row. A slow one keeps a twentieth of the best one's
weight, so that its recovery is seen. Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from obstore import exceptions
from obstore.store import S3Store as Client

from engine.base.clock import Clock
from engine.base.errors import Unavailable
from engine.base.units import KIB
from engine.contract.status import EndpointRow
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.congestion import Congestion
from engine.storage.stores.parts import Sender
from engine.storage.stores.replies import Archived, explain_reply

Answer = TypeVar("Answer")

MEASURED_FROM_BYTES = 64 * KIB  # below, a call tells of the delay and not of the rate
NEWEST_SHARE = 0.2  # of a rate, by the newest call
WEIGHT_MIN_SHARE = 0.05  # of the best endpoint's weight


class Endpoint:
    """One way."""

    def __init__(
        self, url: str, client: Client, breaker: Breaker, congestion: Congestion, *, sender: Sender | None = None
    ) -> None:
        """`url`: shown to people. `sender`: sends the parts of large objects, if there are keys for it."""
        self.url = url
        self.sender = sender
        self.client = client
        self.breaker = breaker
        self.congestion = congestion
        self.bytes_per_s: float | None = None  # all below: guarded by the lock of `Endpoints`
        self.bytes_moved = 0
        self.failures = 0
        self.turn = 0.0

    def figures(self) -> EndpointRow:
        """How it does."""
        return EndpointRow(
            url=self.url,
            bytes_per_s=self.bytes_per_s,
            bytes_moved=self.bytes_moved,
            failures=self.failures,
            is_resting=self.breaker.is_open,
            congestion=self.congestion.in_use,
        )


class Endpoints:
    """All ways to one bucket."""

    def __init__(self, endpoints: Sequence[Endpoint], *, store_url: str, clock: Clock) -> None:
        self._endpoints = endpoints
        self._store_url = store_url
        self._clock = clock
        self._lock = threading.Lock()

    def figures(self) -> tuple[EndpointRow, ...]:
        """How each does."""
        with self._lock:
            return tuple(endpoint.figures() for endpoint in self._endpoints)

    @property
    def share_parts(self) -> bool:
        """Whether the parts of one object can go by several endpoints."""
        return len(self._endpoints) > 1 and all(endpoint.sender is not None for endpoint in self._endpoints)

    def send(self, name: str, ask: Callable[[Sender], Answer], *, size_bytes: int = 0) -> Answer:
        """As `call`, by the senders; only if they `share_parts`."""

        def ask_sender(endpoint: Endpoint) -> Answer:
            assert endpoint.sender is not None
            return ask(endpoint.sender)

        return self._use(name, ask_sender, size_bytes)

    def call(self, name: str, ask: Callable[[Client], Answer], *, size_bytes: int = 0) -> Answer:
        """The answer of the first endpoint that has one. `ask` may be called again, to go on where it stopped.

        `size_bytes`: about what it moves. Raises what the service says; Unavailable when no endpoint answers.
        """
        return self._use(name, lambda endpoint: ask(endpoint.client), size_bytes)

    def _use(self, name: str, ask: Callable[[Endpoint], Answer], size_bytes: int) -> Answer:
        failure: Unavailable | None = None
        for endpoint in self._in_turn():
            begin_s = self._clock.monotonic_s()
            try:
                endpoint.breaker.check(self._store_url)
                answer = ask(endpoint)
            except Unavailable as rests:
                failure = failure or rests
                continue
            except (exceptions.BaseError, OSError) as error:
                explained = explain_reply(error, name=name, url=self._store_url)
                if not isinstance(explained, Unavailable) or isinstance(explained, Archived):
                    endpoint.breaker.note(failed=False)
                    raise explained from error
                endpoint.breaker.note(failed=True)
                explained.__cause__ = error
                failure = explained
                with self._lock:
                    endpoint.failures += 1
                continue
            endpoint.breaker.note(failed=False)
            self._measure(endpoint, size_bytes, self._clock.monotonic_s() - begin_s)
            return answer
        assert failure is not None  # there is at least one endpoint
        raise failure

    def _in_turn(self) -> list[Endpoint]:
        """All endpoints: the one whose turn it is, then the others, those that rest last."""
        if len(self._endpoints) == 1:
            return [self._endpoints[0]]
        with self._lock:
            best = max((each.bytes_per_s or 0.0 for each in self._endpoints), default=0.0) or 1.0
            weights = {
                each: max(each.bytes_per_s if each.bytes_per_s is not None else best, WEIGHT_MIN_SHARE * best)
                for each in self._endpoints
            }
            awake = [each for each in self._endpoints if not each.breaker.is_open] or list(self._endpoints)
            for each in awake:
                each.turn += weights[each]
            chosen = max(awake, key=lambda each: each.turn)
            chosen.turn -= sum(weights[each] for each in awake)
        others = [each for each in self._endpoints if each is not chosen]
        return [chosen, *sorted(others, key=lambda each: (each.breaker.is_open, -weights[each]))]

    def _measure(self, endpoint: Endpoint, size_bytes: int, took_s: float) -> None:
        if size_bytes >= MEASURED_FROM_BYTES:
            with self._lock:
                endpoint.bytes_moved += size_bytes
                if took_s > 0:
                    rate, known = size_bytes / took_s, endpoint.bytes_per_s
                    endpoint.bytes_per_s = rate if known is None else known + NEWEST_SHARE * (rate - known)
        endpoint.congestion.look_if_due()
