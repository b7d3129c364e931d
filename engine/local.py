"""`LocalEngine`: the engine inside this process. It alone builds concrete things from settings and stops them in order.

The engine thread runs an asyncio loop of its own, which only decides: what blocks runs on an executor, bytes on
the streams. The caller's threads hand operations in and read the newest status document; they never wait here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import os
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path

import msgspec

from engine.api.server import SocketServer
from engine.base.clock import Clock, SystemClock
from engine.base.entropy import Entropy, SystemEntropy
from engine.base.errors import WedSyncError
from engine.base.log import log_nowhere, log_to_file
from engine.base.loop import make_loop
from engine.base.version import VERSION
from engine.contract.events import EventBatch
from engine.contract.operations import Operation, Result
from engine.contract.paths import uses_streams, with_absolute_paths
from engine.contract.settings import LEASE_RENEWAL_S, Settings
from engine.contract.status import Status
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.offload import Means, Offload
from engine.jobs.records import record_of
from engine.monitor.sampler import Sampler
from engine.operations import dispatch, hooks, process, rounds, status
from engine.operations.configuration import read_settings
from engine.operations.context import Caller, Engine, Measured, user_name
from engine.operations.coverage import Coverage
from engine.operations.descriptors import CallerStreams
from engine.operations.eventlog import EventLog
from engine.operations.facts import Facts
from engine.operations.home import Home
from engine.operations.keeping import Kept
from engine.operations.opening import Opening, Passphrase, stores_of
from engine.operations.outlooks import Forecasting
from engine.operations.rationing import Rationing
from engine.operations.regions import Regional
from engine.operations.standing import Standing
from engine.operations.streams import Streams, default_streams, mode_of
from engine.operations.tiering import Tiering
from engine.operations.usage import Accounts
from engine.pipeline.pool import StreamPool

PUBLISH_S = 0.25
SAMPLE_S = 1.0
ROOM_S = 5.0
INTERRUPT_S = 60.0  # how long checkpoints of interrupted jobs may take
LAST_CALLS_S = 1.0  # how long calls may still be answered when no job is left

_LOG = logging.getLogger(__name__)


class LocalEngine:
    """An `EngineHandle` whose engine lives in this process. Any thread."""

    def __init__(self, life: _Life, home: Home) -> None:
        """Nothing runs yet; see `start`."""
        self._life = life
        self._home = home
        self._lock = threading.Lock()
        self._calls: set[Future[Result]] = set()  # not answered yet; under the lock
        self._over = False  # under the lock
        self._stopped: Future[None] = Future()
        self._stopped.set_running_or_notify_cancel()  # so that nobody who waits can cancel it for the others
        self._loop = make_loop(life._clock.monotonic_s)
        self._user = user_name(os.geteuid())

    @classmethod
    def start(
        cls,
        home: Path,
        passphrase: Passphrase,
        *,
        streams: int | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> LocalEngine:
        """Start an engine on `home`, which is made if missing; the repository is opened in the background.

        `passphrase` is asked for only when there is a repository, or one is made; a callable is called once, on a
        thread of the engine. `streams` goes before the setting. Raises Conflict when an engine runs on this home,
        UsageError for settings that cannot be read, NotPermitted, LimitReached.
        """
        held = Home(home)
        try:
            settings = read_settings(held.settings)
            handler = log_nowhere() if held.read_only else log_to_file(held.logs / "engine.jsonl")
        except BaseException:
            held.release()
            raise
        process.make_ready()
        means = clock or SystemClock(), entropy or SystemEntropy()
        life = _Life(held, settings, passphrase, streams=streams, means=means)
        engine = cls(life, held)
        started: Future[None] = Future()
        run = functools.partial(engine._run, handler, started)
        threading.Thread(target=run, name="wedsync-engine", daemon=True).start()
        started.result()
        return engine

    def status(self) -> Status:
        """See `EngineHandle.status`."""
        return self._life.document

    def call(self, operation: Operation) -> Future[Result]:
        """See `EngineHandle.call`."""
        future: Future[Result] = Future()
        try:
            operation = with_absolute_paths(operation)
        except WedSyncError as error:
            dispatch.answer(future, error)
            return future
        streams = CallerStreams.of_process() if uses_streams(operation) else CallerStreams()
        with self._lock:
            if not self._over:
                self._calls.add(future)
                future.add_done_callback(self._calls.discard)
                caller = Caller(name=self._user, streams=streams)
                with contextlib.suppress(RuntimeError):  # the loop has just closed: `_end` gives the answer
                    self._loop.call_soon_threadsafe(self._life.take_call, operation, caller, future)
                return future
        dispatch.answer(future, dispatch.has_stopped())
        return future

    def events(self, after_seq: int) -> EventBatch:
        """See `EngineHandle.events`."""
        return self._life.events.after(after_seq)

    def parts(self) -> tuple[Engine, asyncio.AbstractEventLoop]:
        """The engine and its loop, on which alone it may be touched: for what shares its process (`engine.node`)."""
        return self._life._engine, self._loop

    def close(self, *, drain_s: float) -> Future[None]:
        """See `EngineHandle.close`. May be called again, also to shorten the time."""
        with self._lock:
            if not self._over:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._life.stop, drain_s)
        return self._stopped

    def leave(self, *, to_jobs: bool) -> Future[bool]:
        """See `EngineHandle.leave`."""
        goes_on: Future[bool] = Future()
        with self._lock:
            if not self._over:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._life.leave, to_jobs, goes_on)
                    return goes_on
        goes_on.set_result(False)
        return goes_on

    def _run(self, handler: logging.Handler, started: Future[None]) -> None:
        """The engine thread, from its first to its last moment."""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._life.live(started))
        except BaseException as error:
            _LOG.exception("the engine met a bug")
            if not started.done():
                started.set_exception(error)
        finally:
            try:
                self._end(handler)
            finally:
                self._stopped.set_result(None)

    def _end(self, handler: logging.Handler) -> None:
        """The loop is no more: answer who still waits, let go of the home."""
        with self._lock:
            self._over = True
            left = list(self._calls)
        for future in left:
            dispatch.answer(future, dispatch.has_stopped())
        logging.getLogger().removeHandler(handler)
        with contextlib.suppress(OSError):  # the log's last words do not fit on a full disk
            handler.close()
        self._life.end(self._home)


class _Life:
    """What the engine thread does. Engine loop only, but for `document` and `events`, which any thread reads."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        passphrase: Passphrase,
        *,
        streams: int | None,
        means: tuple[Clock, Entropy],
    ) -> None:
        self._home = home
        self._settings = settings
        self._passphrase = passphrase
        self._streams = streams
        self._clock, self._entropy = means
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._stop_at_s = math.inf
        self._stop_wanted = asyncio.Event()
        self._is_left = False
        self._is_over = False  # no call is taken any more
        self._engine: Engine
        self._standing: Standing
        self._server: SocketServer
        self._group: asyncio.TaskGroup
        self.events = EventLog(self._clock)
        self.document: Status

    async def live(self, started: Future[None]) -> None:
        """Assemble, work until told to stop, stop in order."""
        offload = Offload()
        try:
            async with asyncio.TaskGroup() as self._group:
                sampler = Sampler(self._clock, engine_version=VERSION)
                means = self._means(offload)
                engine = self._engine = self._assemble(means, sampler)
                self._standing = Standing(engine, means)
                self._server = SocketServer.of(engine, self.begin, lambda: self.document)
                await self._standing.remember()
                engine.opening.when_settled(self._settled)
                engine.opening.begin()
                self._publish()
                engine.door_problem = "" if self._home.read_only else self._server.listen(self._home.path)
                self._start_rounds(rounds.Measuring(engine, sampler))
                words = self._home.notice or f"engine {VERSION} with {engine.streams}"
                self.events.announce("engine-started", words, level="warning" if self._home.read_only else "info")
                started.set_result(None)
                await self._stop_wanted.wait()
                all_ended = await self._wind_down()
                await self._server.close()
                self._standing.close()
                self._is_over = True
                for task in list(self._tasks):
                    task.cancel()
            await offload.run("end", functools.partial(self._let_go, all_ended=all_ended))
        finally:
            offload.close()

    def begin(self, answering: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin to answer a call; at the end of the engine it gets a moment to be done."""
        task = self._spawn(answering)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        return task

    def take_call(self, operation: Operation, caller: Caller, future: Future[Result]) -> None:
        """Begin to answer a call of this process. What comes after the last task was told to end is not begun."""
        if self._is_over:
            caller.streams.close()
            dispatch.answer(future, dispatch.has_stopped())
            return
        task = self.begin(self._serve(operation, caller, future))

        def cancelled(answered: Future[Result]) -> None:
            if answered.cancelled():
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(task.cancel)

        loop = asyncio.get_running_loop()
        future.add_done_callback(cancelled)

    def stop(self, drain_s: float) -> None:
        """Begin to stop, or shorten the time that jobs have left."""
        self._stop_at_s = min(self._stop_at_s, self._clock.monotonic_s() + drain_s)
        if not self._stop_wanted.is_set():
            self._engine.stopping = True
            self._engine.dispatcher.stop_accepting()
            self.events.announce("engine-stopping", "the engine is stopping")
            self._publish()
            self._stop_wanted.set()

    def leave(self, to_jobs: bool, goes_on: Future[bool]) -> None:
        """See `EngineHandle.leave`."""
        self._is_left = True
        self._stop_if_unused(jobs_count=to_jobs)
        goes_on.set_result(not self._engine.stopping)

    def _stop_if_unused(self, *, jobs_count: bool = True) -> None:
        """Stop, if this process has left the engine and nobody else uses it."""
        dispatcher = self._engine.dispatcher
        is_at_work = jobs_count and (self._answering or dispatcher.running_count or dispatcher.queued_count)
        if self._is_left and not (self._engine.stopping or self._server.doors or is_at_work):
            self._server.refuse()  # at the same moment: whoever was let in is served, whoever comes starts an engine
            self.stop(0.0)

    def end(self, home: Home) -> None:
        """Let another engine run here, then show that nothing runs any more. Called last, when the loop has ended."""
        server = getattr(self, "_server", None)  # none, if it never began
        if server is not None:
            server.abandon()
        home.release()
        if server is not None:
            server.hang_up()
            self.document = msgspec.structs.replace(self.document, seq=self.document.seq + 1, status="stopped")

    def _means(self, offload: Offload) -> Means:
        chance = random.Random(int.from_bytes(self._entropy.token(8), "big"))
        return Means(self._clock, self._entropy, offload, self._spawn, chance)

    def _assemble(self, means: Means, sampler: Sampler) -> Engine:
        wanted = self._streams or self._settings.engine.streams
        kept = Kept.of(self._home.journal)
        facts = Facts()
        regional = Regional(facts, kept, means)
        stores = stores_of(self._home, self._settings, self._clock, facts.whereabouts)
        opening = Opening(stores=stores, passphrase=self._passphrase, known=self._home.known, means=means)
        level, meters = self._settings.engine.compression_level, (opening.meters["hot"],)
        pool = StreamPool(wanted or default_streams(), clock=self._clock, compression_level=level, meters=meters)
        dispatcher = Dispatcher(
            pool,
            means,
            settings=lambda: self._engine.settings.engine,
            announce=lambda kind, job: hooks.announced(self._engine, means, kind, job),
            keep=lambda job: kept.jobs.put(record_of(job)),
        )
        return Engine(
            home=self._home,
            clock=self._clock,
            entropy=self._entropy,
            settings=self._settings,
            offload=means.offload,
            opening=opening,
            pool=pool,
            streams=Streams(pool, mode=mode_of(self._streams, self._settings), clock=self._clock),
            dispatcher=dispatcher,
            kept=kept,
            rationing=Rationing(pool, dispatcher, opening.meters),
            accounts=Accounts(kept.usages, pool, opening.meters, self._clock),
            tiering=Tiering(self._home, opening, kept, self._clock, lambda: self._engine.settings),
            events=self.events,
            facts=facts,
            measured=Measured(sampler.sample(engine_lag_s=0.0)),
            coverage=Coverage(),
            regional=regional,
            forecasting=Forecasting(self._home.demand, self._clock, lambda: self._engine.settings),
            stop=self.stop,
        )

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._group.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _settled(self) -> None:
        """It is known how the repository stands. If it is open: know its weddings now, and how safe they are soon."""
        repository = self._engine.opening.repository
        if repository is not None and not self._engine.stopping:
            self._engine.facts.take_register(repository.register.all(), repository.register.problems)
            self._spawn(self._once(self._standing.go_on))
            self._spawn(self._once(lambda: rounds.look_at_register(self._engine)))
            self._spawn(self._once(lambda: rounds.measure_room(self._engine)))
        self._publish()

    # --- again and again --------------------------------------------------------------------------------

    def _start_rounds(self, measuring: rounds.Measuring) -> None:
        async def publish() -> None:
            self._publish()
            self._stop_if_unused()

        engine = self._engine
        for seconds, action in (
            (PUBLISH_S, publish),
            (SAMPLE_S, measuring.round),
            (SAMPLE_S, self._standing.round),
            (ROOM_S, lambda: rounds.measure_room(engine)),
            (LEASE_RENEWAL_S, lambda: rounds.renew_lease(engine)),
            (LEASE_RENEWAL_S, lambda: rounds.look_at_register(engine)),
        ):
            self._spawn(self._every(seconds, action))
        for task in (measuring.watch_lag(), *self._standing.tasks()):
            self._spawn(task)

    async def _every(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await self._once(action)

    async def _once(self, action: Callable[[], Awaitable[None]]) -> None:
        """One round; what goes wrong is written to the log, and the next round tries again."""
        try:
            await action()
        except WedSyncError as error:
            _LOG.warning("a round of the engine failed: %s", error.line())
        except Exception:
            _LOG.exception("a round of the engine met a bug")

    def _publish(self) -> None:
        self.document = status.build(self._engine)
        self._server.push()

    async def _serve(self, operation: Operation, caller: Caller, future: Future[Result]) -> None:
        try:
            result = await dispatch.run(self._engine, operation, caller)
        except WedSyncError as error:
            dispatch.answer(future, error)
        except asyncio.CancelledError:
            dispatch.answer(future, dispatch.has_stopped())
            raise
        else:
            dispatch.answer(future, result)
        finally:
            caller.streams.close()

    # --- the end ----------------------------------------------------------------------------------------

    async def _wind_down(self) -> bool:
        """Give jobs the time they have, then checkpoint them, then answer whoever still waits. Whether all ended."""
        dispatcher = self._engine.dispatcher
        while (left_s := self._stop_at_s - self._clock.monotonic_s()) > 0:
            if await dispatcher.idle(min(left_s, PUBLISH_S)):
                break
        dispatcher.interrupt_all()
        all_ended = await dispatcher.idle(INTERRUPT_S)
        if not all_ended:
            _LOG.error("jobs did not end in %s s after they were interrupted", INTERRUPT_S)
        if self._answering:
            await asyncio.wait(list(self._answering), timeout=LAST_CALLS_S)
        self._publish()
        return all_ended

    def _let_go(self, *, all_ended: bool) -> None:
        """Streams, repository and store, in this order. On the executor. A stream that hangs is left behind."""
        streams = [self._engine.pool.close] if all_ended else []
        for let_go in (
            *streams,
            self._engine.forecasting.close,
            self._engine.tiering.recalls.close,
            self._engine.opening.close,
        ):
            try:
                let_go()
            except Exception:
                _LOG.exception("while stopping")
