"""How Dask is set up before it is used: quiet, without work stealing, and with TLS wherever it leaves the machine.

In: an address and files of certificates. Out: a checked address, and what Dask wants to know of TLS. `distributed` is
loaded by these functions alone, and only where somebody uses a cluster (the extra `cluster`). Any thread; blocks.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.base.errors import NotFound, UsageError
from engine.contract.cluster import Tls

if TYPE_CHECKING:
    from distributed import Security

# Each was measured: a spot loss counts against every task of the lost worker, and stealing re-runs what had begun.
_CONFIG = {
    "distributed.logging.distributed": "critical",
    "distributed.scheduler.allowed-failures": 100,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "5 minutes",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.use-file-locking": False,
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "30s",
    "distributed.admin.log-format": "%(message)s",
}


def check_address(address: str, tls: Tls) -> None:
    """Refuse an address that leaves this machine without TLS: who reaches it could run what they like.

    Raises UsageError, NotFound for a file that is not there.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or _port_of(address) is None:
        raise UsageError(f"{address!r} is no address of a scheduler", "write it like tls://10.0.0.1:8786")
    files = (tls.ca, tls.certificate, tls.key)
    if parts.scheme == "tls" and not all(files):
        raise UsageError("tls:// needs three files: the trusted CA, a certificate and its key", "see docs/cluster.md")
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname):
        raise UsageError(
            f"{address} leaves this machine without TLS, and whoever reaches it could run anything",
            "use tls:// with certificates of your own CA (docs/cluster.md)",
        )
    for file in filter(None, files):
        if not os.path.isfile(os.path.expanduser(file)):
            raise NotFound(f"{file}: there is no such file")


def load(tls: Tls) -> Security:
    """Load Dask, set it up, and say what it is to know of TLS. Raises NotFound where it is not installed."""
    try:
        import dask

        dask.config.set(_CONFIG)
        from distributed import Security
    except ImportError:
        raise NotFound(
            "clusters need Dask, which is not installed", "install the extra: pip install 'wedsync-tui[cluster]'"
        ) from None
    if not tls.ca:
        return Security()  # type: ignore[no-untyped-call]
    ca, certificate, key = (os.path.expanduser(file) for file in (tls.ca, tls.certificate, tls.key))
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True,
        tls_ca_file=ca,
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
        tls_client_cert=certificate,
        tls_client_key=key,
    )


def _port_of(address: str) -> int | None:
    try:
        return urlsplit(address).port
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
