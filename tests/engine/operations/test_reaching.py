"""Sources on the machines of a cluster, as people name them."""

from __future__ import annotations

import pytest

from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.contract.paths import absolute, node_of
from engine.operations.configuration import parse_settings
from engine.operations.reaching import on_nodes
from tests.engine.operations.conftest import Asking


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("node://card-reader/media/a", ("card-reader", "/media/a")),
        ("node:///mnt/photos/smith/", ("", "/mnt/photos/smith")),
    ],
)
def test_a_source_names_its_node_and_its_path_there(url: str, found: tuple[str, str]) -> None:
    assert absolute(url) == url
    assert node_of(url) == found


@pytest.mark.parametrize("url", ["node://", "node://n", "node:///", "node://n/", "node://n/a/../b", "node://n//a"])
def test_what_names_no_folder_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="names no folder of a node"):
        absolute(url)


def test_a_backup_reads_from_one_machine() -> None:
    assert on_nodes(["/a", "/b"]) == ()
    assert on_nodes(["node://n/a", "node://n/b"]) == (b"node://n/a", b"node://n/b")
    for sources in (["node://n/a", "/b"], ["node://n/a", "node://m/a"]):
        with pytest.raises(UsageError, match="from one machine"):
            on_nodes(sources)


def test_without_a_cluster_nothing_is_on_nodes(asking: Asking) -> None:
    with pytest.raises(UsageError, match="there is none"):
        asking.ask(ops.StartBackup(wedding="smith-jones", sources=("node://n/a",)), ops.JobResult)


def test_a_scheduler_elsewhere_without_tls_is_no_setting() -> None:
    with pytest.raises(UsageError, match=r"cluster\.scheduler: .* without TLS"):
        parse_settings('[cluster]\nscheduler = "tcp://10.0.0.1:8786"\n')
