"""Machines that work for one engine: how each is shown, and what the settings say of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

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
    address: str = ""


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


COLD_CLUSTER_SETTINGS = frozenset({
    "cluster.scheduler", "cluster.tls_ca", "cluster.tls_certificate", "cluster.tls_key",
})  # fmt: skip
