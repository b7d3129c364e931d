"""Which node takes a job, and which ones go first."""

from __future__ import annotations

import pytest

from engine.contract.cluster import NodeRow, Reach
from engine.scaling.choosing import leavers, pick

NODES = (
    NodeRow(name="bath-1", slots=2, region="bath", source_roots=("/mnt/photos",)),
    NodeRow(name="bath-2", slots=4, region="bath", source_roots=("/mnt/photos/", "/mnt/video")),
    NodeRow(name="bath-spot", slots=8, region="bath", node_class="spot", source_roots=("/mnt/photos",)),
    NodeRow(name="york-1", slots=9, region="york", source_roots=("/mnt/photos",)),
    NodeRow(name="york-gone", slots=9, region="york", source_roots=("/mnt",), state="draining"),
)


@pytest.mark.parametrize(
    ("reach", "busy", "name"),
    [
        (Reach(paths=("/mnt/photos/a",)), {}, "york-1"),
        (Reach(paths=("/mnt/photos/a",), region="bath"), {}, "bath-2"),
        (Reach(paths=("/mnt/photos/a",), region="bath"), {"bath-2": 3}, "bath-1"),
        (Reach(paths=("/mnt/photos",), region="bath"), {"bath-2": 4, "bath-1": 2}, "bath-spot"),
        (Reach(paths=("/mnt/photos",), region="bath"), {"bath-2": 4, "bath-1": 2, "bath-spot": 8}, "york-1"),
        (Reach(paths=("/mnt/photos/a", "/mnt/video/b")), {}, "bath-2"),
        (Reach(paths=("/mnt/photos-of-others/a",)), {}, ""),
        (Reach(paths=("/mnt/other",)), {}, ""),
        (Reach(host="bath-1", paths=("/own",)), {}, "bath-1"),
        (Reach(host="bath-1"), {"bath-1": 2}, ""),
        (Reach(host="york-gone"), {}, ""),
        (Reach(), {}, "york-1"),
    ],
)
def test_a_job_goes_near_its_source_where_a_slot_is_free(reach: Reach, busy: dict[str, int], name: str) -> None:
    assert pick(NODES, reach, busy) == name


def test_spot_nodes_and_those_with_the_least_to_do_go_first() -> None:
    rows = [
        NodeRow(name="a", running=3), NodeRow(name="b"), NodeRow(name="c", running=1, node_class="spot"),
        NodeRow(name="d", node_class="spot"), NodeRow(name="e", node_class="spot", state="draining"),
    ]  # fmt: skip
    assert leavers(rows, {"reserved": 1, "spot": 0}) == ("d", "c", "b")
    assert leavers(rows, {"reserved": 5, "spot": 2}) == ()
