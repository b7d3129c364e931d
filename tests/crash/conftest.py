"""Where trials lie: in memory where there is room, since what a power cut would leave is worked out, not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.memory import quick_folder


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """An empty folder for all tests of a module."""
    with quick_folder() as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder for one test."""
    with quick_folder() as made:
        yield made
