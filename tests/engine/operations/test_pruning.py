"""prune and hold, asked of a real engine: what goes by rule, what stays, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import NotPermitted
from engine.contract import operations as ops
from engine.contract import retention
from engine.contract.status import JobRow
from engine.pipeline import prune
from engine.storage.stores.local import LocalStore
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.suites.engine_handle import eventually
from tests.vaults import Bench


def _backed_up_thrice(asking: Asking, tmp_path: Path, name: str) -> tuple[str, Path]:
    wedding, source = fresh_wedding(asking, name), tmp_path / "source"
    source.mkdir()
    for version in range(3):
        (source / "a.raw").write_bytes(bytes([version]) * 300_000)
        asking.ask(backup_of(wedding, source), ops.JobResult)
    return wedding, source


def _snapshots(asking: Asking, wedding: str) -> list[str]:
    return [row.id for row in asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots]


def test_what_no_rule_keeps_goes_and_the_rest_comes_back(asking: Asking, tmp_path: Path) -> None:
    """The dry run tells the same, and changes nothing."""
    wedding, source = _backed_up_thrice(asking, tmp_path, "pruned")
    before = _snapshots(asking, wedding)
    told = asking.ask(retention.Prune(wedding=wedding, keep="last 1", dry_run=True), retention.PruneReport)
    assert [(verdict.id, verdict.stays) for verdict in told.snapshots] == [*((id, id == before[2]) for id in before)]
    assert told.snapshots[2].reasons == ("the newest", "last")
    assert _snapshots(asking, wedding) == before
    done = asking.ask(retention.Prune(wedding=wedding, keep="last 1"), retention.PruneReport)
    (planned,), (row,) = told.weddings, done.weddings
    assert (row.snapshots_kept, row.snapshots_gone) == (1, 2)
    assert (row.packs_freed, row.bytes_freed) == (planned.packs_freed, planned.bytes_freed)
    assert done.bytes_freed == told.bytes_freed > 0
    assert done.jobs[0].message.startswith("2 snapshots of 3 and 2 packs are gone, ")
    assert _snapshots(asking, wedding) == before[2:]
    asking.ask(ops.RetrieveWeddingData(wedding=wedding, to=str(tmp_path / "back")), ops.JobResult)
    (found,) = (tmp_path / "back").rglob("a.raw")
    assert found.read_bytes() == (source / "a.raw").read_bytes()
    assert asking.ask(ops.Verify(wedding=wedding, all=True), ops.VerifyReport).problems == ()


def test_rules_of_the_settings_hold_where_none_are_given(asking: Asking, tmp_path: Path) -> None:
    """Those of the wedding before those of all; without any, everything stays."""
    wedding, _ = _backed_up_thrice(asking, tmp_path, "ruled")

    def would_go() -> int:
        (row,) = asking.ask(retention.Prune(wedding=wedding, dry_run=True), retention.PruneReport).weddings
        return row.snapshots_gone

    assert would_go() == 0
    asking.ask(ops.Configure(key="retention.keep", value="last 2"), ops.ConfigureResult)
    assert would_go() == 1
    asking.ask(ops.Configure(key="retention.weddings", value=f'["{wedding}: last 1"]'), ops.ConfigureResult)
    assert would_go() == 2
    for key in ("retention.keep", "retention.weddings"):
        asking.ask(ops.Configure(key=key, value="unset"), ops.ConfigureResult)


def test_what_is_held_stays_until_it_is_released(asking: Asking, tmp_path: Path) -> None:
    """One snapshot by its first digits, then all of it; `snapshots` and `weddings` show why."""
    wedding, _ = _backed_up_thrice(asking, tmp_path, "held")
    first, second, _ = _snapshots(asking, wedding)
    held = asking.ask(
        retention.HoldWedding(wedding=wedding, snapshot=first[:12], reason="the album"), retention.HoldList
    )
    assert [(row.snapshot, row.reason) for row in held.holds] == [(first, "the album")]
    listed = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots
    assert [row.held for row in listed] == ["the album", "", ""]
    (told,) = asking.ask(retention.Prune(wedding=wedding, keep="last 1", dry_run=True), retention.PruneReport).weddings
    assert told.snapshots_gone == 1
    asking.ask(retention.HoldWedding(wedding=wedding, reason="claim 7"), retention.HoldList)
    assert asking.ask(ops.ListWeddings(match=wedding), ops.WeddingList).weddings[0].held == "claim 7"
    report = asking.ask(retention.Prune(wedding=wedding, keep="last 1"), retention.PruneReport)
    assert [verdict.reasons[0] for verdict in report.snapshots] == ["held", "held", "held"]
    asking.ask(retention.HoldWedding(wedding=wedding, release=True), retention.HoldList)
    report = asking.ask(retention.Prune(wedding=wedding, keep="last 1"), retention.PruneReport)
    assert [verdict.id for verdict in report.snapshots if not verdict.stays] == [second]


def test_a_store_that_lets_nothing_be_deleted_is_told_of_in_one_line(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bucket without that right; nothing is lost."""
    wedding, _ = _backed_up_thrice(asking, tmp_path, "append-only")

    def refused(store: LocalStore, name: str) -> None:
        raise NotPermitted(f"{name} may not be deleted")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", refused)
        job = asking.ask(retention.Prune(wedding=wedding, keep="last 1"), ops.JobResult).job
    assert (job.state, job.code) == ("failed", "not-permitted")
    assert job.message.startswith("the store lets nothing be deleted: ")
    assert len(_snapshots(asking, wedding)) == 3


def test_a_prune_waits_for_other_engines_and_says_for_whom(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends once the other has read its mark."""
    monkeypatch.setattr(prune, "LOOK_S", 0.05)
    wedding, _ = _backed_up_thrice(asking, tmp_path, "shared")
    store = LocalStore(asking.folder / "home" / "repository", create=False)
    with Bench(store, streams=1, passphrase="correct-horse") as other:
        asked = retention.Prune(wedding=wedding, keep="last 1", wait=False)
        job = asking.ask(asked, ops.JobResult).job

        def row() -> JobRow:
            (found,) = [row for row in asking.ask(ops.ListJobs(), ops.JobPage).jobs if row.id == job.id]
            return found

        eventually(lambda: row().current.startswith("waits for the engine on "))
        assert row().state == "running"
        other.repository.presence.renew()
        eventually(lambda: row().state == "done")
