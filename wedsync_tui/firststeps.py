"""`FirstSteps`: what leads a person from an empty home to the first wedding that is safe.

In: status documents. Out: a question, the form for a wedding, the dialog for a backup, each after the step before.
Saying no ends it; every step has its key, too. Drawing thread.
"""

from __future__ import annotations

from engine.contract import operations as ops
from engine.contract.status import Status
from screens.desk import Desk
from screens.dialogs.choice import Choice, ChoiceDialog
from screens.text import clean
from wedsync_tui.stage import Stage

PATIENCE = 8  # documents that may pass before a wedding that was added stands in one


class FirstSteps:
    """Offered once a console, and only on a home without a repository."""

    def __init__(self, stage: Stage, desk: Desk) -> None:
        self._stage = stage
        self._desk = desk
        self._looks = 0
        self._step = "wait"  # wait → asked → making → wedding → backup → over

    def look(self, status: Status) -> None:
        """Go on, if the step before is done and nobody is in the middle of something."""
        if self._step == "over" or self._stage.is_busy:
            return
        if self._step == "wait":
            if status.status == "no-repository":
                self._step = "asked"
                self._stage.open(welcome(status), self._answered)
            elif status.status in ("ready", "failed"):
                self._step = "over"
        elif self._step == "making" and status.status == "ready":
            self._step = "wedding"
            self._desk.open_form("wedding_add", {})
        elif self._step == "wedding":
            self._step = "over"
            if status.weddings:
                self._desk.open_form("start_backup", {"wedding": status.weddings[0].name})
            elif self._stage.courier.under_way or self._looks < PATIENCE:
                self._step = "wedding"  # it is being written, or not in the document yet
                self._looks += 1

    def _answered(self, answer: str | None) -> None:
        if answer == "make":
            self._step = "making"
            self._desk.request(ops.InitRepository())
        else:
            self._step = "over"


def welcome(status: Status) -> ChoiceDialog:
    """The question an empty home asks. Yes has the focus: nothing can be lost by it."""
    place = next((clean(tier.url.removeprefix("file://")) for tier in status.storage.tiers if tier.tier == "hot"), "")
    where = f" in {place}" if place else ""
    return ChoiceDialog(
        "Welcome. There is no repository yet.",
        (
            f"1  Make the repository{where}, locked by the passphrase you chose.",
            "2  Add the first wedding.",
            "3  Back it up.",
        ),
        (Choice("make", "Make the repository", "primary"), Choice("later", "Later")),
    )
