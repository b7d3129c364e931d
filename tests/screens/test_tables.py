"""Any result as a sheet or a sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.catalog import CATALOG
from engine.contract.operations import Result
from engine.contract.placements import TierList, WeddingTierRow
from screens import tables
from tests import samples
from tests.fakes import FakeEngine


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("bytes_source", 1_500_000, "1.50 MB"),
        ("used_bytes", 0, "0 B"),
        ("bytes", 32_043_008, "32.0 MB"),
        ("committed", "2026-06-20T14:03:07.123Z", "2026-06-20 14:03:07"),
        ("size", 999, "999 B"),
        ("rate_bytes_per_s", 2e6, "2.00 MB/s"),
        ("eta_s", 75.0, "1m 15s"),
        ("queued_ns", samples.NOW_NS, "2026-06-20 14:00:00"),
        ("ended_ns", 0, "–"),
        ("cpu_share", 0.426, "43 %"),
        ("files", 12_345, "12,345"),
        ("uid", 1000, "1000"),
        ("price_gb_month", 0.0036, "0.0036"),
        ("cost", 1234.5, "1,234.50"),
        ("saves_month", 0.0, "0.00"),
        ("partial", True, "yes"),
        ("eta_s", None, "–"),
        ("date", samples.TODAY, "2026-06-20"),
        ("modified", "2026-06-20T14:03:07.123Z", "2026-06-20 14:03:07"),
        ("tags", ("a", "b"), "a, b"),
        ("snapshot", "5f0c7c1e9b7d4a2f8e6b3d1a0c9f8e7d", "5f0c7c1e9b7d"),
        ("snapshot", "latest", "latest"),
        ("path", "/card/\x1b[2J", "/card/\\x1b[2J"),
    ],
)
def test_a_field_is_told_in_the_unit_its_name_says(field: str, value: object, words: str) -> None:
    assert tables.value_words(field, value) == words


@pytest.mark.parametrize(
    ("field", "title"),
    [("bytes_source", "source"), ("files_unchanged", "files unchanged"), ("queued_ns", "queued"), ("eta_s", "eta")],
)
def test_a_heading_leaves_the_unit_out(field: str, title: str) -> None:
    assert tables.title_of(field) == title


def all_results() -> list[Result]:
    """One result of every operation, from an engine with a snapshot."""
    engine = FakeEngine()
    backup = ops.StartBackup(wedding="smith-jones", sources=("/card",))
    asked: list[ops.Operation] = [
        backup,
        ops.StartBackup(wedding="smith-jones", sources=("/card",), dry_run=True),
        ops.RetrieveWeddingData(wedding="smith-jones", to="/x", dry_run=True),
        ops.ReadStatus(),
        ops.ListWeddings(),
        ops.ListSnapshots(wedding="smith-jones"),
        ops.Browse(wedding="smith-jones"),
        ops.Diff(wedding="smith-jones", older="a"),
        ops.ListJobs(),
        ops.WaitForJobs(),
        steering.ReadJob(job=samples.job_id(1)),
        steering.SteerJobs(action="cancel", jobs=(samples.job_id(1),)),
        ops.Verify(wedding="smith-jones"),
        steering.WatchWedding(wedding="smith-jones", paths=("/cards/A",)),
        steering.AddSchedule(name="nightly", when="0 3 * * *", run="verify smith-jones"),
        ops.ScaleInfrastructure(target="4"),
        ops.ListKeys(),
        ops.ReadConfiguration(),
        ops.Configure(key="engine.streams", value="3"),
        ops.AddWedding(name="lee-park", date=samples.TODAY),
        ops.Shutdown(),
    ]
    engine.show(samples.status())
    results = [engine.call(operation).result(timeout=0) for operation in asked]
    seen = {type(result) for result in results}
    rare = {kind for spec in CATALOG for kind in spec.results} - seen  # what no engine in memory comes to
    return [*results, *(filled(kind) for kind in sorted(rare, key=lambda kind: kind.__name__))]


def filled(kind: type[msgspec.Struct]) -> Any:
    """A struct with something in each field: names of hostile letters, and one row in each list."""
    fields = {field.encode_name: _value(field.type) for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    return msgspec.convert(fields, kind, strict=False)


def _value(kind: Any) -> Any:
    info = msgspec.inspect
    match kind:
        case info.StructType():
            return {field.encode_name: _value(field.type) for field in kind.fields}
        case info.UnionType():
            return _value(next(one for one in kind.types if not isinstance(one, info.NoneType)))
        case info.LiteralType():
            return kind.values[0]
        case info.VarTupleType() | info.ListType():
            return [_value(kind.item_type)]
        case info.TupleType():
            return [_value(one) for one in kind.item_types]
        case info.DictType():
            return {}
        case info.BoolType():
            return True
        case info.IntType() | info.FloatType():
            return 3
        case info.DateType():
            return "2026-06-20"
    return "a\x1b[2Jb"


@pytest.mark.parametrize("result", all_results(), ids=lambda result: type(result).__name__)
def test_every_result_is_a_sheet_of_whole_rows(result: Result) -> None:
    sheet = tables.sheet_of("title", result)
    assert all(len(row) == len(sheet.heads) for row in sheet.rows)
    assert len(sheet.rows) == len(sheet.sources)
    assert all(text.isprintable() for row in sheet.rows for text in row)
    assert all(label and isinstance(words, str) for label, words in sheet.facts)


def test_weddings_show_their_own_name_and_not_the_register_s_id() -> None:
    engine = FakeEngine()
    sheet = tables.sheet_of("weddings", engine.call(ops.ListWeddings()).result(timeout=0))
    assert [head.title for head in sheet.heads][:3] == ["name", "date", "priority"]
    assert sheet.rows[0][0] == "walker-hayes"


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    sheet = tables.sheet_of("jobs", ops.JobList(jobs=(samples.job_row(state="done"),), total=1))
    titles = [head.title for head in sheet.heads]
    assert "message" not in titles
    assert ("total", "1") in sheet.facts


def test_an_empty_list_is_an_empty_table() -> None:
    sheet = tables.sheet_of("snapshots smith-jones", ops.SnapshotList(wedding="smith-jones", snapshots=()))
    assert sheet.rows == ()
    assert sheet.facts == (("wedding", "smith-jones"),)


def test_problems_of_a_verification_are_told_one_by_one() -> None:
    report = ops.VerifyReport(
        job=samples.job_row(kind="verify", state="failed"), snapshots=1, packs=2, blobs=3, files=4, bytes_checked=5,
        problems=("pack 5f is damaged", "pack 60 is gone"),
    )  # fmt: skip
    facts = tables.sheet_of("verify", report).facts
    assert [words for label, words in facts if label == "problem"] == ["pack 5f is damaged", "pack 60 is gone"]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (ops.JobResult(job=samples.job_row(state="queued")), "backup of smith-jones is queued"),
        (ops.JobResult(job=samples.job_row()), "backing up smith-jones"),
        (ops.JobResult(job=samples.job_row(state="warnings")), "backup of smith-jones is done with 2 warnings"),
        (ops.JobResult(job=samples.job_row(state="cancelled", kind="verify")), "verify of smith-jones cancelled"),
        (
            ops.JobResult(job=msgspec.structs.replace(samples.job_row(state="failed", kind="verify"), warnings=1)),
            "verify of smith-jones failed with 1 problem: the source cannot be read",
        ),
        (ops.ScaleResult(before=3, streams=6, mode="manual"), "streams: 3 → 6, set by hand"),
        (ops.ConfigureResult(key="a.b", before="1", after="3", applied="now"), "a.b is 3, applied now"),
        (
            steering.SteerResult(
                action="cancel", done=3, refused=(steering.Refusal(reason="had ended already", jobs=1),)
            ),
            "3 cancelled, 1 had ended already",
        ),
        (steering.SteerResult(action="same-day", done=1_200), "1,200 moved to same-day"),
        (
            steering.SteerResult(
                action="pause", done=0, refused=(steering.Refusal(reason="were paused already", jobs=2),)
            ),
            "2 were paused already",
        ),
        (ops.Empty(), "done"),
        (ops.WeddingList(weddings=()), ""),
    ],
)  # fmt: skip
def test_a_small_result_is_a_sentence_and_a_list_is_none(result: Result, words: str) -> None:
    assert tables.sentence_of(result) == words


def test_rows_lead_inwards_from_wedding_to_snapshot_to_folder() -> None:
    engine = FakeEngine()
    weddings = engine.call(ops.ListWeddings()).result(timeout=0)
    assert isinstance(weddings, ops.WeddingList)
    snapshots = ops.ListSnapshots(wedding="walker-hayes")
    assert tables.inside(ops.ListWeddings(), weddings.weddings[0]) == snapshots
    entries = engine.call(ops.Browse(wedding="walker-hayes")).result(timeout=0)
    assert isinstance(entries, ops.EntryList)
    browse = ops.Browse(wedding="walker-hayes", snapshot="5f0c")
    assert tables.inside(browse, entries.entries[0]) == msgspec.structs.replace(browse, path="/card/DCIM")
    assert tables.inside(browse, entries.entries[1]) is None


def test_lists_beside_the_table_are_sheets_of_their_own() -> None:
    tier = samples.storage().tiers[0]
    copies = (WeddingTierRow(wedding="ash", place="hot/home", packs=3, bytes=99, price_month=0.5),)
    sheet = tables.sheet_of("tiers", TierList(tiers=(tier,), copies=copies))
    assert [row[0] for row in sheet.rows] == ["ash"]
    assert [(other.title, other.rows[0][0]) for other in sheet.more] == [("tiers", "hot")]
    assert sheet.facts == ()
    titles = [head.title for head in sheet.more[0].heads]
    assert len(set(titles)) == len(titles)
    alone = tables.sheet_of("tiers", TierList(tiers=(tier,), copies=()))
    assert alone.rows[0][0] == "hot"
    assert alone.more == ()
