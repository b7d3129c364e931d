"""How a cluster grows and shrinks under load: Dask, 1 → 10 → 1 worker processes here, with jobs running.

    python -m benchmarks.nodes FOLDER [--short] [--json FILE]

In: a folder with room for some 200 MB; what is made in it is removed. Out: one line a target, exit code 1 on a miss.
Scheduler, nodes and the program that brings them (`deploy/local-nodes`) are those that an operator runs; the jobs are
many small photographs, slowed on the nodes, so that some are at work at every moment. No job may be lost or run twice.

- `grow`: from the target to ten nodes that are ready, with jobs running. `shrink`: back to one, every job ended once.
- `efficiency`: jobs a second with 1, 2, 4, 8 and 10 nodes. On one machine its cores are the limit, which is said.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.report import Report, carry_out, parser_of
from engine.contract.cluster import NodeClass
from engine.contract.status import JobRow
from tests.engine.clusters import Cluster, cluster_in
from tests.engine.homes import PASSPHRASE

ROOT = Path(__file__).resolve().parents[1]
NODES = 10
GROW_S = 10.0
WAIT_S = 120.0
WEDDINGS = 10
FILES = 600  # of a job: three units
SLOW = "8MB/s"  # of a node; a file counts 32 KiB
COUNTS = (1, 2, 4, 8, 10)


def begun(cluster: Cluster, launcher: Path) -> None:
    """Scheduler, engine and the first node; further ones come by the program."""
    (cluster.folder / "passphrase").write_text(PASSPHRASE)
    launch = [str(launcher), str(cluster.folder), str(cluster.folder / "passphrase"), "--slots", "2"]
    launch += ["--repository", cluster.url, "--source-root", str(cluster.card)]
    with (cluster.folder / "home" / "config.toml").open("a") as config:
        config.write(f"launch = {launch!r}\n".replace("'", '"'))
    for node_class in ("reserved", "spot"):
        for number in range(1, NODES + 2):
            home = cluster.folder / f"{node_class}-{number}"
            home.mkdir()
            (home / "config.toml").write_text(f'[limits]\nstandard = "{SLOW}"\n')
    os.environ["PATH"] = f"{cluster.folder}:{os.environ['PATH']}"
    program = cluster.folder / "wedsync-tui"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wedsync_tui "$@"\n')
    program.chmod(0o755)
    cluster.start_scheduler()
    cluster.start_engine(WEDDINGS)
    resize(cluster, reserved=1)


def resize(cluster: Cluster, **target: int) -> float:
    """Ask for so many nodes; seconds until they are there and ready, and no others."""
    begin_s = time.perf_counter()
    wanted: dict[NodeClass, int] = {"reserved": target.get("reserved", 0), "spot": target.get("spot", 0)}
    cluster.on_loop(lambda: cluster.pool.resize(wanted))

    def is_so() -> bool:
        rows = list(cluster.nodes().values())
        return len(rows) == sum(wanted.values()) and all(row.state == "ready" for row in rows)

    until(cluster, is_so, f"{target} nodes")
    return time.perf_counter() - begin_s


def until(cluster: Cluster, holds: Callable[[], bool], what: str) -> None:
    """Wait for something. Raises RuntimeError when it does not come."""
    end_s = time.perf_counter() + WAIT_S
    while not holds():
        if time.perf_counter() > end_s:
            raise RuntimeError(f"{what}: not in {WAIT_S:g} s; {cluster.nodes()} {cluster.pool.problem}")
        time.sleep(0.02)


def begin_jobs(cluster: Cluster, prefix: str, count: int) -> list[JobRow]:
    """Backups of folders of their own that only nodes can make."""
    names = cluster.weddings
    return [
        cluster.back_up(f"node://{cluster.photos(f'{prefix}-{number}', FILES)}", names[number % len(names)])
        for number in range(count)
    ]


def scaled(folder: Path, report: Report, *, jobs: int) -> None:
    """`grow` and `shrink`."""
    with cluster_in(folder / "cluster") as cluster:
        begun(cluster, ROOT / "deploy" / "local-nodes")
        rows = begin_jobs(cluster, "job", jobs)
        report.add("Dask, 1 → 10 processes, jobs running: ready", GROW_S, resize(cluster, reserved=3, spot=7), "s")
        until(cluster, lambda: sum(row.running for row in cluster.nodes().values()) >= NODES, "jobs on all nodes")
        at_work = sum(row.running for row in cluster.nodes().values())
        report.add("  jobs at work when it shrinks", NODES, at_work, "jobs", at_least=True)
        report.add("Dask, 10 → 1 processes, each drained", None, resize(cluster, reserved=1), "s")
        ended = cluster.ended(rows)
        done = [row for row in ended if row.state == "done"]
        report.add("  jobs not done", 0, len(rows) - len(done), "jobs")
        report.add("  jobs that were run twice", 0, sum(row.attempts > 1 for row in ended), "jobs")
        kept = [name for wedding in cluster.weddings for name in cluster.snapshots(wedding)]
        report.add("  snapshots that are not one a job", 0, abs(len(kept) - len(rows)) + len(kept) - len(set(kept)), "")
        end_nodes(cluster)


def efficient(folder: Path, report: Report, *, jobs: int) -> None:
    """Jobs a second by nodes, each node bound to the same rate; where it bends the machine's cores are the limit."""
    with cluster_in(folder / "cluster") as cluster:
        begun(cluster, ROOT / "deploy" / "local-nodes")
        alone = 0.0
        for count in COUNTS:
            resize(cluster, reserved=count)
            begin_s = time.perf_counter()
            cluster.ended(begin_jobs(cluster, f"with-{count}", jobs * count))
            per_s = jobs * count / (time.perf_counter() - begin_s)
            alone = alone or per_s
            report.add(f"{count} nodes on {os.cpu_count()} cores", None, per_s, "jobs/s")
            report.add("  of linear", None, 100 * per_s / (alone * count), "%")
        end_nodes(cluster)


def end_nodes(cluster: Cluster) -> None:
    """The nodes that the program has started end with SIGTERM."""
    for file in cluster.folder.glob("*/pid"):
        try:
            os.kill(int(file.read_text()), signal.SIGTERM)
        except ProcessLookupError:
            continue
    until(cluster, lambda: not cluster.nodes(), "the nodes end")


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = parser_of("benchmarks.nodes", __doc__, short="fewer jobs", measures=("scale", "efficiency"))
    options = parser.parse_args(arguments)
    jobs = 24 if options.short else 60
    measures = {"scale": partial(scaled, jobs=jobs), "efficiency": partial(efficient, jobs=jobs // 12)}
    return carry_out(options, measures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
