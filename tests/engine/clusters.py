"""Real clusters for tests: a scheduler and nodes in processes of their own, and an engine in this one."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.cluster import NodeRow, Tls
from engine.contract.status import JobRow
from engine.local import LocalEngine
from engine.operations.elsewhere import Elsewhere
from engine.scaling.dask_pool import DaskPool
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.suites.engine_handle import ANSWER_S, eventually

WEDDINGS = ("smith-jones", "garcia-lee")
NO_TLS = Tls()


class Cluster:
    """One scheduler, some nodes, one engine. Each node reads below `card` and keeps its home beside the engine's."""

    def __init__(self, folder: Path, address: str, tls: Tls = NO_TLS) -> None:
        self.folder = folder
        self.card = folder / "card"
        self.card.mkdir(parents=True)
        self.address = address
        self.trust = tuple(f"--tls-{name.replace('_', '-')}={file}" for name, file in _files(tls))
        self.inside: dict[str, str] = {}  # process → the network namespace that it lives in
        self.url = f"file://{home_with_repository(folder / 'home')}/repository"
        with (folder / "home" / "config.toml").open("a") as config:
            config.write(f'[cluster]\nscheduler = "{self.address}"\n')
            config.writelines(f'tls_{name} = "{file}"\n' for name, file in _files(tls))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.engine: LocalEngine
        self.pool: DaskPool
        self.weddings: tuple[str, ...] = WEDDINGS

    def start_scheduler(self) -> None:
        """Start the scheduler, at the same address each time."""
        self._start("scheduler", "scheduler", "--listen", self.address, *self.trust)

    def start_node(self, name: str, *options: str, limit: str = "") -> None:
        """Start a node; `limit` is the rate of its standard jobs, so that they last."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(f'[limits]\nstandard = "{limit}"\n' if limit else "")
        self._start(
            name, "--home", str(home), "node", "--scheduler", self.address, "--name", name, "--repository", self.url,
            "--source-root", str(self.card), "--notice-file", str(home / "notice"), *self.trust, *options,
        )  # fmt: skip

    def start_engine(self, weddings: int = len(WEDDINGS)) -> None:
        """Start the engine in this process, with its weddings."""
        self.weddings += tuple(f"wedding-{number}" for number in range(len(WEDDINGS), weddings))
        self.engine = LocalEngine.start(self.folder / "home", PASSPHRASE, streams=1)
        runner = self.engine.parts()[0].dispatcher.places.runner
        assert isinstance(runner, Elsewhere)
        self.pool = runner.pool
        for name in self.weddings:
            self.engine.call(ops.AddWedding(name=name, date=dt.date(2027, 6, 20))).result(ANSWER_S)

    def on_loop(self, action: Callable[[], None]) -> None:
        """Have something done on the engine's loop, soon."""
        self.engine.parts()[1].call_soon_threadsafe(action)

    def photos(self, name: str, count: int = 2) -> str:
        """A folder of small photographs; more than 256 of them are several units, and take time on a slow node."""
        folder = self.card / name
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.jpg").write_bytes(os.urandom(100))
        return str(folder)

    def back_up(self, source: str, wedding: str = WEDDINGS[0]) -> JobRow:
        """Begin a backup."""
        result = self.engine.call(ops.StartBackup(wedding=wedding, sources=(source,), wait=False)).result(ANSWER_S)
        assert isinstance(result, ops.JobResult)
        return result.job

    def ended(self, jobs: Sequence[JobRow]) -> list[JobRow]:
        """The jobs as they have ended."""
        for job in jobs:
            self.engine.call(ops.WaitForJobs(job=job.id)).result(ANSWER_S * 3)
        return [self.detail(job).job for job in jobs]

    def detail(self, job: JobRow) -> steering.JobDetail:
        """All that is known of a job."""
        detail = self.engine.call(steering.ReadJob(job=job.id)).result(ANSWER_S)
        assert isinstance(detail, steering.JobDetail)
        return detail

    def snapshots(self, wedding: str = WEDDINGS[0]) -> list[str]:
        """Ids of the whole snapshots of a wedding."""
        listed = self.engine.call(ops.ListSnapshots(wedding=wedding)).result(ANSWER_S)
        assert isinstance(listed, ops.SnapshotList)
        return [row.id for row in listed.snapshots]

    def contents(self, snapshot: str, wedding: str = WEDDINGS[0]) -> dict[str, int]:
        """Every file of a snapshot and its size."""
        found = self.engine.call(ops.Find(wedding=wedding, pattern="*.jpg", snapshot=snapshot)).result(ANSWER_S)
        assert isinstance(found, ops.EntryList)
        return {row.path: row.size for row in found.entries}

    def nodes(self) -> dict[str, NodeRow]:
        """The nodes by name, as the engine sees them."""
        return {node.name: node for node in self.pool.nodes()}

    def until_ready(self, *names: str) -> None:
        """Wait until exactly these nodes are ready."""
        assert eventually(lambda: {n for n, row in self.nodes().items() if row.state == "ready"} == set(names)), (
            f"{self.nodes()} {self.pool.problem} {self.logs()}"
        )

    def until_running_on(self, *names: str) -> None:
        """Wait until each of these nodes has a job at work, at the same moment."""
        assert eventually(lambda: all(self.nodes()[name].running for name in names)), f"{self.nodes()} {self.logs()}"

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a process a signal, and wait for its end; its exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(ANSWER_S * 2)

    def logs(self) -> str:
        """What the processes have said."""
        return " ".join(path.read_text() for path in sorted(self.folder.glob("*.out")))

    def close(self) -> None:
        """End everything."""
        if hasattr(self, "engine"):
            self.engine.close(drain_s=0.0).result(ANSWER_S)
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _start(self, name: str, *argv: str) -> None:
        inside = ["ip", "netns", "exec", self.inside[name]] if name in self.inside else []
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*inside, sys.executable, "-m", "wedsync_tui", *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "WEDSYNC_PASSPHRASE": PASSPHRASE},
            )


@contextlib.contextmanager
def cluster_in(folder: Path, host: str = "127.0.0.1", tls: Tls = NO_TLS) -> Iterator[Cluster]:
    """A cluster without any process yet, ended at the end."""
    cluster = Cluster(folder, f"{'tls' if tls.ca else 'tcp'}://{host}:{_free_port()}", tls)
    try:
        yield cluster
    finally:
        cluster.close()


def _files(tls: Tls) -> list[tuple[str, str]]:
    named = [("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)]
    return [(name, file) for name, file in named if file]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
