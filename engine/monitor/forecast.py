"""When something that grows will be full: a straight line through what it was, least squares. Pure."""

from __future__ import annotations

from collections.abc import Sequence

SPAN_NS_MIN = 3600 * 10**9  # less than an hour says nothing of days
AHEAD_NS_MAX = 5 * 365 * 86_400 * 10**9

Sample = tuple[int, int]  # nanoseconds since 1970, bytes used


def full_ns(samples: Sequence[Sample], capacity_bytes: int) -> int | None:
    """When `capacity_bytes` will be used, by `samples` (oldest first); None: it does not grow, or not in five years."""
    if len(samples) < 2 or samples[-1][0] - samples[0][0] < SPAN_NS_MIN:
        return None
    begin_ns, used = samples[0][0], samples[-1][1]
    hours = [(time_ns - begin_ns) / 3.6e12 for time_ns, _ in samples]
    mean_h = sum(hours) / len(hours)
    mean_b = sum(each for _, each in samples) / len(samples)
    spread = sum((hour - mean_h) ** 2 for hour in hours)
    per_hour = sum((hour - mean_h) * (each - mean_b) for hour, (_, each) in zip(hours, samples, strict=True)) / spread
    if used >= capacity_bytes:
        return samples[-1][0]
    if per_hour <= 0:
        return None
    ahead_ns = round((capacity_bytes - used) / per_hour * 3.6e12)
    return samples[-1][0] + ahead_ns if ahead_ns <= AHEAD_NS_MAX else None
