"""Is a change of a setting better beyond noise? Pairs of runs that alternate, before and after, and a verdict. Pure.

A machine that others use is slow for a while and fast for a while: so the two are measured in turns, each pair gives a
ratio, and a change is kept only when every pair says the same (with five pairs, one in 32 by chance: the sign test) and
the middle one is more than a trifle.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.base.units import format_count

PAIRS = 5
GAIN_MIN = 1.03  # what less is worth, no change is
STORED_MORE_MAX = 1.01  # a faster setting may not store more than this

Knob = Literal["engine.streams", "engine.compression_level", "engine.unit", "engine.pack", "engine.read_ahead"]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took, and stored. Seconds; bytes in the store."""

    seconds: float
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say. `gain` is how many times as fast the middle pair was with the change."""

    is_better: bool
    is_worse: bool
    gain: float
    words: str


def judged(pairs: Sequence[tuple[Run, Run]]) -> Verdict:
    """Of (before, after) pairs. Fewer than `PAIRS` are never enough for a change."""
    gains = [before.seconds / after.seconds for before, after in pairs]
    gain = statistics.median(gains)
    more = max(after.stored_bytes / max(1, before.stored_bytes) for before, after in pairs)
    words = f"{gain:.2f} × as fast, {format_count(len(pairs), 'pair')} from {min(gains):.2f} to {max(gains):.2f}"
    if len(pairs) < PAIRS:
        why = "no better" if is_hopeless(pairs) else "too few pairs to tell"
        return Verdict(False, False, gain, f"{words}: {why}")
    if more > STORED_MORE_MAX:
        return Verdict(False, False, gain, f"{words}, but it stores {more:.2f} × as much")
    if min(gains) > 1 and gain >= GAIN_MIN:
        return Verdict(True, False, gain, f"{words}: better beyond noise")
    if max(gains) < 1 and gain <= 1 / GAIN_MIN:
        return Verdict(False, True, gain, f"{words}: worse beyond noise")
    return Verdict(False, False, gain, f"{words}: no difference beyond noise")


def is_hopeless(pairs: Sequence[tuple[Run, Run]]) -> bool:
    """Whether more pairs cannot make a change better any more: one already said otherwise."""
    return any(after.seconds >= before.seconds for before, after in pairs)


def candidates(knob: Knob, now: str, cores: int) -> tuple[str, ...]:
    """Values next to what is set now."""
    if knob == "engine.streams":
        streams = int(now)
        near = dict.fromkeys((streams + 1, max(1, streams - 1), 2 * cores))
        return tuple(str(each) for each in near if each != streams)
    if knob == "engine.compression_level":
        return tuple(str(each) for each in (1, 3, 6) if str(each) != now)
    values = {
        "engine.unit": ("4MiB", "8MiB", "16MiB"),
        "engine.pack": ("16MiB", "32MiB", "64MiB"),
        "engine.read_ahead": ("32MiB", "64MiB", "128MiB"),
    }[knob]
    at = values.index(now)
    return tuple(values[near] for near in (at + 1, at - 1) if 0 <= near < len(values))
