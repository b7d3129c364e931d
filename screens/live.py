"""Screens that go on living while they are looked at, and what may be done with jobs from them. Drawing thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.screen import Screen

from engine.base.units import format_count
from engine.contract.status import Status
from engine.contract.steering import JobAction, SteerJobs, SteerResult
from screens.desk import Desk
from screens.dialogs.choice import Choice, ChoiceDialog

NAMED_MAX = 5  # jobs that a question names


class LiveScreen(Screen[None]):
    """A screen that takes each status document, also while a dialog lies over it."""

    def apply(self, status: Status, *, notice: str = "") -> None:
        """Show what is new."""
        raise NotImplementedError


class JobKeys(LiveScreen):
    """The keys that do something with jobs. Subclasses say with which."""

    JOB_BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "cancel", "Cancel"),
        Binding("p", "steer('pause')", "Pause"),
        Binding("r", "steer('resume')", "Resume"),
        Binding("R", "steer('retry')", "Retry", key_display="R"),
        Binding("c", "classify", "Class"),
        Binding("colon", "line", "Command", key_display=":"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.doing = ""  # what is under way, in words

    def targets(self) -> Mapping[str, str]:
        """The jobs that are meant: id → what a person calls it (empty where that is not known)."""
        raise NotImplementedError

    def steered(self, result: SteerResult | None) -> None:
        """It is done, or could not be."""

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_steer(self, action: JobAction) -> None:
        """Do it with the jobs that are meant."""
        self._steer(action, tuple(self.targets()))

    def action_cancel(self) -> None:
        """Cancel, after a question: it cannot be taken back."""
        self.ask_cancel(self.targets())

    def ask_cancel(self, targets: Mapping[str, str], *, caution: str = "") -> None:
        """Ask whether these are to be cancelled; `caution` is one more thing to know."""
        if not targets:
            self._nothing()
            return
        jobs = tuple(targets)
        named = [words for words in list(targets.values())[:NAMED_MAX] if words]
        more = len(targets) - len(named)
        lines = [*named, *([f"and {more:,} more" if named else ""] if more else [])]
        one = "this job" if len(jobs) == 1 else format_count(len(jobs), "job")
        dialog = ChoiceDialog(
            f"Cancel {one}?",
            [
                *filter(None, lines),
                *([caution] if caution else []),
                "",
                "What was checkpointed stays for a week; R begins again.",
            ],
            (Choice("keep", "Keep"), Choice("cancel", f"Cancel {one}", "error")),
        )
        self.app.push_screen(dialog, lambda answer: self._steer("cancel", jobs) if answer == "cancel" else None)

    def action_classify(self) -> None:
        """Move into another class, which is asked for."""
        targets = self.targets()
        if not targets:
            self._nothing()
            return
        jobs = tuple(targets)
        what = (next(iter(targets.values())) if len(jobs) == 1 else "") or format_count(len(jobs), "job")
        dialog = ChoiceDialog(
            "Into which class?",
            [what, "", *_BY_DATE],
            [Choice(key, label) for key, label in _CLASSES],
        )

        def chosen(answer: str | None) -> None:
            action = next((action for action in _CLASS_ACTIONS if action == answer), None)
            if action is not None:
                self._steer(action, jobs)

        self.app.push_screen(dialog, chosen)

    def _steer(self, action: JobAction, jobs: Sequence[str]) -> None:
        if not jobs:
            self._nothing()
            return
        self.doing = f"{_DOING.get(action, 'moving')} {len(jobs):,} …"

        def ended(result: SteerResult | None) -> None:
            self.doing = ""
            self.steered(result)

        self._desk.steer(SteerJobs(action=action, jobs=tuple(jobs)), ended)

    def _nothing(self) -> None:
        self.notify("there is no job here", markup=False)


_DOING = {"cancel": "cancelling", "pause": "pausing", "resume": "resuming", "retry": "beginning again"}
_CLASS_ACTIONS: tuple[Literal["same-day", "next-day", "standard", "auto"], ...] = (
    "same-day", "next-day", "standard", "auto",
)  # fmt: skip
_BY_DATE = ("By date: as the day of the wedding gives it, and changes it;", "a retrieval: the class of retrievals.")
_CLASSES = (
    ("auto", "By date"), ("same-day", "Same-day"), ("next-day", "Next-day"), ("standard", "Standard"),
    ("back", "Leave it"),
)  # fmt: skip
