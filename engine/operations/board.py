"""What the autoscaler last decided, for whoever shows it or holds back by it. Engine loop only."""

from __future__ import annotations

import msgspec

from engine.scaling.autoscaler import Decision, ScalerState
from engine.scaling.outlook import Outlook


class Board(msgspec.Struct):
    """The newest decision, and what it stands on."""

    state: ScalerState = ScalerState()
    newest: Decision | None = None
    is_auto: bool = False  # it is carried out
    outlook: Outlook | None = None  # what is to come, as last forecast
    held_since_ns: int | None = None  # since when upkeep that was due has been held back

    def may_do_upkeep(self, now_ns: int) -> bool:
        """Whether migration, scrub and prune may begin by themselves now; if not, it counts as held back from now on.

        Without the autoscaler they always may.
        """
        if not self.is_auto or self.newest is None or self.newest.tolerant_workers > 0:
            self.held_since_ns = None
            return True
        if self.held_since_ns is None:
            self.held_since_ns = now_ns
        return False
