"""Random stories of whole houses, and that they fail where a guard is taken away.

`STORIES=5000` (`make stories`) tells more of them; `SEED=n` begins with another one. A story that fails says its seed
and its steps; `shortest` finds the fewest that it fails with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.repository.leases import LeaseWatch
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Replication
from tests.memory import quick_folder
from tests.stories.story import tell

COUNT = int(os.environ.get("STORIES", "8"))
FIRST = int(os.environ.get("SEED", "1"))
AT_A_TIME = 4


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, AT_A_TIME))
def test_whatever_happens_every_snapshot_comes_back_and_nothing_that_was_pruned(first: int) -> None:
    """Backups, moves, recalls, prunes, two engines, kills, lost and rotten copies, regions that go and come back."""
    for seed in range(first, first + AT_A_TIME):
        with quick_folder() as folder:
            tell(seed, folder)


def test_a_kept_copy_that_was_deleted_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    """The story that found it: `ReplicatedStore.recheck`."""
    tell(116, tmp_path)


def test_the_same_seed_tells_the_same_story() -> None:
    with quick_folder() as one, quick_folder() as other:
        assert tell(FIRST, one) == tell(FIRST, other)


@pytest.mark.parametrize(
    ("guard", "name", "taken", "seed"),
    [
        (ReplicatedStore, "recheck", lambda *_: False, 22),
        (Replication, "is_buried", lambda *_, **__: False, 2),
        (LeaseWatch, "look", lambda _: [], 27),
    ],
    ids=["no other copy is looked for", "tombstones are overlooked", "a prune waits for nobody"],
)
def test_a_story_fails_where_a_guard_is_taken_away(
    guard: type, name: str, taken: object, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, name, taken)
    with pytest.raises(AssertionError, match=f"seed {seed}: "):
        tell(seed, tmp_path)
