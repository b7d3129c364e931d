"""One backup and one restore of a sample into a scratch repository, to see what settings are worth on this machine.

The repository, its streams and what is restored are made for the trial and gone after it: nothing of it touches what is
kept. Blocks; on a thread that may.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.base.errors import LimitReached, NotFound, UsageError
from engine.base.units import format_bytes, parse_bytes
from engine.contract.settings import EngineSettings
from engine.pipeline.backup import BackupRequest, BackupRun
from engine.pipeline.plan import Selection
from engine.pipeline.pool import StreamPool
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.folder import FolderTarget
from engine.repository.keyring import KdfCost
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.open import open_store

SAMPLE_BYTES_MIN = 16_000_000
_CHEAP = KdfCost(1, 64, 1)  # of a key that opens nothing but a scratch repository


@dataclass(frozen=True, slots=True)
class Trial:
    """Seconds of the two, and bytes that the store holds."""

    backup_s: float
    restore_s: float
    stored_bytes: int


class _Bench(NamedTuple):
    made: Repository
    pool: StreamPool
    clock: Clock
    entropy: Entropy


def run_trial(sample: Path, scratch: Path, settings: EngineSettings, *, clock: Clock, entropy: Entropy) -> Trial:
    """Back up `sample` and restore it below `scratch`, with `settings`, their streams too. Raises what either does."""
    with _folder(scratch / "trial") as folder:
        home = Home(clock, entropy, SeenNumbers(None))
        store = open_store((folder / "repository").as_uri(), create=True)
        with closing(store), closing(Repository.create(store, "trial", label="", home=home, cost=_CHEAP)) as made:
            pool = StreamPool(settings.streams or 1, clock=clock, compression_level=settings.compression_level)
            with closing(pool):
                return _timed(_Bench(made, pool, clock, entropy), sample, folder, settings)


def _timed(bench: _Bench, sample: Path, folder: Path, settings: EngineSettings) -> Trial:
    made, pool, clock, entropy = bench
    wedding = entropy.token(16).hex()
    request = BackupRequest(job_id=entropy.token(16).hex(), sources=(os.fsencode(sample),), host="trial")
    with made.vault(wedding) as vault:
        began_s = clock.monotonic_s()
        backup = BackupRun(vault, request, clock=clock, entropy=entropy, settings=settings)
        pool.submit(backup)
        stored = backup.done.result().snapshot.body.counts.bytes_stored
        backup_s = clock.monotonic_s() - began_s
        with closing(FolderTarget(os.fsencode(folder / "restored"), entropy=entropy)) as target:
            began_s = clock.monotonic_s()
            restore = RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target)
            restore.read_ahead_bytes = parse_bytes(settings.read_ahead)
            pool.submit(restore)
            restore.done.result()
    return Trial(backup_s, clock.monotonic_s() - began_s, stored)


def take_sample(sources: Iterable[bytes], into: Path, *, size_bytes: int, chance: random.Random) -> int:
    """Copy files of `sources`, by chance, until there are about `size_bytes` of them; how many there are.

    Raises NotFound where no folder is there, UsageError where there is too little to measure, LimitReached where there
    is no room.
    """
    folders = [Path(os.fsdecode(source)) for source in sources]
    if not any(folder.is_dir() for folder in folders):
        raise NotFound(f"{folders[0]} is no folder", "give --from a folder with photographs")
    files = [path for folder in folders for path in _files(folder)]
    chance.shuffle(files)
    into.mkdir(parents=True)
    taken = 0
    for number, path in enumerate(files):
        if taken >= size_bytes:
            break
        try:
            shutil.copyfile(path, into / f"{number}{path.suffix}")
            taken += path.stat().st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LimitReached(f"the sample cannot be copied: {error.strerror}", "give --to DIR with room") from None
    if taken < SAMPLE_BYTES_MIN:
        words = f"{format_bytes(taken)} are too little to measure with"
        raise UsageError(words, "give --from a folder with photographs")
    return taken


def _files(source: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(source):
        yield from (Path(folder, name) for name in sorted(names) if Path(folder, name).is_file())


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
