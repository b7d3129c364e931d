"""`node` and `scheduler`: what the machines of a cluster run, instead of a console or a service.

In: the words after the program's own options. Out: an exit code; a line on standard error at each turn. Main thread.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from engine.base.errors import EXIT_DONE, UsageError
from engine.contract.cluster import NODE_CLASSES, Machine, NodeRow, Tls
from wedsync_tui.arguments import Argument
from wedsync_tui.binding import Form, bind_values, convert_values
from wedsync_tui.options import PROGRAM, option
from wedsync_tui.output import Output
from wedsync_tui.passphrase import Passphrase
from wedsync_tui.wiring import start_node, start_scheduler

SLOTS = 4
SLOTS_MAX = 256

_TRUST = (
    option("tls_ca", "text", "FILE", "the certificates of who is trusted", default=""),
    option("tls_certificate", "text", "FILE", "the certificate of this machine", default=""),
    option("tls_key", "text", "FILE", "its private key", default=""),
)
NODE: tuple[Argument, ...] = (
    option("scheduler", "text", "ADDRESS", "where the scheduler is, as tls://10.0.0.1:8786", default=""),
    option("repository", "text", "URL", "the hot store (default: as the settings of this home say)", default=""),
    option("name", "text", "NAME", "what the cluster calls this node (default: the name of the machine)", default=""),
    option("source_root", "list", "DIR", "a folder that other machines see under the same path; may be repeated"),
    option("slots", "number", "N", "jobs at once", default=SLOTS),
    msgspec.structs.replace(  # `class` names no parameter of a function, which is what the parser makes of a field
        option("node_class", "text", "CLASS", "reserved, or spot for one that may be taken away", default="reserved"),
        flag="--class",
    ),
    option("region", "text", "REGION", "where it is, as the settings call it", default=""),
    option("type", "text", "TYPE", "its type, as the price list calls it", default=""),
    option("notice_file", "text", "FILE", "drain as soon as this file is there", default=""),
    option("address", "text", "HOST", "the address that others reach this machine by", default=""),
    *_TRUST,
)
SCHEDULER: tuple[Argument, ...] = (
    option("listen", "text", "ADDRESS", "where nodes and engine find it, as tls://10.0.0.1:8786", default=""),
    *_TRUST,
)
FORMS = {
    "node": Form("node", NODE, f"{PROGRAM} node --help lists its options"),
    "scheduler": Form("scheduler", SCHEDULER, f"{PROGRAM} scheduler --help lists its options"),
}


def run(words: Sequence[str], home: Path, passphrase: Passphrase, *, streams: int | None, output: Output) -> int:
    """Be what `words` say until a signal. Raises WedSyncError."""
    form = FORMS[words[0]]
    if set(words[1:]) & {"--help", "-h"}:
        output.page(page(words[0]))
        return EXIT_DONE
    given = convert_values(form, bind_values(form, words[1:]))
    texts = {row.field: str(given.get(row.field) or row.default or "") for row in form.rows}

    def tell(line: str) -> None:
        output.note(f"{PROGRAM}: {line}")

    tls = Tls(texts["tls_ca"], texts["tls_certificate"], texts["tls_key"])
    if words[0] == "scheduler":
        if not texts["listen"]:
            raise UsageError("a scheduler needs an address", form.more)
        start_scheduler(texts["listen"], tls, tell)
        return EXIT_DONE
    roots = cast("tuple[str, ...]", given.get("source_root") or ())
    slots = cast("int", given.get("slots") or SLOTS)
    machine = Machine(
        scheduler=texts["scheduler"],
        row=_row(texts, roots=roots, slots=slots),
        tls=tls,
        repository=texts["repository"],
        notice=texts["notice_file"],
        host=texts["address"],
        streams=streams,
    )
    start_node(home, passphrase, machine, tell)
    return EXIT_DONE


def page(verb: str) -> str:
    """What `node --help` says."""
    rows = "\n".join(f"  {row.usage.strip('[]'):28}  {row.help}" for row in FORMS[verb].rows)
    return f"{PROGRAM} [--home DIR] [--passphrase-file FILE] {verb} …\n\n{rows}"


def _row(texts: dict[str, str], *, roots: tuple[str, ...], slots: int) -> NodeRow:
    if not texts["scheduler"]:
        raise UsageError("a node needs its scheduler", "give --scheduler ADDRESS, as tls://10.0.0.1:8786")
    if texts["node_class"] not in NODE_CLASSES:
        raise UsageError(f"--class: {texts['node_class']} is none", f"there are {' and '.join(NODE_CLASSES)}")
    if slots > SLOTS_MAX:
        raise UsageError(f"--slots: {slots} is too many", f"{SLOTS_MAX} is the most")
    for root in roots:
        if not root.startswith("/"):
            raise UsageError(f"--source-root: {root} is no absolute path", "write it from the root on")
    name = texts["name"] or platform.node()
    if not name or "/" in name or not name.isprintable():
        raise UsageError(f"--name: {name!r} is no name of a node", "letters, digits and dashes are")
    return NodeRow(
        name=name,
        node_class=texts["node_class"],
        slots=slots,
        region=texts["region"],
        machine_type=texts["type"],
        source_roots=roots,
    )
