"""The engine's one repository: not there, being opened, open, or why it could not be opened. Engine loop only.

Opening derives a key (Argon2id, some 100 ms and more) and reads the register, so it runs on the executor while
`status` already answers. Whoever needs the repository waits here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from engine.base.clock import Clock
from engine.base.errors import Conflict, NotFound, NotPermitted, Unavailable, WedSyncError
from engine.contract.settings import Settings
from engine.contract.tiers import TIERS, Tier
from engine.jobs.offload import Means
from engine.operations.home import Home as EngineHome
from engine.repository.damaged import Copies, DamagedPacks
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.distance import WhereaboutsOf, nowhere
from engine.storage.stack import Regions, Stack, Wanted, build_stack
from engine.storage.stores.metered import Meter
from engine.storage.stores.store import ObjectStore

Passphrase = str | Callable[[], str] | None
Known = tuple[SeenNumbers, DamagedPacks]
Meters = Mapping[Tier, Meter]
_LOG = logging.getLogger(__name__)


def stores_of(
    home: EngineHome, settings: Settings, clock: Clock, whereabouts: WhereaboutsOf = nowhere
) -> Callable[[Meters, bool], Stack]:
    """What opens the stores that settings name, for the engine of a home. `whereabouts`: of weddings, any thread."""
    regional = Regions(settings.regions, settings.replication, whereabouts, home.heal_queue)

    def opened(meters: Meters, create: bool) -> Stack:
        wanted = Wanted(
            home.hot_url(settings),
            settings.tiers,
            meters,
            home.locations,
            clock,
            known=home.known_stores(),
            cache=settings.cache,
            cache_folder=None if home.read_only else home.path / "cache",
            regional=regional if settings.regions else None,
        )
        return build_stack(wanted, create=create)

    return opened


class Opening:
    """Opens and makes the repository of one engine."""

    def __init__(
        self,
        *,
        stores: Callable[[Meters, bool], Stack],
        passphrase: Passphrase,
        known: Callable[[], Known],
        means: Means,
    ) -> None:
        """`stores` opens all stores, and makes them if told to; `known`: what the home knows of repositories.

        Both are called on the executor.
        """
        self.meters: Meters = {tier: Meter(means.clock) for tier in TIERS}
        self._open_stores = stores
        self._passphrase = passphrase
        self._read_known = known
        self._known: Known | None = None
        self._offload = means.offload
        self._spawn = means.spawn
        self._clock = means.clock
        self._entropy = means.entropy
        self._task: asyncio.Task[None] | None = None
        self._on_settled: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()
        self.opening = True  # it is not yet known how the repository stands
        self.stack: Stack | None = None
        self.repository: Repository | None = None
        self.failure: WedSyncError | None = None

    def when_settled(self, action: Callable[[], None]) -> None:
        """Call `action` on the loop each time it has become known how the repository stands."""
        self._on_settled.append(action)

    def begin(self) -> None:
        """Look for the repository and open it, in the background."""
        self.opening = True
        self._task = self._spawn(self._open())

    async def settled(self) -> None:
        """Come back when it is known whether there is a repository, and it is open or has failed."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def needed(self) -> Repository:
        """The open repository. Raises NotFound when there is none, else why it could not be opened."""
        if self.repository is None:
            await self.settled()
        if self.repository is None and isinstance(self.failure, Unavailable):
            if not self.opening:
                self.begin()  # what failed may work by now
            await self.settled()
        if self.repository is not None:
            return self.repository
        if self.failure is None:
            raise NotFound("there is no repository yet", "make one with init")
        raise type(self.failure)(self.failure.message, self.failure.hint)

    async def create(self, label: str) -> Repository:
        """Make the repository and open it. Raises Conflict when there is one."""
        async with self._turn:
            await self.settled()
            repository = await self._offload.run("repository", lambda: self._create(label))
            self.repository, self.failure = repository, None
            self._tell()
            return repository

    async def adopt(self, stores: Callable[[Meters, bool], Stack], keep: Callable[[], None]) -> Repository:
        """Open the repository that stands in other stores, from now on this home's; `keep` writes that down.

        Raises Conflict when this home has one already, NotFound when there is none, and what opening raises; then all
        is as it was.
        """
        async with self._turn:
            await self.settled()
            if self.repository is not None or self.failure is not None:
                where = self.store.url if self.store is not None else "a store that does not open"
                raise Conflict(f"this home has a repository already, in {where}", "recover into an empty --home")
            repository = await self._offload.run("repository", lambda: self._adopt(stores, keep))
            self.repository = repository
            self._tell()
            return repository

    def close(self) -> None:
        """Let go of repository and store. Blocks; called when no job is left."""
        if self.repository is not None:
            self.repository.close()
        if self.stack is not None:
            self.stack.close()

    @property
    def store(self) -> ObjectStore | None:
        """What the repository stands on, once it was opened."""
        return self.stack.store if self.stack is not None else None

    # --- on the loop ---

    async def _open(self) -> None:
        try:
            repository = await self._offload.run("repository", self._open_if_there)
        except WedSyncError as error:
            self.failure = error
            _LOG.warning("the repository did not open: %s", error.line())
        except Exception as error:
            self.failure = WedSyncError(f"internal error: {error!r}", "the log in the home has the details")
            _LOG.exception("the repository did not open")
        else:
            self.repository, self.failure = repository, None
        self.opening = False
        self._tell()

    def _tell(self) -> None:
        for action in self._on_settled:
            action()

    # --- on the executor ---

    def _open_if_there(self) -> Repository | None:
        try:
            store = self._store_at_hand(create=False)
        except NotFound:
            return None
        if not Repository.exists(store):
            return None
        return Repository.open(store, self._ask(), home=self._home())

    def _create(self, label: str) -> Repository:
        if self.repository is None and self.stack is not None:
            self.stack.close()  # it was opened to look, and makes nothing
            self.stack = None
        store = self._store_at_hand(create=True)
        return Repository.create(store, self._ask(), label=label, home=self._home())

    def _adopt(self, stores: Callable[[Meters, bool], Stack], keep: Callable[[], None]) -> Repository:
        before = self._open_stores, self.stack
        self._open_stores, self.stack = stores, None
        try:
            repository = self._open_if_there()
            if repository is None:
                raise NotFound("there is no repository in this store", "check the URL, also its prefix")
            keep()
        except BaseException:
            opened, (self._open_stores, self.stack) = self.stack, before
            if opened is not None:
                opened.store.close()
            raise
        if before[1] is not None:
            before[1].store.close()  # a folder without a repository
        return repository

    def _store_at_hand(self, *, create: bool) -> ObjectStore:
        if self.stack is None:
            self.stack = self._open_stores(self.meters, create)
        return self.stack.store

    def _home(self) -> Home:
        if self._known is None:
            self._known = self._read_known()
        stack = self.stack
        copies = None
        if stack is not None and stack.recheck is not None and stack.verified is not None:
            copies = Copies(stack.recheck, stack.verified)
        return Home(self._clock, self._entropy, *self._known, copies)

    def _ask(self) -> str:
        passphrase = self._passphrase() if callable(self._passphrase) else self._passphrase
        if not passphrase:
            raise NotPermitted(
                "a passphrase is needed for the repository", "set WEDSYNC_PASSPHRASE, or give --passphrase-file"
            )
        self._passphrase = passphrase  # asked once, also when opening is tried again
        return passphrase
