"""What the retrieval dialog says, and that the line it makes means what was chosen."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract import operations as ops
from screens.retrieving import Wish, common_folder, plan_lines, snapshot_rows
from screens.text import width_of
from wedsync_tui.commands import parse_line

SNAPSHOT = ops.SnapshotSummary(
    id="5f0c" * 8, time="2026-06-20T14:03:07.000Z", host="ops-1", sources=("/card A",), tags=("ceremony",),
    priority="same-day", partial=False, parent="", files=2_104, bytes_source=48_500_000_000, bytes_stored=47_000_000,
    files_unchanged=0, warnings=2, engine_version="0.1.0",
)  # fmt: skip
PLAN = ops.RetrievalPlan(
    snapshot="5f0c" * 8, files=1_204, bytes_restored=28_400_000_000, packs=870, bytes_fetched=27_700_000_000,
    eta_s=None, conflicts=0,
)  # fmt: skip


def test_a_wish_is_a_line_that_means_it() -> None:
    wish = Wish("smith-jones", "5f0c", ("/card A/it's.raw", "/card A/DCIM"), "/back up", "/card A", "changed")
    assert parse_line(wish.line()) == ops.RetrieveWeddingData(
        wedding="smith-jones",
        to="/back up",
        snapshot="5f0c",
        paths=("/card A/it's.raw", "/card A/DCIM"),
        strip_prefix="/card A",
        overwrite="changed",
        wait=False,
    )


@pytest.mark.parametrize(
    ("paths", "folder"),
    [((), ""), (("/a/b/c",), "/a/b"), (("/a/b/c", "/a/b/d"), "/a/b"), (("/a/b", "/c/d"), ""), (("/a",), "")],
)
def test_the_folder_around_all_that_was_chosen(paths: tuple[str, ...], folder: str) -> None:
    assert common_folder(paths) == folder


def test_snapshots_stand_newest_first_and_tell_what_was_not_right() -> None:
    older = msgspec.structs.replace(SNAPSHOT, id="11" * 16, warnings=0)
    rows = snapshot_rows((older, SNAPSHOT), 90)
    assert [row.key for row in rows] == [SNAPSHOT.id, older.id]
    text = "".join(span.text for span in rows[0].line)
    assert text.split("  ")[0] == "2026-06-20 14:03"
    assert "48.5 GB" in text
    assert "▲ 2 warn" in text
    assert "ceremony /card A" in text
    assert {width_of(row.line) for row in snapshot_rows((older,), 30)} <= {30, 27}


def test_the_plan_tells_what_stands_in_the_way() -> None:
    free, blocked = plan_lines(PLAN), plan_lines(msgspec.structs.replace(PLAN, conflicts=3))
    assert free[0][0].text == "28.4 GB in 1,204 files"
    assert "870 packs" in free[1][0].text
    assert free[2][0].role == "ok"
    assert blocked[2][0].text.startswith("▲ 3 files stand there already")
