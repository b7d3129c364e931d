"""Real S3 services on this machine, for the length of a test run: SeaweedFS (checks signatures) and moto (archives).

Both listen on the loopback alone, keep what they store in a folder of the run, and end with it.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import S3Config

KEY, SECRET = "test-key", "test-secret"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
BUCKET = "weddings"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """A service that answers."""

    endpoint: str
    process_id: int
    filer: str = ""  # of SeaweedFS: what further doors lead to

    def url(self, prefix: str, bucket: str = BUCKET) -> str:
        """The URL of a store in it."""
        return f"s3://{bucket}/{prefix}?endpoint={self.endpoint}"


@contextlib.contextmanager
def seaweed(folder: Path, *, volumes: int = 16) -> Iterator[S3Server]:
    """SeaweedFS with its S3 door, and room for so many volumes of 64 MB."""
    rights = folder / "s3.json"
    granted = {"name": "tests", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    rights.write_text(json.dumps({"identities": [granted]}))
    with _ports(4) as (master, volume, filer, door):
        options = {
            "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": folder, "s3": "", "filer": "", "s3.config": rights,
            "master.port": master, "volume.port": volume, "filer.port": filer, "s3.port": door, "s3.port.iceberg": 0,
            "s3.port.lance": 0, "volume.max": volumes, "master.volumeSizeLimitMB": 64, "master.telemetry": "false",
        }  # fmt: skip
        words = [f"-{name}={value}" if value != "" else f"-{name}" for name, value in options.items()]
        with _running([_program("weed"), "server", *words], folder, f"http://127.0.0.1:{door}") as server:
            keys: S3Config = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
            client = S3Store(BUCKET, endpoint=server.endpoint, client_options={"allow_http": True}, config=keys)
            client.put("ready", b"")  # which makes the bucket
            yield replace(server, filer=f"127.0.0.1:{filer}")


@contextlib.contextmanager
def second_door(folder: Path, server: S3Server) -> Iterator[S3Server]:
    """Another process that serves the same buckets of a SeaweedFS."""
    with _ports(1) as (door,):
        options = {"ip.bind": "127.0.0.1", "port": door, "filer": server.filer, "config": folder / "s3.json",
                   "port.iceberg": 0, "port.lance": 0}  # fmt: skip
        command = [_program("weed"), "s3", *(f"-{name}={value}" for name, value in options.items())]
        with _running(command, folder, f"http://127.0.0.1:{door}") as second:
            yield second


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """moto's server, which knows archive classes and the calls that bring objects back from them."""
    with _ports(1) as (door,):
        command = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(door)]
        with _running(command, folder, f"http://127.0.0.1:{door}") as server:
            create_bucket = urllib.request.Request(f"{server.endpoint}/{BUCKET}", method="PUT")
            with urllib.request.urlopen(create_bucket, timeout=30):
                yield server


def _program(name: str) -> str:
    """A program that came with the environment of the tests."""
    return str(Path(sys.executable).parent / name)


@contextlib.contextmanager
def _ports(count: int) -> Iterator[list[int]]:
    """Ports that are free, low enough for the second ones that SeaweedFS opens 10,000 above.

    No other run of the tests gets them meanwhile: a name among abstract Unix sockets stands for each.
    """
    with contextlib.ExitStack() as claims:
        found: list[int] = []
        for port in range(21_000, 31_000, 7):
            claim = claims.enter_context(socket.socket(socket.AF_UNIX))
            with socket.socket() as probe, socket.socket() as above, contextlib.suppress(OSError):
                claim.bind(f"\0wedsync-test-port-{port}")
                probe.bind(("127.0.0.1", port))
                above.bind(("127.0.0.1", port + 10_000))
                found.append(port)
            if len(found) == count:
                break
        else:
            raise RuntimeError("no free ports")
        yield found


@contextlib.contextmanager
def _running(command: list[str], folder: Path, endpoint: str) -> Iterator[S3Server]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _await_answer(process, endpoint, folder / "server.log")
            yield S3Server(endpoint, process.pid)
        finally:
            process.kill()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    """Wait until it answers anything at all, be it a refusal."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(endpoint, timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"no answer from {endpoint}: {log.read_text(errors='replace')[-2000:]}")
