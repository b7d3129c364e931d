"""A repository with its streams, for tests: back up, retrieve and verify in one call each, no engine loop around it.

In: a store and folders of the test. Out: snapshots, outcomes and restored trees, all made by the code under test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from engine.base.clock import Clock, SystemClock
from engine.base.entropy import SystemEntropy
from engine.contract.settings import EngineSettings
from engine.pipeline.backup import BackupRequest, BackupRun
from engine.pipeline.plan import Selection
from engine.pipeline.pool import Run, StreamPool
from engine.pipeline.restore import RestoreOutcome, RestoreRun
from engine.pipeline.source import SourceFile
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.verify import VerifyOutcome, VerifyRun
from engine.repository.damaged import Copies, DamagedPacks
from engine.repository.entry import Entry
from engine.repository.keyring import KdfCost
from engine.repository.reach import Reach, stored_packs
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryStore
from engine.storage.stores.store import ObjectStore

PASSPHRASE = "correct horse"
CHEAP = KdfCost(1, 64, 1)
WEDDING = "0f" * 16
OTHER_WEDDING = "ab" * 16
ENDED_S = 120.0  # what no run of a test takes

Outcome = TypeVar("Outcome")


class LaterClock(SystemClock):
    """An hour ahead of the files that a test makes, so that change detection trusts their ctimes."""

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return super().now_ns() + 3600 * 10**9


def new_job() -> str:
    """A fresh job id."""
    return SystemEntropy().token(16).hex()


@contextmanager
def counted_reads() -> Iterator[list[int]]:
    """The bytes of each read of a source inside the block, in order of their ends."""
    reads: list[int] = []
    read_into = SourceFile.read_into

    def counted(source: SourceFile, buffer: memoryview, data_offset: int) -> int:
        count = read_into(source, buffer, data_offset)
        reads.append(count)
        return count

    SourceFile.read_into = counted  # type: ignore[method-assign,assignment]
    try:
        yield reads
    finally:
        SourceFile.read_into = read_into  # type: ignore[method-assign]


class Bench:
    """One engine's repository and streams. Used by the test's thread; also a context manager."""

    def __init__(
        self,
        store: ObjectStore | None = None,
        *,
        streams: int = 2,
        clock: Clock | None = None,
        seen: Path | None = None,
        passphrase: str = PASSPHRASE,
        copies: Copies | None = None,
    ) -> None:
        """Opens the repository in `store`, or makes one. Raises what that raises."""
        self.store: ObjectStore = store if store is not None else MemoryStore()
        self.clock: Clock = clock if clock is not None else LaterClock()
        self.entropy = SystemEntropy()
        self.settings = EngineSettings()
        damaged = DamagedPacks(seen.with_name("damaged.json") if seen else None)
        home = Home(self.clock, self.entropy, SeenNumbers(seen), damaged, copies)
        try:
            if Repository.exists(self.store):
                self.repository = Repository.open(self.store, passphrase, home=home)
            else:
                self.repository = Repository.create(self.store, passphrase, label="test", home=home, cost=CHEAP)
        except BaseException:
            self.store.close()
            raise
        self.pool = StreamPool(streams, clock=self.clock)

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the streams, release the lease, close the store."""
        self.pool.close()
        self.repository.close()
        self.store.close()

    def run(self, run: Run[Outcome]) -> Outcome:
        """Carry out a run to its end. Raises what the run raises."""
        self.pool.submit(run)
        return run.done.result(ENDED_S)

    # --- backing up ---

    def request(self, *sources: Path | bytes, job_id: str = "", **options: object) -> BackupRequest:
        """What to back up; `options` are further fields of the request."""
        paths = tuple(os.fsencode(source) for source in sources)
        return BackupRequest(job_id=job_id or new_job(), sources=paths, host="here", **options)  # type: ignore[arg-type]

    def backup_run(self, vault: WeddingVault, request: BackupRequest) -> BackupRun:
        """A backup that is not submitted yet."""
        return BackupRun(vault, request, clock=self.clock, entropy=self.entropy, settings=self.settings)

    def backup(self, *sources: Path | bytes, wedding: str = WEDDING, job_id: str = "", **options: object) -> Snapshot:
        """Back up `sources` into a snapshot."""
        with self.repository.vault(wedding) as vault:
            run = self.backup_run(vault, self.request(*sources, job_id=job_id, **options))
            return self.run(run).snapshot

    @contextmanager
    def backing_up(self, *sources: Path | bytes, wedding: str = WEDDING, job_id: str = "") -> Iterator[BackupRun]:
        """A backup that is submitted by the test, if at all, and ended with the block."""
        with self.repository.vault(wedding) as vault:
            run = self.backup_run(vault, self.request(*sources, job_id=job_id))
            yield run

    # --- reading back ---

    def retrieve(
        self,
        target: Path,
        *,
        snapshot: str = "latest",
        strip: Path | bytes = b"",
        wedding: str = WEDDING,
        paths: tuple[bytes, ...] = (),
        overwrite: Overwrite = "never",
    ) -> RestoreOutcome:
        """Restore into `target`; a warning fails the test."""
        with self.repository.vault(wedding) as vault:
            folder = FolderTarget(
                os.fsencode(target), entropy=self.entropy, strip_prefix=os.fsencode(strip), overwrite=overwrite
            )
            run = RestoreRun(vault, vault.find_snapshot(snapshot), Selection(paths), folder)
            outcome = self.run(run)
        assert folder.warnings == []
        return outcome

    def verify(self, *, all_files: bool = True, wedding: str = WEDDING) -> VerifyOutcome:
        """Verify a wedding; the problems are in the outcome."""
        with self.repository.vault(wedding) as vault:
            return self.run(VerifyRun(vault, all_files=all_files))

    def snapshots(self, *, partial: bool = False, wedding: str = WEDDING) -> list[Snapshot]:
        """Snapshots, oldest first."""
        with self.repository.vault(wedding) as vault:
            return vault.snapshots(partial=partial)

    def entries(self, snapshot: Snapshot, *, wedding: str = WEDDING) -> list[Entry]:
        """All entries of a snapshot."""
        with self.repository.vault(wedding) as vault:
            return list(vault.entries(snapshot))


def check_nothing_is_left(vault: WeddingVault) -> None:
    """The store holds exactly the packs that snapshots reach, and no mark names any."""
    reach = Reach()
    for item in vault.snapshots(partial=True):
        reach.add(vault, item)
    held = vault.index.held(reach.keys)
    assert stored_packs(vault).keys() == {name for name, each in held.items() if each.wanted_chunks}
    assert vault.marked() == frozenset()
