"""Two real processes on one repository: one backs up without a pause, the other prunes and is killed, again and again.

`PRUNE_KILLS=50` takes more of them than the few that run here.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest.mock import patch

from engine.base.errors import Unavailable
from engine.pipeline import prune as pipeline
from engine.pipeline.prune import Engaged, PruneRun
from engine.repository import leases, pruning, retention
from engine.repository.snapshot import Snapshot
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.seam import Log, read_log
from tests.crash.trials import _FORKS
from tests.crash.work import Place
from tests.trees import build, describe, file
from tests.vaults import WEDDING, Bench

KILLS = int(os.environ.get("PRUNE_KILLS", "4"))
SEED = 20260620
DEAD_S = 1.5  # instead of ten minutes: a pruner that was killed is waited for by the next
_FILES = 6


def _build(source: Path, version: int) -> None:
    """The source of a version: a file of each of the last few, and one that says which it is."""
    for name in os.listdir(source):
        os.unlink(source / name)
    files = {b"%d.raw" % n: file(random.Random(n).randbytes(60_000)) for n in range(version, version + _FILES)}
    build(source, {**files, b"version": file(b"%d" % version)})


def write(place: Place, home: Path, stop: Path, together: Barrier) -> None:
    """Child: backs up one version after the other until it is told to stop; logs each that was acknowledged."""
    together.wait(60)
    acknowledged = Log(place.logs / "acknowledged")
    version = 0
    with Bench(LocalStore(place.store, create=False), streams=1, seen=home / "seen.json") as bench:
        while not stop.exists():
            version += 1
            _build(place.source, version)
            with contextlib.suppress(Unavailable):  # it was taken for dead, and what it relied on is gone
                acknowledged.add(bench.backup(place.source).id, version)
            bench.repository.presence.renew()


def prune(place: Place, home: Path, together: Barrier) -> None:
    """Child: prunes until it is killed."""
    together.wait(60)
    with Bench(LocalStore(place.store, create=False), streams=1, seen=home / "seen.json") as bench:
        while True:
            with contextlib.suppress(Unavailable):
                run_prune(bench, DEAD_S)


def run_prune(bench: Bench, dead_s: float) -> None:
    """What `prune --keep "last 1"` does, where engines are taken for dead after `dead_s`."""
    presence = bench.repository.presence

    def decide(found: list[Snapshot]) -> list[retention.Verdict]:
        return retention.decide(pruning.facts_of(found, ()), retention.Policy(last=1), "UTC", bench.clock.now_ns())

    with ExitStack() as stack:
        stack.enter_context(patch.object(leases, "LEASE_DEATH_S", dead_s))
        stack.enter_context(patch.object(pipeline, "LOOK_S", 0.0))
        stack.enter_context(patch.object(pruning, "ORPHAN_AGE_S", 0.0))
        use = stack.enter_context(presence.using(bytes.fromhex(WEDDING)))
        vault = stack.enter_context(bench.repository.used_vault(WEDDING))
        run = PruneRun(vault, Engaged(presence, use, bench.clock, bench.entropy), decide, dry_run=False)
        bench.pool.submit(run)
        while not run.done.done():
            run.look_again()
            threading.Event().wait(0.002)
        run.done.result()


def test_what_a_killed_pruner_leaves_harms_no_backup_beside_it(folder: Path) -> None:
    """Every snapshot that stands at the end is the version it was made of; the newest stands; the rest is gone."""
    place = Place(folder / "place", folder / "source")
    for made in (place.folder, place.source, place.logs, folder / "writer", folder / "pruner"):
        made.mkdir(exist_ok=True)
    with work.opened(place) as bench:
        bench.repository.register.put(work.couple())
    stop, chance = folder / "stop", random.Random(SEED)
    together, alone = _FORKS.Barrier(2), _FORKS.Barrier(1)
    writer = _FORKS.Process(target=write, args=(place, folder / "writer", stop, together))
    writer.start()
    for number in range(KILLS):
        pruner = _FORKS.Process(target=prune, args=(place, folder / "pruner", alone if number else together))
        pruner.start()
        pruner.join(chance.uniform(0.4, 0.8) + DEAD_S * (number > 0))
        assert pruner.exitcode is None, "a pruner goes on until it is killed"
        pruner.kill()
        pruner.join()
    stop.touch()
    writer.join(60)
    assert writer.exitcode == 0
    _check(place, {snapshot: int(version) for snapshot, version in read_log(place.logs / "acknowledged")})


def _check(place: Place, versions: dict[str, int]) -> None:
    newest = max(versions, key=versions.__getitem__)
    with work.opened(place) as bench:
        standing = [item.id for item in bench.snapshots()]
        assert newest in standing
        assert len(standing) < len(versions)
        for snapshot in standing[-3:]:
            back = place.folder / snapshot
            bench.retrieve(back, strip=place.source, snapshot=snapshot)
            _build(place.source, versions[snapshot])
            assert {path: thing.digest for path, thing in describe(back).items()} == {
                path: thing.digest for path, thing in describe(place.source).items()
            }
        assert bench.verify().problems == []
        run_prune(bench, 0.0)
        assert [item.id for item in bench.snapshots(partial=True)] == [newest]
        with bench.repository.vault(WEDDING) as vault:
            indexed = {pack.name.hex() for pack in vault.index.packs()}
        assert {path.name for path in (place.store / "weddings" / WEDDING / "packs").iterdir()} == indexed
