"""An engine with three tiers on this disk, for tests of what moves between them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.contract import operations as ops
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking

CONFIG = """\
[tiers.hot]
price_gb_month = 0.02

[tiers.warm]
url = "file://{folder}/warm"
price_gb_month = 0.01

[tiers.cold]
price_gb_month = 0.001
retrieval_price_gb = 0.01
{cold}

[policy]
small = "0"
"""


@contextmanager
def tiered_engine(folder: Path, *, cold: str = "") -> Iterator[Asking]:
    """A running engine with hot in its home, warm and cold in folders beside it; `cold`: more lines of that tier."""
    home = folder / "home"
    cold = cold if "url" in cold else f'url = "file://{folder}/cold"\n{cold}'
    if not home.exists():
        home_with_repository(home)
        (home / "config.toml").write_text(CONFIG.format(folder=folder, cold=cold))
    engine = LocalEngine.start(home, PASSPHRASE, streams=2)
    try:
        yield Asking(engine, folder)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def packs_in(asking: Asking, tier: str, wedding: str) -> list[str]:
    """The packs of a wedding that stand in a tier's folder."""
    listed = asking.ask(ops.ListWeddings(match=wedding, archived=True), ops.WeddingList).weddings
    (wedding_id,) = (row.wedding.id for row in listed if row.wedding.name == wedding)
    root = asking.folder / ("home/repository" if tier == "hot" else tier)
    return sorted(os.path.basename(path) for path in root.glob(f"weddings/{wedding_id}/packs/*"))


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline_s = time.monotonic() + ANSWER_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
