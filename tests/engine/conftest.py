"""A service of S3 for all tests of a run that want one: starting it takes longer than what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import s3_servers
from tests.s3_servers import S3Server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Moto, which knows storage classes; whoever uses it keeps to a prefix of its own."""
    with s3_servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server
