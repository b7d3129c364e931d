"""The program without a screen: run steps in order and exit, or serve until a signal.

In: an `EngineHandle` and the steps of a script or of `-c`. Out: results, events and errors through `output`, and
an exit code. The first failure ends a run; warnings (3) let it go on. Main thread; Textual is never imported.
"""

from __future__ import annotations

import datetime as dt
import getpass
import io
import os
import signal
import sys
from concurrent.futures import CancelledError, Future
from pathlib import Path

import msgspec

from engine.base.errors import EXIT_DONE, EXIT_WARNINGS, Conflict, NotFound, UsageError, WedSyncError
from engine.base.units import format_count
from engine.contract import operations as ops
from engine.contract.handle import EngineHandle
from engine.contract.status import JOB_STATES_ENDED
from wedsync_tui import help as pages
from wedsync_tui import people
from wedsync_tui.background import Background
from wedsync_tui.mainthread import MainThread
from wedsync_tui.output import Output, failure_of, worse
from wedsync_tui.script import CommandStep, ExpectStep, HelpStep, LetStep, Script, Step, facts_of, read_script, why_not

REFRESH_S = 0.25  # between looks at the status while something runs
SETTLE_S = 0.05
GOING_ON_LOOK_S = 0.25
EXPECT_REFRESH_S = 0.05  # between looks while an expectation may still come true

FRESH_LOOKS = 20

_ANSWERS = "never, changed, always, or anything else to leave them"


class Interrupted(WedSyncError):
    """A signal ended the run."""


