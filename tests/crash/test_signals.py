"""The program stopped by a signal in the midst of a large file: run again, it goes on from its checkpoint.

Run again from another home, which knows nothing of the job: the checkpoint in the repository is enough.
"""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from engine.contract.settings import SEGMENT_BYTES, UNIT_BYTES
from engine.pipeline.chunk import CHUNK_BYTES_MAX
from engine.pipeline.units import UNFINISHED
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.seam import read_log
from tests.crash.trials import run_child
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.trees import build, describe, file
from tests.vaults import Bench

FILM_BYTES = SEGMENT_BYTES + 3 * UNIT_BYTES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_costs_no_more_than_was_done_since_the_checkpoint(folder: Path, number: signal.Signals) -> None:
    """SIGINT and SIGTERM take a checkpoint before the end; SIGKILL leaves the last one that was taken."""
    noise = random.Random(1).randbytes(1 << 20)
    small = {b"xmp/%03d" % at: file(b"%d" % at * 50) for at in range(50)}
    film = b"".join(
        b"%08d" % mib + noise[8:] for mib in range(FILM_BYTES >> 20)
    )  # each unit has something new to store
    build(folder / "source", {**small, b"film.mov": file(film)})
    url = f"file://{folder}/repository"
    home = home_with_repository(folder / "home", url=url)
    other_home = folder / "other"
    other_home.mkdir()
    (other_home / "config.toml").write_text(f'[storage]\nhot = "{url}"\n')
    back_up = ["-c", f"backup smith-jones --from {folder}/source --wait"]
    added = ["-c", "wedding add smith-jones --date 2026-06-20 --venue Bath"]
    exit_code = run_child(work.enter, [*added, *back_up], home, folder / "first", number)
    assert exit_code == (-number if number == signal.SIGKILL else 1), (folder / "first" / "stderr").read_text()
    covered = _covered_bytes(folder)
    assert covered >= SEGMENT_BYTES
    assert run_child(work.enter, back_up, other_home, folder / "second", 0) == 0
    read = sum(int(count) for (count,) in read_log(folder / "second" / "reads"))
    total = sum(thing.size for thing in describe(folder / "source").values())
    # What the cutter leaves at the end of a unit is read once more with the next.
    assert total - covered <= read <= total - covered + 8 * CHUNK_BYTES_MAX
    with _opened(folder) as bench:
        (wedding,) = bench.repository.register.all()
        assert bench.verify(wedding=wedding.id).problems == []
        bench.retrieve(folder / "back", strip=folder / "source", wedding=wedding.id)
    assert describe(folder / "back") == describe(folder / "source")


def _opened(folder: Path) -> Bench:
    return Bench(LocalStore(folder / "repository", create=False), passphrase=PASSPHRASE)


def _covered_bytes(folder: Path) -> int:
    """What the newest checkpoint saves reading again."""
    with _opened(folder) as bench:
        (wedding,) = bench.repository.register.all()
        checkpoints = bench.snapshots(partial=True, wedding=wedding.id)
        assert all(item.partial for item in checkpoints)
        entries = bench.entries(checkpoints[-1], wedding=wedding.id)
    whole = [entry.size for entry in entries if len(entry.hash) == 32]
    segments = [
        len(entry.hash) // 32 for entry in entries if entry.hash[:1] == UNFINISHED and len(entry.hash) % 32 == 1
    ]
    return sum(whole) + SEGMENT_BYTES * sum(segments)
