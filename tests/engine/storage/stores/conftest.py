"""What meets a real disk here is tested on one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """On a disk."""
    return disk_path