class Headless(msgspec.Struct):
    """One engine, one output, one waiting main thread."""

    engine: EngineHandle
    output: Output
    main: MainThread
    is_attached: bool = False  # the engine lives in another process
    background: Background | None = None  # how this process can go on when it is let go
    seen_seq: int = 0
    refresh_s: float = REFRESH_S
    is_service: bool = False  # people read what happens; in a run they read results
    variables: dict[str, str] = {}
    last: ops.Result | None = None
    seq_at_result: int = -1  # of the document that stood when `last` came
    left_running: list[str] = []  # jobs that commands began and did not wait for
    was_shut_down: bool = False  # by a command of ours

    # --- commands and scripts ---

    def run(self, script: Script) -> int:
        """Run all steps, then wait for the jobs they began. Returns the first failure's exit code, or the worst."""
        code = EXIT_DONE
        for step in script.steps:
            if self.main.signals:
                return worse(code, self.output.error(_interrupted(), step.place))
            code = worse(code, self._run_step(step))
            if code not in {EXIT_DONE, EXIT_WARNINGS}:
                return code
        if self.left_running:
            code = worse(code, self._wait_for_the_rest())
        return code

    def leave(self, code: int, *, to_jobs: bool, drain_s: float) -> int:
        """Leave the engine, which ends unless somebody else uses it, or, with `to_jobs`, while jobs are left.

        Else it goes on here, in the background where there is one: whoever waits for this program sees it end with
        `code`. `drain_s` is what a signal then leaves to jobs. Returns an exit code.
        """
        if self.is_attached or (self.main.signals and not self._is_shared()):
            return self.stop(drain_s=0.0)
        goes_on = self.engine.leave(to_jobs=to_jobs)
        if self.main.attend(goes_on, self._look, every_s=self.refresh_s) and goes_on.result():
            self._go_on(code)
            return self.stop(drain_s=drain_s)
        return self.stop(drain_s=0.0)

    def _go_on(self, code: int) -> None:
        """Until nobody uses the engine any more, or a signal comes."""
        heard = self.main.signals
        users = people.users_of(self.engine.status())
        if self.background is not None:
            self.output.note(f"the engine goes on in the background for {users}; the next start finds it")
            self.background.let_go(code)
        else:
            self.output.note(f"the engine goes on here for {users}; Ctrl-C ends it")
        while self.main.signals == heard and self.engine.status().status not in {"draining", "stopped"}:
            self.main.pause(GOING_ON_LOOK_S)
            self._tell_events()

    def _detach(self) -> int:
        """Let go of an engine of another process. One that we shut down is waited for, as our own would be."""
        while self.was_shut_down and self.engine.status().status != "stopped" and not self.main.signals:
            self.main.pause(SETTLE_S)
            self._look()
        self._tell_events()
        self.engine.close(drain_s=0.0)
        return EXIT_DONE

    def stop(self, *, drain_s: float) -> int:
        """Close the engine: jobs get `drain_s` seconds, or none once a signal comes. Returns an exit code."""
        if self.is_attached:
            return self._detach()
        heard = self.main.signals
        ended = self.engine.close(drain_s=drain_s)
        while not self.main.attend(ended, self._look, every_s=self.refresh_s, heard=heard):
            heard = self.main.signals
            if heard > 2:
                self.output.leave_at_once()
            self.output.note("checkpointing now")
            ended = self.engine.close(drain_s=0.0)
        try:
            ended.result()
        except WedSyncError as error:
            return self.output.error(error)
        finally:
            self._tell_events()
        return EXIT_DONE

    def settle(self) -> str:
        """Wait until the engine knows whether it has a repository, answering its questions. Returns its status."""
        while (status := self.engine.status().status) == "starting" and not self.main.signals:
            self.main.pause(SETTLE_S)
        return status

    def check_repository(self) -> None:
        """Raise why the repository cannot be used: WrongPassphrase, NotFound when there is none, …"""
        self._call(ops.ListWeddings())

    # --- the service ---

    def serve(self) -> int:
        """Come back when a signal came, or when the engine was told to stop. Returns an exit code."""
        try:
            self.check_repository()
        except NotFound:
            self.output.note("there is no repository yet; init makes one")
        except WedSyncError as error:
            return self.output.error(error)
        self.is_service = True
        self.output.note("serving; SIGTERM ends it")
        while not self.main.signals and self.engine.status().status != "stopped":
            self.main.pause(self.refresh_s)
            self._tell_events()
        return EXIT_DONE

    # --- the demo ---

    def prepare_demo(self, home: Path, *, wait: bool) -> None:
        """Make the sample weddings, or move them around today, and begin their backups. Quietly."""
        from fixtures import demo

        registered: list[str] | None = None
        if self.settle() != "no-repository":
            listed = self._call(ops.ListWeddings(archived=True))
            registered = [row.wedding.name for row in listed.weddings] if isinstance(listed, ops.WeddingList) else []
        today = dt.date.fromisoformat(self.engine.status().timestamp[:10])
        text = demo.script_of(home, today, registered=registered, wait=wait)
        words = io.StringIO()
        inner = Headless(self.engine, Output(io.BytesIO(), words), self.main, seen_seq=self.seen_seq)
        for step in read_script(text.encode(), "demo").steps:
            if inner._run_step(step) not in {EXIT_DONE, EXIT_WARNINGS}:
                raise WedSyncError(
                    f"the sample weddings could not be made: {words.getvalue().splitlines()[-1]}",
                    f"remove {home} and start again",
                )

    # --- steps ---

    def _run_step(self, step: Step) -> int:
        try:
            match step:
                case HelpStep():
                    self.output.page(pages.page(step.verb))
                    return EXIT_DONE
                case LetStep():
                    self.variables[step.name] = step.value(facts_of(self.engine.status(), self.last, self.variables))
                    return EXIT_DONE
                case ExpectStep():
                    self._expect(step)
                    return EXIT_DONE
                case CommandStep():
                    return self._command(step)
        except WedSyncError as error:
            self._tell_events()
            return self.output.error(error, step.place)

    def _command(self, step: CommandStep) -> int:
        operation = step.ready(self.variables)
        if isinstance(operation, ops.ReadStatus | ops.InitRepository):
            self.settle()
        if isinstance(operation, ops.AddKey):
            self.check_repository()  # before a person types a new passphrase for it
        if isinstance(operation, ops.StoreWeddingData) and operation.file == "-" and sys.stdin.isatty():
            self.output.note("reading standard input; Ctrl-D ends it")
        with _Prepared(operation, self.main) as prepared:
            result = self._call_asking(prepared.operation)
        self.last, self.seq_at_result = result, self.engine.status().seq
        self.was_shut_down = self.was_shut_down or isinstance(operation, ops.Shutdown)
        self._tell_events()
        code = self.output.result(step.text, operation, result)
        failure = failure_of(operation, result)
        if failure is not None:
            return self.output.error(failure, step.place)
        job = getattr(result, "job", None)
        if job is not None and job.state not in JOB_STATES_ENDED:
            self.left_running.append(job.id)
        if isinstance(operation, ops.WaitForJobs) and not operation.job:
            self.left_running.clear()
        return code

    def _call_asking(self, operation: ops.Operation) -> ops.Result:
        """Call; where files stand in the way of a retrieval and a person sits here, ask what to do with them."""
        try:
            return self._call(operation)
        except Conflict as conflict:
            asks = isinstance(operation, ops.RetrieveWeddingData) and operation.overwrite == "ask"
            if not asks or not sys.stdin.isatty():
                raise
            question = f"{conflict.message}. Overwrite: {_ANSWERS}? "
            answer = self.main.ask(lambda: self.output.question(question))
            words = [word for word in ("never", "changed", "always") if answer and word.startswith(answer.lower())]
            if not words:
                raise
            return self._call(msgspec.structs.replace(operation, overwrite=words[0]))

    def _call(self, operation: ops.Operation) -> ops.Result:
        future = self.engine.call(operation)
        if not self.main.attend(future, self._look, every_s=self.refresh_s):
            if self._is_shared():
                future.cancel()
                raise Interrupted("interrupted", "the engine goes on, and with it a job that was begun; jobs shows it")
            # The engine checkpoints and then answers: a job's result says how far it came.
            self.engine.close(drain_s=0.0)
            if not self.main.attend(future, self._look, every_s=self.refresh_s):
                future.cancel()
                raise _interrupted()
        return _outcome(future)

    def _expect(self, step: ExpectStep) -> None:
        self.settle()
        self._await_fresh_document()
        waits = int(step.expectation.within_s / EXPECT_REFRESH_S)
        for left in range(waits, -1, -1):
            failure = why_not(step.expectation, facts_of(self.engine.status(), self.last, self.variables))
            if failure is None:
                self.output.held(step.text)
                return
            if self.main.signals:
                raise _interrupted()
            if left:
                self.main.pause(EXPECT_REFRESH_S)
            else:
                raise failure

    def _await_fresh_document(self) -> None:
        """The document is published a few times a second: let it catch up with the newest result."""
        for _ in range(FRESH_LOOKS):
            if self.engine.status().seq > self.seq_at_result or self.main.signals:
                return
            self.main.pause(EXPECT_REFRESH_S)

    def _is_shared(self) -> bool:
        """Whether the engine is not ours alone to stop, so that Ctrl-C ends only what we do with it."""
        others = self.engine.status().infrastructure.attached
        return self.is_attached or (others > 0 and self.main.last_signal == signal.SIGINT)

    def _wait_for_the_rest(self) -> int:
        count = len(self.left_running)
        ends = "leaves them to the engine" if self.is_attached else "checkpoints and leaves"
        self.output.note(f"waiting for {format_count(count, 'job')} begun here; Ctrl-C {ends}")
        code = EXIT_DONE
        for job in self.left_running:
            operation = ops.WaitForJobs(job=job)
            try:
                result = self._call(operation)
            except WedSyncError as error:
                return worse(code, self.output.error(error))
            self._tell_events()
            code = worse(code, self.output.result(f"wait {job}", operation, result))
            failure = failure_of(operation, result)
            if failure is not None:
                code = worse(code, self.output.error(failure))
        return code

    # --- looking ---

    def _look(self) -> None:
        self._tell_events()
        self.output.progress(self.engine.status())

    def _tell_events(self) -> None:
        batch = self.engine.events(self.seen_seq)
        for event in batch.events:
            self.output.event(event, tell=self.is_service)
            self.seen_seq = max(self.seen_seq, event.seq)


