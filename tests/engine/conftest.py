"""Services of S3 for the tests that want one, and the keys to them.

Each runs to the end of the whole run, once for each worker; whoever uses it keeps to a prefix or bucket of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3_servers
from tests.s3_servers import S3Server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Moto, which knows storage classes."""
    with s3_servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def weed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where SeaweedFS keeps its things."""
    return tmp_path_factory.mktemp("weed")


@pytest.fixture(scope="session")
def weed(weed_folder: Path) -> Iterator[S3Server]:
    """SeaweedFS, which checks signatures."""
    with s3_servers.seaweed(weed_folder, volumes=100) as server:
        yield server


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of both in the environment."""
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
