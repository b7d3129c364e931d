"""Jobs on the nodes of a real cluster, and what becomes of them when nodes and scheduler go. In order: one cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.engine.clusters import WEDDINGS, Cluster, cluster_in
from tests.suites.engine_handle import eventually

MANY = 600  # files, three units: with SLOW they take some seconds
SLOW = "4MB/s"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler, two slow nodes, of which one is spot, and an engine."""
    with cluster_in(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.start_scheduler()
        cluster.start_node("first", "--slots", "2", limit=SLOW)
        cluster.start_node("second", "--slots", "2", "--class", "spot", limit=SLOW)
        cluster.start_engine()
        cluster.until_ready("first", "second")
        yield cluster


def test_a_job_runs_on_a_node_and_gives_the_same_snapshot_as_here(cluster: Cluster) -> None:
    source = cluster.photos("wedding")
    there, here = cluster.ended([cluster.back_up(f"node://{source}"), cluster.back_up(source, WEDDINGS[1])])
    assert (there.state, here.state) == ("done", "done"), cluster.logs()
    assert there.snapshot == there.id
    assert there.files_done == there.files_total == 2
    found = cluster.contents(there.snapshot)
    assert found == cluster.contents(here.snapshot, WEDDINGS[1])
    assert len(found) == 2


def test_a_node_that_is_drained_ends_what_it_has_begun(cluster: Cluster) -> None:
    job = cluster.back_up(f"node://second{cluster.photos('drained', MANY)}")
    cluster.until_running_on("second")
    cluster.on_loop(lambda: cluster.pool.drain(["second"]))
    (ended,) = cluster.ended([job])
    assert (ended.state, ended.attempts) == ("done", 1)
    assert cluster.processes.pop("second").wait(20) == 0
    cluster.until_ready("first")
    assert cluster.snapshots().count(job.id) == 1


def test_a_job_of_a_node_that_is_killed_goes_on_elsewhere(cluster: Cluster) -> None:
    cluster.start_node("second", "--slots", "2", limit=SLOW)
    cluster.until_ready("first", "second")
    jobs = [cluster.back_up(f"node://{cluster.photos(f'killed-{n}', MANY)}", WEDDINGS[n]) for n in range(2)]
    cluster.until_running_on("first", "second")
    cluster.kill("second")
    assert [(job.state, job.snapshot == job.id) for job in cluster.ended(jobs)] == [("done", True)] * 2
    assert sorted(cluster.detail(job).job.attempts for job in jobs) == [1, 2]
    turns = [turn.what for job in jobs for turn in cluster.detail(job).history]
    assert turns.count("node-lost") == 1


def test_a_notice_of_the_machine_drains_its_node(cluster: Cluster) -> None:
    job = cluster.back_up(f"node://{cluster.photos('noticed', MANY)}")
    cluster.until_running_on("first")
    (cluster.folder / "first" / "notice").touch()
    assert [(each.state, each.attempts) for each in cluster.ended([job])] == [("done", 1)]
    assert cluster.processes.pop("first").wait(20) == 0
    (cluster.folder / "first" / "notice").unlink()


def test_a_job_outlives_the_scheduler(cluster: Cluster) -> None:
    cluster.start_node("first", "--slots", "2", limit=SLOW)
    cluster.until_ready("first")
    job = cluster.back_up(f"node://{cluster.photos('orphaned', MANY)}")
    cluster.until_running_on("first")
    cluster.kill("scheduler")
    assert eventually(lambda: not cluster.nodes())
    cluster.start_scheduler()
    (ended,) = cluster.ended([job])
    assert ended.state == "done"
    assert cluster.snapshots().count(job.id) == 1
    assert cluster.kill("first", signal.SIGTERM) == 0