def _outcome(future: Future[ops.Result]) -> ops.Result:
    try:
        return future.result()
    except CancelledError:
        raise _interrupted() from None


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", "what is checkpointed is kept")


class _Prepared:
    """What only a door can fetch for an operation: a new passphrase typed here reaches the engine by a pipe."""

    def __init__(self, operation: ops.Operation, main: MainThread) -> None:
        self.operation = operation
        self._main = main
        self._fd = -1

    def __enter__(self) -> _Prepared:
        if isinstance(self.operation, ops.AddKey) and not self.operation.passphrase_file:
            self._fd = _pipe_with(self._main.ask(ask_new_passphrase))
            self.operation = msgspec.structs.replace(self.operation, passphrase_file=f"/dev/fd/{self._fd}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _pipe_with(text: str) -> int:
    reading, writing = os.pipe()
    try:
        os.write(writing, text.encode("utf-8", "surrogateescape")[:4096] + b"\n")
    finally:
        os.close(writing)
    return reading


def ask_new_passphrase() -> str:
    """Have a person at the terminal type a new passphrase, twice. Raises UsageError."""
    if not sys.stdin.isatty():
        raise UsageError("key add needs a new passphrase", "give it with --passphrase-file FILE")
    first = getpass.getpass("New passphrase: ")
    if not first:
        raise UsageError("an empty passphrase protects nothing", "choose one, or leave it")
    if getpass.getpass("The same again: ") != first:
        raise UsageError("the two passphrases differ", "try again")
    return first
