"""The seam of system calls, watched and cut: names every change to the disk of store and home, and dies at one.

Runs in the child that will be killed. In: the name of the boundary to cut at, if any. Out: two logs that outlive
the death: the boundaries in order, and what happened, from which `disk` tells what a power cut would leave. A second
name of every file is kept in an attic beside the store, so that no bytes are lost to the tests.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.base import atomic
from engine.storage.stores import syscalls

_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{32}")
_STAGING = re.compile(r"tmp/\d+-\d+")
_REPLACING = re.compile(r"\.(.+)\.\d+\.new")
_NAMED_BY_TARGET = ("rename", "link", "home_rename")
PAGE_BYTES = 4096
REPLACED = "replaced"  # of the logs: a file of the home whose new name is not fsynced yet, as it was; its name first


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to die: before the boundary of this name; `torn`: when half of its bytes are written.

    With `refuse`, an error number, the call is refused with it instead, once, and the process lives on.
    """

    boundary: str = ""
    torn: bool = False
    refuse: int = 0


class Log:
    """Lines that outlive the process. Any thread."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, *fields: object) -> None:
        """One line, in the page cache when this returns."""
        os.write(self._fd, json.dumps(fields).encode() + b"\n")


def read_log(path: Path) -> list[list[str]]:
    """What was logged; the line being written when the process died is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


class Seam:
    """Stands between the store below `root` and the system, for the life of this process."""

    def __init__(self, root: Path, logs: Path, cut: Cut) -> None:
        self._root = str(root)
        self._attic = logs / "attic"
        self._attic.mkdir(exist_ok=True)
        self._boundaries = Log(logs / "boundaries")
        self._events = Log(logs / "events")
        self._cut = cut
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._files: dict[int, str] = {}  # open descriptor → path it was made under
        self._numbers: dict[int, int] = {}  # open descriptor → file
        self._count = len(list(self._attic.iterdir()))  # those of earlier lives stay
        setattr(syscalls, "fsync_together", lambda fds: None)  # noqa: B010  # one by one, each a boundary
        for name in syscalls.CHANGES:
            setattr(syscalls, name, self._watched(name, getattr(syscalls, name)))
        setattr(atomic, "os", _HomeCalls(self))  # noqa: B010
        self._replaced = logs / REPLACED

    def open_of_home(self, path: str | Path, flags: int, *mode: int) -> int:
        """Open a file of the home; only making one is a boundary."""
        make = self._watched("home_open", os.open) if flags & os.O_CREAT else os.open
        fd = make(path, flags, *mode)
        assert isinstance(fd, int)
        self._files[fd] = str(path)
        return fd

    def of_home(self, name: str) -> Callable[..., object]:
        """A call on a file of the home, watched."""
        return self._watched("home_" + name, getattr(os, name))

    def _watched(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            boundary = self._boundary(name, arguments)
            if boundary == self._cut.boundary and self._cut.refuse:
                raise OSError(self._cut.refuse, os.strerror(self._cut.refuse))
            if boundary == self._cut.boundary:
                self._die(name, arguments, function)
            if name == "home_rename":
                self._keep_replaced(str(arguments[1]))
            if name.startswith("fsync"):
                self._note(name + " begins", arguments, None)
            result = function(*arguments, **options)
            self._note(name, arguments, result)
            return result

        return call

    def _boundary(self, name: str, arguments: tuple[object, ...]) -> str:
        """`rename weddings/*/packs/* 2`: what is done to what kind of thing, for the how manieth time."""
        on = arguments[1] if name in _NAMED_BY_TARGET else arguments[0]
        path = self._files.get(on, "?") if isinstance(on, int) else str(on)
        if name.startswith("home_"):
            shown = "." if os.path.isdir(path) else _REPLACING.sub(r"\1", os.path.basename(path))
        else:
            shown = _STAGING.sub("tmp/P", _HASH.sub("*", path.removeprefix(self._root).lstrip("/"))) or "."
        with self._lock:
            self._seen[f"{name} {shown}"] += 1
            boundary = f"{name} {shown} {self._seen[f'{name} {shown}']}"
            self._boundaries.add(boundary)
        return boundary

    def _die(self, name: str, arguments: tuple[object, ...], function: Callable[..., object]) -> None:
        if self._cut.torn and name == "write_at":
            fd, data, offset = arguments
            assert isinstance(data, memoryview)
            half = len(data) // 2 // PAGE_BYTES * PAGE_BYTES or len(data) // 2
            function(fd, data[:half], offset)
            self._note("write_at", (fd, data[:half], offset), half)
        if self._cut.torn and name == "home_write":
            fd, data = arguments
            assert isinstance(data, memoryview)
            function(fd, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()  # until the signal has come

    def _note(self, name: str, arguments: tuple[object, ...], result: object) -> None:
        with self._lock:
            if name.startswith("home_"):
                if name == "home_fsync" and isinstance(arguments[0], int) and os.path.isdir(self._files[arguments[0]]):
                    self._replaced.unlink(missing_ok=True)
            elif name == "create_file":
                assert isinstance(result, int)
                self._count += 1
                self._files[result], self._numbers[result] = str(arguments[0]), self._count
                os.link(str(arguments[0]), self._attic / str(self._count))
                self._events.add(name, str(arguments[0]), self._count)
            elif name == "write_at":
                fd, _, offset = arguments
                assert isinstance(fd, int)
                assert isinstance(offset, int)
                assert isinstance(result, int)
                self._events.add(name, self._numbers[fd], offset + result)
            elif name.startswith("fsync_file"):
                assert isinstance(arguments[0], int)
                self._events.add(name, self._numbers[arguments[0]])
            else:
                self._events.add(name, *map(str, arguments))

    def _keep_replaced(self, path: str) -> None:
        """A file of the home is about to be replaced: until the folder is fsynced, a power cut may bring it back."""
        old = Path(path).read_bytes() if Path(path).exists() else b""
        self._replaced.write_bytes(os.path.basename(path).encode() + b"\n" + old)


class _HomeCalls:
    """What `engine.base.atomic` takes for `os`."""

    def __init__(self, seam: Seam) -> None:
        self._watched = {name: seam.of_home(name) for name in ("write", "fsync", "rename")}
        self._watched["open"] = seam.open_of_home

    def __getattr__(self, name: str) -> object:
        return self._watched.get(name) or getattr(os, name)
