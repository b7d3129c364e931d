"""A node in a network namespace of its own, cut off from the scheduler while it works. Over TLS, as it has to be.

For 5 s, which nobody notices; with CUT_S=45 (`make scale-test`) for longer than a connection is held. It needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.certificates import certificates
from tests.engine.clusters import Cluster, cluster_in
from tests.suites.engine_handle import eventually

CUT_S = float(os.environ.get("CUT_S", "5"))
HELD_S = 30.0  # for so long a silent connection is held
NUMBER = os.getpid()  # so that two runs on one machine keep apart
NET = f"10.91.{NUMBER % 250}"
HERE, THERE, CABLE = f"{NET}.1", f"{NET}.2", f"wed{NUMBER}"
MANY = 600  # files, three units
SLOW = "2MB/s"  # a file counts 32 KiB: some eight seconds


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace that is reached by one cable, `CABLE`."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = f"wedsync-{NUMBER}"
    ip("netns", "add", name)
    try:
        ip("link", "add", CABLE, "type", "veth", "peer", "name", "far", "netns", name)
        ip("addr", "add", f"{HERE}/24", "dev", CABLE)
        ip("link", "set", CABLE, "up")
        ip("-n", name, "addr", "add", f"{THERE}/24", "dev", "far")
        ip("-n", name, "link", "set", "far", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


@pytest.fixture
def cluster(namespace: str, tmp_path: Path) -> Iterator[Cluster]:
    """Scheduler and engine here, one slow node there."""
    with cluster_in(tmp_path / "cluster", HERE, certificates(tmp_path / "tls")) as cluster:
        cluster.inside["far"] = namespace
        cluster.start_scheduler()
        cluster.start_node("far", "--address", THERE, limit=SLOW)
        cluster.start_engine()
        cluster.until_ready("far")
        yield cluster


def test_a_node_that_is_cut_off_loses_no_job_and_commits_it_once(cluster: Cluster) -> None:
    job = cluster.back_up(f"node://far{cluster.photos('cut', MANY)}")
    cluster.until_running_on("far")
    ip("link", "set", CABLE, "down")
    threading.Event().wait(CUT_S)
    ip("link", "set", CABLE, "up")
    ip("addr", "replace", f"{HERE}/24", "dev", CABLE)
    (ended,) = cluster.ended([job])
    assert ended.state == "done", cluster.logs()
    assert cluster.snapshots() == [job.id]
    assert len(cluster.contents(job.id)) == MANY
    assert ended.attempts == (1 if CUT_S < HELD_S else 2)
    assert eventually(lambda: "far" in cluster.nodes())
