"""How safe weddings are, as an engine learns it that has just started."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.local import LocalEngine
from engine.operations import rounds
from engine.operations.context import Engine
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of


def test_the_first_list_of_weddings_knows_how_safe_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the look at the start has not come to them."""
    home, source = home_with_repository(tmp_path / "home"), tmp_path / "source"
    source.mkdir()
    (source / "a.jpg").write_bytes(b"picture")
    engine = LocalEngine.start(home, PASSPHRASE)
    made = Asking(engine, tmp_path)
    for name in ("saved", "unsaved"):
        made.ask(ops.AddWedding(name=name, date=dt.date(2026, 6, 20)), ops.WeddingResult)
    made.ask(backup_of("saved", source), ops.JobResult)
    engine.close(drain_s=0.0).result(ANSWER_S)

    async def never(_: Engine) -> None:
        """The look at the start does not come."""

    monkeypatch.setattr(rounds, "look_at_register", never)
    engine = LocalEngine.start(home, PASSPHRASE)
    rows = Asking(engine, tmp_path).ask(ops.ListWeddings(), ops.WeddingList).weddings
    engine.close(drain_s=0.0).result(ANSWER_S)
    found = {row.wedding.name: (row.snapshots, row.protected_since is not None) for row in rows}
    assert found == {"saved": (1, True), "unsaved": (0, False)}
