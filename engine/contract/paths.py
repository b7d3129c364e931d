"""Paths in the arguments of an operation: made absolute by the caller's side, so that they mean the same to an engine
in another process with another working folder, another home and other descriptors.

Which arguments are paths is marked in `engine.contract.operations`. Flows in: an operation as a door made it. Flows
out: the same, to be carried anywhere. Any thread.
"""

from __future__ import annotations

import functools
import os
import re
import typing
from typing import TypeVar

import msgspec

from engine.base.errors import NotFound, UsageError
from engine.contract.operations import Operation

_BUCKETS = "s3://"
NODES = "node://"  # node://NAME/PATH: on that node's own disk; node:///PATH: shared by nodes, and not here
STREAM = "-"  # the caller's standard input or output

Asked = TypeVar("Asked", bound=Operation)
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OWN = re.compile(r"/proc/self/|/dev/(fd/|stdin$|stdout$|stderr$)")
_STANDARD = {"stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "fd/": "fd/"}


def with_absolute_paths(operation: Asked) -> Asked:
    """The operation with its paths as any process would need them. Raises NotFound when the working folder is gone."""
    changes: dict[str, object] = {}
    for name in path_fields(type(operation)):
        value = getattr(operation, name)
        changes[name] = tuple(map(absolute, value)) if isinstance(value, tuple) else absolute(value)
    return msgspec.structs.replace(operation, **changes) if changes else operation


def absolute(path: str) -> str:
    """`path` from the root on, `~` filled in; `-`, the empty one and the URL of a bucket as they are.

    A URL of any other kind would become a folder of that name in the working folder: UsageError.
    A descriptor of this process, as a shell's `<(…)` gives, is named so that another process can open it.
    """
    if path in ("", STREAM) or is_url(path):
        return path
    if path.startswith(NODES):
        node_of(path)
        return path
    if _FOREIGN.match(path):
        kind = path.partition("://")[0]
        raise UsageError(
            f"there are no URLs that begin with {kind}:// here",
            f"name a folder, or a bucket as s3://…; a folder of that name is ./{kind}:/…",
        )
    try:
        full = os.path.abspath(os.path.expanduser(path))
    except FileNotFoundError:
        raise NotFound("the working folder is gone", "change to one that is there") from None
    own = _OWN.match(full)
    if own is None:
        return full
    return f"/proc/{os.getpid()}/{_STANDARD.get(own.group(1) or '', '')}{full[own.end() :]}"


def is_url(path: str) -> bool:
    """Whether a source or target is the URL of a bucket."""
    return path.lower().startswith(_BUCKETS)


def node_of(url: str) -> tuple[str, str]:
    """The node that a source names, empty for any that shares it, and the path there. Raises UsageError."""
    host, _, rest = url.removeprefix(NODES).partition("/")
    path = f"/{rest}".rstrip("/")
    if not path or path.startswith("//") or os.path.normpath(path) != path:
        raise UsageError(f"{url!r} names no folder of a node", "write it like node://NAME/path/of/folder")
    return host, path


def check_absolute(operation: Operation) -> None:
    """Refuse what would mean another file here than where it was written. Raises UsageError."""
    for name in path_fields(type(operation)):
        value = getattr(operation, name)
        for path in value if isinstance(value, tuple) else (value,):
            if path not in ("", STREAM) and not path.startswith(("/", NODES)) and not is_url(path):
                raise UsageError(f"{name}: {path} is no absolute path", "write it from the root on")


def uses_streams(operation: Operation) -> bool:
    """Whether it reads the caller's standard input, or writes to the standard output."""
    return any(getattr(operation, name) == STREAM for name in path_fields(type(operation)))


@functools.cache
def path_fields(kind: type[Operation]) -> tuple[str, ...]:
    """The arguments that name files of the caller's machine."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        for meta in getattr(hint, "__metadata__", ())
        if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get("path")
    )
