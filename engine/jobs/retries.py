"""Whether a failed job is tried again, and when: exponential backoff with full jitter. Pure.

The wait before attempt n + 1 is drawn evenly from nothing to `BASE_S` × 2ⁿ⁻¹, at most `WAIT_MAX_S`, so a thousand
jobs that lost the same store do not all come back in the same second (Brooker, "Exponential Backoff And Jitter").
"""

from __future__ import annotations

from engine.base.errors import Unavailable, WedSyncError

BASE_S = 2.0
WAIT_MAX_S = 300.0
_DOUBLINGS_MAX = 16


def is_retried(error: WedSyncError, *, failures: int, limit: int) -> bool:
    """Whether a job that failed `failures` times, last with `error`, gets another attempt; `limit` is for all of them.

    Only what may pass by itself does: a store that does not answer. What a person has to change does not.
    """
    return isinstance(error, Unavailable) and failures < limit


def wait_s(failures: int, draw: float) -> float:
    """Seconds before the next attempt after `failures` ≥ 1 of them; `draw` is chance, 0 ≤ draw < 1."""
    ceiling = min(WAIT_MAX_S, BASE_S * 2.0 ** min(failures - 1, _DOUBLINGS_MAX))
    return ceiling * draw
