"""The status document: what docs/status.md says, what JSON has, and what it is made of."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from engine.contract import operations as ops
from engine.contract import status as st
from engine.jobs.totals import Totals
from engine.operations.status import dedup_ratio, rate_point
from tests.engine.operations.conftest import Asking

PAGE = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
_HEADING = re.compile(r"^## .*`(\w+)`$", re.MULTILINE)
_FIELD = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def structs() -> dict[str, type[msgspec.Struct]]:
    """Every part of the document."""
    found = {}
    for name, thing in vars(st).items():
        if isinstance(thing, type) and issubclass(thing, msgspec.Struct) and not name.startswith("_"):
            found[name] = thing
    return found


def documented() -> dict[str, list[str]]:
    """Struct → the fields that the page describes, in its order."""
    parts = _HEADING.split(PAGE)[1:]
    return {
        name: [match[1] for match in _FIELD.finditer(text)] for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_page_has_a_section_for_every_part_and_no_other() -> None:
    assert set(documented()) == set(structs())


@pytest.mark.parametrize("name", structs())
def test_page_describes_every_field_by_its_name_in_json(name: str) -> None:
    assert documented()[name] == [field.encode_name for field in msgspec.structs.fields(structs()[name])]


def test_page_gives_every_field_a_unit() -> None:
    assert len(_FIELD.findall(PAGE)) == sum(len(fields) for fields in documented().values())
    assert all(unit.strip() and meaning.strip() for _, unit, meaning in _FIELD.findall(PAGE))


def test_document_survives_json(asking: Asking) -> None:
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    assert msgspec.json.decode(msgspec.json.encode(document), type=st.Status) == document


def test_document_shows_wedding_jobs_and_five_areas(asking: Asking) -> None:
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    row = next(shown for shown in document.weddings if shown.name == "smith-jones")
    assert row.protected_since_ns is not None
    assert row.bytes_source
    assert document.dashboard.weddings_total == document.weddings_total
    assert document.jobs_total >= len(document.jobs) >= 1
    assert [area.area for area in document.health] == ["compute", "memory", "storage", "jobs", "engine"]
    assert document.performance.initiation.count >= 1
    assert {stage.stage for stage in document.performance.stages} >= {"read", "chunk", "seal", "write"}
    assert not document.simulated


def test_dedup_is_one_while_nothing_was_read_and_finite_when_all_was_there() -> None:
    assert dedup_ratio(Totals()) == 1.0
    assert dedup_ratio(Totals(bytes_read=300, bytes_reused=200)) == 3.0
    assert dedup_ratio(Totals(bytes_read=300, bytes_reused=300)) == 300.0


def test_a_point_of_history_is_what_grew_in_its_second() -> None:
    point = rate_point(Totals(100, 50, 0, 10), Totals(300, 60, 0, 10), span_s=2.0, now_ns=7)
    assert (point.read_bytes_per_s, point.stored_bytes_per_s, point.restored_bytes_per_s, point.time_ns) == (
        100.0, 5.0, 0.0, 7,
    )  # fmt: skip
