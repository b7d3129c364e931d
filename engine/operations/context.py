"""What handlers work with: one engine's parts, assembled by `engine.local`. Engine loop only."""

from __future__ import annotations

import asyncio
import pwd
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.contract.catalog import Role
from engine.contract.operations import Result
from engine.contract.settings import Settings
from engine.contract.status import AlertRow, Infrastructure, RatePoint, TierRow
from engine.contract.weddings import Wedding
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.offload import Offload
from engine.jobs.roster import JobSpec
from engine.operations.board import Board
from engine.operations.descriptors import CallerStreams
from engine.operations.eventlog import EventLog
from engine.operations.facts import Facts
from engine.operations.home import Home
from engine.operations.keeping import Kept
from engine.operations.opening import Opening
from engine.operations.outlooks import Forecasting
from engine.operations.rationing import Rationing
from engine.operations.regions import Regional
from engine.operations.room import Room
from engine.operations.streams import Streams
from engine.operations.tiering import Tiering
from engine.operations.usage import Accounts
from engine.pipeline.pool import StreamPool

HISTORY_POINTS = 120


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what that person or program may do."""

    name: str = "local"
    role: Role = Role.ADMIN
    streams: CallerStreams = msgspec.field(default_factory=CallerStreams)


def user_name(uid: int) -> str:
    """What the system calls the user `uid`. May ask the network: never on the loop."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class Measured(msgspec.Struct):
    """What was last measured, ready to be shown."""

    infrastructure: Infrastructure
    tiers: tuple[TierRow, ...] = ()
    room: Room = msgspec.field(default_factory=Room)
    history: deque[RatePoint] = msgspec.field(default_factory=lambda: deque(maxlen=HISTORY_POINTS))


class AlertSource(Protocol):
    """Whatever has alerts to tell."""

    def alerts(self, engine: Engine) -> tuple[AlertRow, ...]:
        """The alerts there are now."""
        ...


class Engine(msgspec.Struct):
    """One engine's parts."""

    home: Home
    clock: Clock
    entropy: Entropy
    settings: Settings
    offload: Offload
    opening: Opening
    pool: StreamPool
    streams: Streams
    dispatcher: Dispatcher
    kept: Kept
    rationing: Rationing
    accounts: Accounts
    tiering: Tiering
    events: EventLog
    facts: Facts
    measured: Measured
    coverage: AlertSource
    regional: Regional
    forecasting: Forecasting
    stop: Callable[[float], None]  # drain for so many seconds, then stop; comes back at once
    scaling: Board = msgspec.field(default_factory=Board)
    stopping: bool = False
    went_on: asyncio.Event = msgspec.field(default_factory=asyncio.Event)  # with the jobs of an earlier engine
    status_seq: int = 0
    attached: int = 0  # doors of other processes that are open
    door_problem: str = ""  # why no other process can open one


Handler = Callable[[Engine, Any], Awaitable[Result]]
Resumer = Callable[[Engine, Any, Wedding], JobSpec]  # the job that an operation of the journal means, to go on with
StreamHandler = Callable[[Engine, Any, CallerStreams], Awaitable[Result]]  # may read or write the caller's own
