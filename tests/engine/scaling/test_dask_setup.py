"""Addresses of a cluster: nothing leaves the machine without TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract.cluster import Tls
from engine.scaling.dask_setup import check_trust


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_this_machine_needs_no_certificates(address: str) -> None:
    check_trust(address, Tls())


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://0.0.0.0:8786", "tcp://scheduler:8786"])
def test_leaving_the_machine_without_tls_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="leaves this machine without TLS"):
        check_trust(address, Tls())


@pytest.mark.parametrize("address", ["10.0.0.1:8786", "http://a:1", "tls://a", "tls://a:port", "tls://:8786", ""])
def test_what_is_no_address_says_how_one_is_written(address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a scheduler"):
        check_trust(address, Tls())


def test_tls_needs_all_three_files_and_they_must_be_there(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("ca.pem", "node.pem", "node.key")]
    for path in paths[:2]:
        path.touch()
    with pytest.raises(UsageError, match="three files"):
        check_trust("tls://10.0.0.1:8786", Tls(str(paths[0]), str(paths[1])))
    with pytest.raises(NotFound, match=r"node\.key"):
        check_trust("tls://10.0.0.1:8786", Tls(*map(str, paths)))
    paths[2].touch()
    check_trust("tls://10.0.0.1:8786", Tls(*map(str, paths)))
