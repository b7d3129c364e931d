"""A token bucket: at most so many bytes a second, some of it at once after a pause. Pure; the caller locks.

It may go into debt, by whatever was let through while it was open; then it stays shut until that is paid.
"""

from __future__ import annotations

BURST_S = 0.5  # how much of a rate may be used at once after a pause
_SOON_S = 0.001  # so that a wait for it to open ends with it open


class TokenBucket:
    """Meters one flow of bytes; without a rate it is always open."""

    __slots__ = ("_refilled_s", "_tokens", "bytes_per_s")

    def __init__(self) -> None:
        self.bytes_per_s: float | None = None
        self._tokens = 0.0
        self._refilled_s = 0.0

    def set_rate(self, bytes_per_s: float | None, now_s: float) -> None:
        """Another rate, more than nothing, from now on; None: none. What is owed from before stays owed."""
        self._refill(now_s)
        if self.bytes_per_s is None:
            self._tokens = 0.0
        self.bytes_per_s = bytes_per_s

    def take(self, count: float) -> None:
        """So many bytes have passed (or did not, after all: a negative count)."""
        if self.bytes_per_s is not None:
            self._tokens -= count

    def wait_s(self, now_s: float) -> float:
        """How long until it is open; 0 when it is."""
        self._refill(now_s)
        if self.bytes_per_s is None or self._tokens > 0:
            return 0.0
        return _SOON_S - self._tokens / self.bytes_per_s

    def _refill(self, now_s: float) -> None:
        if self.bytes_per_s is not None:
            gained = (now_s - self._refilled_s) * self.bytes_per_s
            self._tokens = min(self._tokens + gained, BURST_S * self.bytes_per_s)
        self._refilled_s = now_s
