"""A repository with its streams in this process, for measuring the engine without a program's start."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.contract.settings import EngineSettings
from engine.pipeline.backup import BackupRequest, BackupRun
from engine.pipeline.plan import Selection
from engine.pipeline.pool import StreamPool
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.keyring import KdfCost
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Counts
from engine.storage.stores.store import ObjectStore

CHEAP = KdfCost(1, 64, 1)  # what opening costs is measured elsewhere


class Vaults:
    """Opened or made in `store`, closed with the block. One thread."""

    def __init__(self, store: ObjectStore, *, streams: int) -> None:
        self._home = Home(SystemClock(), SystemEntropy(), SeenNumbers(None))
        self.store = store
        if Repository.exists(store):
            self.repository = Repository.open(store, "benchmark", home=self._home)
        else:
            self.repository = Repository.create(store, "benchmark", label="", home=self._home, cost=CHEAP)
        self._pool = StreamPool(streams, clock=self._home.clock)

    def __enter__(self) -> Vaults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
        self.repository.close()
        self.store.close()

    def restore(self, wedding_id: str, target: RestoreTarget) -> None:
        """The newest snapshot of a wedding."""
        with self.repository.vault(wedding_id) as vault:
            run = RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target)
            self._pool.submit(run)
            run.done.result()

    def back_up(self, wedding_id: str, source: Path) -> Counts:
        """One backup of `source`, committed; its counts."""
        request = BackupRequest(job_id=os.urandom(16).hex(), sources=(os.fsencode(source),), host="here")
        clock, entropy = self._home.clock, self._home.entropy
        with self.repository.vault(wedding_id) as vault:
            run = BackupRun(vault, request, clock=clock, entropy=entropy, settings=EngineSettings())
            self._pool.submit(run)
            return run.done.result().snapshot.body.counts
