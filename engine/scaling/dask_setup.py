"""How Dask is set up before it is used: quiet, without work stealing, and with TLS wherever it leaves the machine.

In: an address and files of certificates. Out: a checked address, and what Dask wants to know of TLS. `distributed` is
loaded by these functions alone, and only where somebody uses a cluster (the extra `cluster`). Any thread; blocks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.base.errors import NotFound, UsageError
from engine.contract.cluster import Tls, check_address

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


def check_trust(address: str, tls: Tls) -> None:
    """Refuse an address that will not do, and files of certificates that it needs and that are not there.

    Raises UsageError, NotFound.
    """
    check_address(address)
    files = (tls.ca, tls.certificate, tls.key)
    if address.startswith("tls:") and not all(files):
        raise UsageError("tls:// needs three files: the trusted CA, a certificate and its key", "see docs/cluster.md")
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
