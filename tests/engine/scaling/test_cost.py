"""A bill: every line is arithmetic on what was counted and on prices with a source."""

from __future__ import annotations

import msgspec
import pytest

from engine.contract.prices import Price, prices_in_force
from engine.contract.tiers import Tier
from engine.scaling.cost import Pace, Prices, TierPrice, Usage, bill, energy, month_ahead, savings, shared, worker_hour

TIERS: dict[Tier, TierPrice] = {"hot": TierPrice(0.023), "cold": TierPrice(0.004, 0.03)}
USAGE = Usage(
    worker_hours={"reserved": 30.0, "spot": 70.0},
    tier_gb_months={"hot": 100.0, "cold": 1000.0},
    read_bytes={"cold": 50 * 10**9},
    writes=20_000,
)


def prices(**own: float) -> Prices:
    told = [{"key": key, "value": value, "source": "a test", "as_of": "2026-06"} for key, value in own.items()]
    return prices_in_force(msgspec.convert(told, list[Price]))


def test_each_line_says_how_it_comes_about() -> None:
    found = bill(USAGE, prices(worker_hour=0.2, requests_write=0.005), TIERS)
    assert {line.what: (round(line.amount, 4), line.arithmetic) for line in found.lines} == {
        "workers, reserved": (3.84, "30.0 h × 0.2 × (1 − 0.36)"),
        "workers, spot": (5.88, "70.0 h × 0.2 × (1 − 0.6) × (1 + 0.05 done again)"),
        "storage, hot": (2.3, "100.0 GB-months × 0.023"),
        "storage, cold": (4.0, "1,000.0 GB-months × 0.004"),
        "retrieval, cold": (1.5, "50.0 GB × 0.03"),
        "requests that write": (0.1, "20,000 ÷ 1,000 × 0.005"),
    }
    assert found.total == pytest.approx(17.62)


def test_what_has_no_price_is_told_and_not_guessed() -> None:
    found = bill(USAGE, prices(), {"hot": TierPrice(0.0)})
    assert found.lines == ()
    assert [note.split(":")[0] for note in found.notes] == [
        "no price of a worker-hour is set",
        "tiers.hot.price_gb_month is not set",
        "tiers.cold.price_gb_month is not set",
    ]


def test_savings_are_against_doing_without() -> None:
    found = savings(USAGE, prices(worker_hour=0.2), TIERS, peak_workers=4, hours=100)
    assert {line.what: round(line.amount, 4) for line in found.lines} == {
        "spot and reserved": 10.28,  # 100 h × 0.2 − 9.72
        "scaling": 60.0,  # (400 h − 100 h) × 0.2
        "tier cold": 19.0,  # 1,000 × (0.023 − 0.004)
    }


def test_a_price_of_ones_own_stands_before_the_published_one() -> None:
    assert worker_hour("spot", prices(worker_hour=1.0, spot_discount=0.5, rework=0.0)) == (
        0.5,
        "1 × (1 − 0.5) × (1 + 0 done again)",
    )
    assert worker_hour("on-demand", prices()) is None


def test_energy_is_told_only_where_watts_and_grid_are_set() -> None:
    assert energy(100, prices(worker_watts=15.0)) is None
    assert energy(100, prices(worker_watts=15.0, grid_gco2_kwh=300.0)) == (1.5, 450.0)


def test_a_bill_is_shared_out_whole() -> None:
    assert shared(10.0, {"a": 1.0, "b": 3.0}) == {"a": 2.5, "b": 7.5}
    assert shared(10.0, {}) == {}


@pytest.mark.parametrize(("size_bytes", "hours"), [(3.6e15, 10_000.0), (0.0, 2 * 730.0)])
def test_a_month_to_come_is_priced_by_its_work_and_never_below_the_floor(size_bytes: float, hours: float) -> None:
    pace = Pace(bytes_per_s=1e8, stored_share=0.5, workers_least=2, hot_gb=1000.0)
    found = month_ahead(size_bytes, pace, prices(worker_hour=0.2), TIERS)
    kept = 1000.0 + size_bytes * 0.5 / 1e9 / 2  # it grows evenly
    assert found.total == pytest.approx(hours * 0.2 + kept * 0.023)
