"""Machines that work for one engine: how each is shown, and what the settings say of them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from engine.base.errors import UsageError

NodeClass = Literal["reserved", "spot"]  # spot: it may be taken away after a short notice
NodeState = Literal["starting", "ready", "draining"]  # draining: it ends what it has begun, and takes nothing new
NODE_CLASSES: tuple[NodeClass, ...] = ("reserved", "spot")


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: a machine of a cluster, or a stream of the embedded engine. `slots`: jobs it takes at once."""

    name: str
    node_class: NodeClass = "reserved"
    state: NodeState = "ready"
    slots: int = 1
    running: int = 0
    region: str = ""
    machine_type: str = ""  # as the price list calls it
    source_roots: tuple[str, ...] = ()  # folders that it shares with others under the same path


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine needs to have to run a job."""

    paths: tuple[str, ...] = ()  # sources that it must be able to read; none: it need not share any
    host: str = ""  # the node whose own disk it is about; empty: any
    only_there: bool = False  # the sources are not on the engine's own machine
    region: str = ""  # where it had best be


class Tls(msgspec.Struct, frozen=True):
    """Files of certificates: who is trusted, and what this machine shows of itself. All three or none."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a node. `notice`: a file that appears when the machine goes soon."""

    scheduler: str
    row: NodeRow
    tls: Tls = Tls()
    repository: str = ""  # URL of the hot store; empty: as the settings of the home say
    notice: str = ""
    host: str = ""  # address of this machine that others reach it by; empty: as Dask finds it
    streams: int | None = None


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Machines beside this one. Without a scheduler there are none."""

    scheduler: Annotated[
        str, msgspec.Meta(description="address of the scheduler, as tls://10.0.0.1:8786; empty: this machine alone")
    ] = ""
    tls_ca: Annotated[str, msgspec.Meta(description="file: the certificates of who is trusted (PEM)")] = ""
    tls_certificate: Annotated[str, msgspec.Meta(description="file: the certificate of this machine (PEM)")] = ""
    tls_key: Annotated[str, msgspec.Meta(description="file: its private key (PEM)")] = ""
    launch: Annotated[
        tuple[str, ...],
        msgspec.Meta(description='program that brings so many nodes, as ["/usr/local/bin/nodes"]; none: by hand'),
    ] = ()

    @property
    def tls(self) -> Tls:
        """The files of certificates."""
        return Tls(self.tls_ca, self.tls_certificate, self.tls_key)


COLD_CLUSTER_SETTINGS = frozenset({
    "cluster.scheduler", "cluster.tls_ca", "cluster.tls_certificate", "cluster.tls_key",
})  # fmt: skip


def check_address(address: str) -> None:
    """Refuse an address that leaves this machine without TLS: who reaches it could run what they like.

    Raises UsageError, also for what is no address.
    """
    parts = urlsplit(address)
    try:
        is_whole = parts.scheme in ("tcp", "tls") and bool(parts.hostname) and parts.port is not None
    except ValueError:  # of the port
        is_whole = False
    if not is_whole:
        raise UsageError(f"{address!r} is no address of a scheduler", "write it like tls://10.0.0.1:8786")
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname or ""):
        raise UsageError(
            f"{address} leaves this machine without TLS, and whoever reaches it could run anything",
            "use tls:// with certificates of your own CA (docs/cluster.md)",
        )


def check_cluster(settings: ClusterSettings) -> None:
    """Raises ValueError with a sentence that begins with the setting for what means nothing, or is not safe."""
    try:
        if settings.scheduler:
            check_address(settings.scheduler)
    except UsageError as error:
        raise ValueError(f"cluster.scheduler: {error.line()}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
