"""Homes for tests of the engine: with a repository already made, cheap to open, so that no test pays for Argon2id."""

from __future__ import annotations

import itertools
from pathlib import Path
from urllib.parse import quote

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.repository.keyring import KdfCost
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.open import open_store

PASSPHRASE = "correct-horse"
_numbers = itertools.count()
CHEAP = KdfCost(1, 64, 1)


def home_with_repository(home: Path, *, url: str = "") -> Path:
    """Make a repository in `url` (empty: in the home), as `init` would but for the cost of its key slot."""
    home.mkdir(parents=True, exist_ok=True)
    if url:
        (home / "config.toml").write_text(f'[storage]\nhot = "{url}"\n')
    store = open_store(url or f"file://{quote(str(home / 'repository'))}", create=True)
    around = Home(SystemClock(), SystemEntropy(), SeenNumbers(home / "seen.json"))
    repository = Repository.create(store, PASSPHRASE, label="test", home=around, cost=CHEAP)
    repository.close()
    store.close()
    return home


def memory_url() -> str:
    """A store in memory that no test of this run has had: names of temporary folders come again."""
    return f"memory://test-{next(_numbers)}"
