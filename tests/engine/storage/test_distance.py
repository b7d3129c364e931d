"""Which regions are nearest, and which a wedding may lie in."""

from __future__ import annotations

import pytest

from engine.contract.regions import RegionSettings
from engine.storage.distance import Whereabouts, by_distance, great_circle_km, placing, wedding_of

LONDON, PARIS, SYDNEY = (51.5074, -0.1278), (48.8566, 2.3522), (-33.8688, 151.2093)
WEDDING = "0f" * 16


def region(name: str, at: tuple[float, float] | None, *, append_only: bool = False) -> RegionSettings:
    """One region of the settings."""
    where = "" if at is None else f"{at[0]},{at[1]}"
    return RegionSettings(name=name, hot=f"memory://{name}", at=where, append_only=append_only)


REGIONS = (region("sydney", SYDNEY), region("nowhere", None), region("paris", PARIS), region("london", LONDON))


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        (LONDON, PARIS, 344),
        (LONDON, SYDNEY, 16_994),
        (LONDON, LONDON, 0),
        ((0.0, 0.0), (0.0, 180.0), 20_015),  # half of the way around
        ((90.0, 12.0), (-90.0, 99.0), 20_015),
        ((0.0, 179.5), (0.0, -179.5), 111),  # across the date line
    ],
)
def test_distances_are_those_of_the_earth(a: tuple[float, float], b: tuple[float, float], km: int) -> None:
    assert round(great_circle_km(a, b)) == round(great_circle_km(b, a)) == km


def test_the_nearest_come_first_and_those_without_a_place_last() -> None:
    assert by_distance(REGIONS, (51.38, -2.36)) == ("london", "paris", "sydney", "nowhere")
    assert by_distance(REGIONS, (-37.8, 144.9)) == ("sydney", "paris", "london", "nowhere")
    assert by_distance(REGIONS, None) == ("sydney", "nowhere", "paris", "london")


def test_a_weddings_objects_lie_where_it_may_and_all_else_everywhere() -> None:
    place = placing(REGIONS, lambda _: Whereabouts((51.38, -2.36), ("london", "sydney")))
    packs = place(f"weddings/{WEDDING}/packs/x")
    assert (packs.regions, packs.nearest) == (("sydney", "london"), ("london", "sydney"))
    for name in ("config/1", "weddings/", "", "register/3"):
        assert place(name).regions == ("sydney", "nowhere", "paris", "london")


def test_leases_do_not_pile_up_where_nothing_is_deleted() -> None:
    kept = (region("london", LONDON), region("vault", PARIS, append_only=True))
    place = placing(kept, lambda _: Whereabouts())
    assert place("leases/x/1").regions == ("london",)
    assert place("config/1").regions == ("london", "vault")
    assert placing(kept[1:], lambda _: Whereabouts())("leases/x/1").regions == ("vault",)


def test_a_wedding_is_told_by_its_folder() -> None:
    assert wedding_of(f"weddings/{WEDDING}/key/1") == wedding_of(f"weddings/{WEDDING}/") == WEDDING
    assert [wedding_of(name) for name in ("weddings/", "weddings", "config/1", "")] == [None] * 4
