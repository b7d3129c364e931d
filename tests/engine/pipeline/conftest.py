"""A repository in memory with its streams, for the tests of this floor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vaults import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Made anew for each test."""
    with Bench() as made:
        yield made
