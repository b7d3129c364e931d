"""How many jobs of each class may be at work, and opened, at once. Pure.

Low classes leave room for higher ones: of the jobs at work, and of those being opened, standard may be all but a
fifth, next-day all but a tenth, retrieval all but a sixteenth, so a job of today finds a place however many others
there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from engine.contract.weddings import JobClass

OPENING_MAX = 16  # jobs whose vault and source are being opened at once
SHARES: Mapping[JobClass, float] = {"same-day": 1.0, "retrieval": 15 / 16, "next-day": 0.9, "standard": 0.8}


def blocked_classes(*, at_work: int, limit: int, opening: int) -> frozenset[JobClass]:
    """The classes of which no further job may begin now; at most `limit` jobs are at work."""
    return frozenset(
        name
        for name, share in SHARES.items()
        if at_work >= math.ceil(limit * share) or opening >= math.ceil(OPENING_MAX * share)
    )
