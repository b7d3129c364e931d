"""A seeded sample of damage to every kind of object; `make corrupt` takes far more of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash import damage
from tests.crash.damage import Specimen

SEED = 20260620
KINDS = (
    "config", "keys", "register", "leases", "marks", "wedding key", "fragment", "snapshot", "checkpoint", "data pack",
    "metadata pack",
)  # fmt: skip
EACH = 7  # damages of each kind


@pytest.fixture(scope="module")
def specimen(shared_folder: Path) -> Specimen:
    """A repository with one of everything."""
    return Specimen(shared_folder / "specimen")


def test_the_specimen_has_every_kind_of_object(specimen: Specimen) -> None:
    """What is not there cannot be damaged."""
    assert {kind for kind, _, _ in specimen.objects} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_noticed_and_costs_only_what_it_covers(specimen: Specimen, kind: str) -> None:
    """Never a wrong byte, never an error of another tree, never more lost than stood on the damaged bytes."""
    chance = random.Random(f"{kind} {SEED}")
    objects = [found for found in specimen.objects if found[0] == kind]
    done = [each for found in objects for each in damage.damages(*found, chance, flips=3)]
    for each in chance.sample(done, EACH):
        damage.examine(specimen, each)
