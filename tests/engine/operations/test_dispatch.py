"""One operation, from any door: every row has its handler, roles count, and nothing but our errors comes out."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from engine.base.errors import NotFound, NotPermitted, UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract.catalog import CATALOG, OperationSpec, Role
from engine.local import LocalEngine
from engine.operations import dispatch
from engine.operations.context import Caller
from tests.engine.operations.conftest import ANSWER_S, Asking


def test_handlers_and_rows_of_the_catalog_match_one_to_one() -> None:
    assert set(dispatch.HANDLERS) == {spec.name for spec in CATALOG}


@pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.name)
def test_a_handler_takes_and_gives_what_its_row_says(spec: OperationSpec) -> None:
    hints = inspect.get_annotations(dispatch.HANDLERS[spec.name], eval_str=True)
    assert spec.arguments in hints.values()
    assert hints["return"] in (*spec.results, ops.Result)


@pytest.mark.parametrize(("role", "name"), [(Role.VIEWER, "start_backup"), (Role.OPERATOR, "keys")])
async def test_a_role_that_does_not_reach_is_refused_before_anything_happens(role: Role, name: str) -> None:
    operations = {
        "start_backup": ops.StartBackup(wedding="smith-jones", sources=("/",)),
        "keys": ops.ListKeys(),
    }
    with pytest.raises(NotPermitted, match="ann has"):
        await dispatch.run(None, operations[name], Caller("ann", role))  # type: ignore[arg-type]


def test_every_operation_that_needs_a_repository_says_so_and_how_to_make_one(tmp_path: Path) -> None:
    engine = LocalEngine.start(tmp_path / "home", "correct-horse")
    try:
        for operation in (ops.ListWeddings(), ops.ListJobs(), ops.ListKeys()):
            with pytest.raises(NotFound) as caught:
                engine.call(operation).result(ANSWER_S)
            assert caught.value.line() == "there is no repository yet; make one with init"
        assert isinstance(engine.call(ops.ReadConfiguration()).result(ANSWER_S), ops.Configuration)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_an_unknown_operation_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="start_backup"):
        dispatch.operation_from("start_backups", {})
    with pytest.raises(UsageError, match="wedding"):
        dispatch.operation_from("start_backup", {"sources": ["/srv"]})
    made = dispatch.operation_from("start_backup", {"wedding": "smith-jones", "sources": ["/srv"]})
    assert made == ops.StartBackup(wedding="smith-jones", sources=("/srv",))


def test_a_bug_in_a_handler_is_one_line_at_the_door(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_engine: object, _operation: ops.Operation) -> ops.Result:
        raise KeyError("oh")

    monkeypatch.setitem(dispatch.HANDLERS, "jobs", broken)
    with pytest.raises(WedSyncError) as caught:
        asking.ask(ops.ListJobs(), ops.JobList)
    assert caught.value.code == "failed"
    assert "internal error in jobs" in caught.value.line()
    log = (asking.folder / "home" / "logs" / "engine.jsonl").read_text()
    assert "KeyError" in log
