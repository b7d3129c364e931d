"""Nodes for a rate, by measured figures: the arithmetic, and the name of what limits."""

from __future__ import annotations

import pytest

from engine.scaling.capacity import Machine, Measured, limits_of, measured_of, plan, ranked

MB = 1_000_000
HUNDRED_TB_H = 100e12 / 3600


def measured(store: float | None = None) -> Measured:
    """100 MB/s a core: 4 ms a MB of compressing, 6 of the rest; half of it is stored."""
    return Measured({"compress": 4e-9, "read": 3e-9, "seal": 3e-9}, 0.5, store)


def test_a_core_does_what_all_stages_together_leave_it() -> None:
    assert measured().core_bytes_per_s == pytest.approx(100 * MB)
    assert measured().slowest_stage == "compress"


def test_the_nodes_for_a_hundred_terabytes_an_hour_are_counted_and_their_limit_named() -> None:
    found = plan(Machine("eight", 8, network_bytes_per_s=1500 * MB, price_hour=0.5), measured(), HUNDRED_TB_H)
    assert (found.nodes, found.limit.resource) == (35, "cores")  # 27,778 MB/s ÷ 800 MB/s
    assert found.price_hour == pytest.approx(17.5)
    assert "8 × 100 MB/s a core (most of it compress)" in found.limit.arithmetic


@pytest.mark.parametrize(
    ("machine", "resource", "rate"),
    [
        (Machine("thin line", 64, network_bytes_per_s=100 * MB), "network", 200 * MB),  # half of what is read leaves
        (Machine("slow disk", 64, disk_bytes_per_s=150 * MB), "disk", 150 * MB),
        (Machine("one core", 1, 1000 * MB, 1000 * MB), "cores", 100 * MB),
    ],
)
def test_the_tightest_of_cores_network_and_disk_is_the_limit(machine: Machine, resource: str, rate: float) -> None:
    first = limits_of(machine, measured())[0]
    assert first.resource == resource
    assert first.bytes_per_s == pytest.approx(rate)


def test_no_number_of_nodes_is_enough_where_the_store_takes_less() -> None:
    found = plan(Machine("any", 64), measured(store=100 * MB), 201 * MB)
    assert (found.nodes, found.limit.resource) == (None, "store")
    assert plan(Machine("any", 64), measured(store=100 * MB), 199 * MB).nodes == 1


def test_the_cheapest_kind_stands_first_and_those_without_a_price_behind() -> None:
    kinds = [Machine("own", 64), Machine("dear", 8, price_hour=1.0), Machine("cheap", 8, price_hour=0.3)]
    assert [each.machine.name for each in ranked(kinds, measured(), 10**13, 3600)] == ["cheap", "dear", "own"]


def test_what_was_restored_or_hardly_measured_says_nothing() -> None:
    with pytest.raises(ValueError, match="too little to measure by"):
        measured_of({"read": (1.0, 100)}, read=100, stored=50, store=None)
    found = measured_of({"read": (2.0, 10**9), "fetch": (0.0, 0)}, read=10**9, stored=10**8, store=None)
    assert found.core_bytes_per_s == pytest.approx(5e8)
    assert found.stored_share == pytest.approx(0.1)
