"""`Stepper`: a script run inside the console, visibly, step by step.

Flows in: the steps of `wedsync_tui.script`. Flows out: operations, lines of the log, a notice in the top line. It
stops at the first failure, like every other door. Drawing thread; it awaits, and never blocks.
"""

from __future__ import annotations

import asyncio

from engine.base.errors import UsageError, WedSyncError
from engine.contract.handle import EngineHandle
from engine.contract.operations import Result
from screens.text import Span, clean, cut, line_of
from wedsync_tui.desk import not_here
from wedsync_tui.output import failure_of
from wedsync_tui.script import CommandStep, ExpectStep, LetStep, Script, Step, facts_of, why_not
from wedsync_tui.stage import Stage

LOOK_EVERY_S = 0.1
SHOWN_CELLS = 30  # of the step that runs, in the top line
FRESH_S = 1.0  # how long a status document younger than the last result is waited for


class Stepper:
    """One script at a time."""

    def __init__(self, stage: Stage, handle: EngineHandle) -> None:
        self._stage = stage
        self._handle = handle
        self._variables: dict[str, str] = {}
        self._last: Result | None = None
        self._seq = -1  # of the document that stood when `_last` came
        self.words = ""  # where it is, for the top line

    async def run(self, script: Script) -> bool:
        """Run the steps; False when one failed."""
        for problem in script.problems:
            self._tell(f"{problem.place}{problem.error.line()}", failed=True)
        if script.problems:
            return False
        for number, step in enumerate(script.steps, start=1):
            self.words = f"script {number}/{len(script.steps)}: {cut(clean(step.text), SHOWN_CELLS)}"
            self._tell(f"{step.place}{step.text}")
            try:
                await self._step(step)
            except WedSyncError as error:
                self.words = f"script stopped at line {step.place.line}"
                self._tell(f"{step.place}{error.line()}", failed=True)
                return False
        self.words = ""
        self._tell("the script is done")
        return True

    async def _step(self, step: Step) -> None:
        if isinstance(step, CommandStep):
            operation = step.ready(self._variables)
            problem = not_here(operation)
            if problem:
                raise UsageError(problem)
            self._last = await asyncio.wrap_future(self._handle.call(operation))
            self._seq = self._handle.status().seq
            failure = failure_of(operation, self._last)
            if failure is not None:
                raise failure
        elif isinstance(step, LetStep):
            self._variables[step.name] = step.value(facts_of(self._handle.status(), self._last, self._variables))
        elif isinstance(step, ExpectStep):
            await self._expect(step)

    async def _expect(self, step: ExpectStep) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            status = self._handle.status()
            failure = why_not(step.expectation, facts_of(status, self._last, self._variables))
            if failure is None:
                return
            patience = step.expectation.within_s if status.seq > self._seq else max(step.expectation.within_s, FRESH_S)
            if loop.time() - begun >= patience:
                raise failure
            await asyncio.sleep(LOOK_EVERY_S)

    def _tell(self, words: str, *, failed: bool = False) -> None:
        shown = clean(words)
        self._stage.note(line_of(Span(f"{'✗' if failed else ':'} {shown}", "critical" if failed else "accent")))
        if failed:
            self._stage.tell(shown, severity="error")
