"""Trees of files for tests: built from a description, and described with everything that must come back.

`build` makes a tree from `Node`s by path; `describe` reads any tree, with no code of the engine. Two trees are
alike when their descriptions are equal. Names are bytes; paths are relative to the root, which is `b""`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat as st
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["folder", "file", "symlink", "fifo", "socket", "device"]

_TYPES = {
    st.S_IFDIR: "folder", st.S_IFREG: "file", st.S_IFLNK: "symlink", st.S_IFIFO: "fifo", st.S_IFSOCK: "socket",
    st.S_IFCHR: "character device", st.S_IFBLK: "block device",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing to build. `data` are runs at offsets; what lies between them, and after them up to `size`, is holes."""

    kind: Kind = "file"
    mode: int | None = None
    mtime_ns: int = 1_700_000_000_123_456_789
    data: tuple[tuple[int, bytes], ...] = ()
    size: int = 0  # at least this much
    target: bytes = b""  # of a symlink
    link_to: bytes = b""  # another name of the thing at this path, which comes earlier
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict)
    owner: tuple[int, int] | None = None  # only root can set one
    device: int = 0


Tree = Mapping[bytes, Node]


@dataclass(frozen=True, slots=True)
class Thing:
    """What `describe` found at one path: whatever has to be the same after a restore."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    size: int
    target: bytes
    device: int
    xattrs: tuple[tuple[bytes, bytes], ...]
    names: tuple[bytes, ...]  # all paths in this tree that are the same thing, if there are several
    data_map: tuple[tuple[int, int], ...]  # (offset, length) of data, as far as the file system tells
    digest: str


def file(data: bytes = b"", **more: object) -> Node:
    """A regular file that is all data."""
    return Node(data=((0, data),) if data else (), **more)  # type: ignore[arg-type]


def folder(**more: object) -> Node:
    """A folder."""
    return Node(kind="folder", **more)  # type: ignore[arg-type]


def symlink(target: bytes, **more: object) -> Node:
    """A symlink, to anywhere."""
    return Node(kind="symlink", target=target, **more)  # type: ignore[arg-type]


def build(root: Path, tree: Tree) -> None:
    """Make `tree` below `root`. Missing folders are made; metadata is set deepest first, so times stay."""
    root.mkdir(parents=True, exist_ok=True)
    base = os.fsencode(root)
    paths = sorted(tree, key=lambda path: path.split(b"/"))
    for path in paths:
        if tree[path].link_to:
            continue
        full = base + b"/" + path
        os.makedirs(os.path.dirname(full), exist_ok=True)
        _make(full, tree[path])
    for path in paths:
        if tree[path].link_to:
            os.makedirs(os.path.dirname(base + b"/" + path), exist_ok=True)
            os.link(base + b"/" + tree[path].link_to, base + b"/" + path, follow_symlinks=False)
    for path in reversed(paths):
        if not tree[path].link_to:
            _dress(base + b"/" + path, tree[path])


def _make(full: bytes, node: Node) -> None:
    if node.kind == "folder":
        os.makedirs(full, exist_ok=True)
    elif node.kind == "symlink":
        os.symlink(node.target, full)
    elif node.kind == "fifo":
        os.mkfifo(full)
    elif node.kind == "socket":
        os.mknod(full, st.S_IFSOCK | 0o600)
    elif node.kind == "device":
        os.mknod(full, st.S_IFCHR | 0o600, node.device)
    else:
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for offset, data in node.data:
                os.pwrite(fd, data, offset)
            os.ftruncate(fd, max(node.size, os.fstat(fd).st_size))
        finally:
            os.close(fd)


def _dress(full: bytes, node: Node) -> None:
    if node.owner is not None:
        os.lchown(full, *node.owner)
    for name, value in node.xattrs.items():
        with contextlib.suppress(OSError):  # a file system without them: then nothing has to come back
            os.setxattr(full, name, value, follow_symlinks=False)
    if node.mode is not None and node.kind != "symlink":
        os.chmod(full, node.mode)
    os.utime(full, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that goes away whatever was built in it, also when its owner is a plain user."""
    made = tempfile.mkdtemp()
    try:
        yield Path(made)
    finally:
        for folder, _, _ in os.walk(made):  # top down: a folder is opened up before it is listed
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.path, 0o700)
        shutil.rmtree(made)


def describe(root: Path | bytes) -> dict[bytes, Thing]:
    """Everything below `root`, and `root` itself as `b""`. Paths may be of any length."""
    names: dict[tuple[int, int], list[bytes]] = {}
    seen: list[tuple[bytes, os.stat_result, Thing]] = []
    base = os.fsencode(root)
    stack = [(b"", os.open(base, os.O_RDONLY | os.O_DIRECTORY))]
    seen.append((b"", os.fstat(stack[0][1]), _thing(stack[0][1], b".")))
    while stack:
        prefix, fd = stack.pop()
        for name in map(os.fsencode, os.listdir(fd)):
            stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
            path = prefix + name
            seen.append((path, stat, _thing(fd, name)))
            if st.S_ISDIR(stat.st_mode):
                stack.append((path + b"/", os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)))
            elif stat.st_nlink > 1:
                names.setdefault((stat.st_dev, stat.st_ino), []).append(path)
        os.close(fd)
    found: dict[bytes, Thing] = {}
    for path, stat, thing in seen:
        alike = sorted(names.get((stat.st_dev, stat.st_ino), []))
        found[path] = _with_names(thing, tuple(alike)) if len(alike) > 1 else thing
    return found


def _with_names(thing: Thing, names: tuple[bytes, ...]) -> Thing:
    return Thing(
        thing.kind, thing.mode, thing.owner, thing.mtime_ns, thing.size, thing.target, thing.device, thing.xattrs,
        names, thing.data_map, thing.digest,
    )  # fmt: skip


def _thing(folder_fd: int, name: bytes) -> Thing:
    stat = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    kind = _TYPES[st.S_IFMT(stat.st_mode)]
    data_map: tuple[tuple[int, int], ...] = ()
    digest = ""
    if kind == "file":
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder_fd)
        with os.fdopen(fd, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            data_map = _data_map(opened.fileno(), stat.st_size)
    return Thing(
        kind=kind,
        mode=st.S_IMODE(stat.st_mode),
        owner=(stat.st_uid, stat.st_gid),
        mtime_ns=stat.st_mtime_ns,
        size=stat.st_size if kind == "file" else 0,
        target=os.readlink(name, dir_fd=folder_fd) if kind == "symlink" else b"",
        device=stat.st_rdev if "device" in kind else 0,
        xattrs=_xattrs(folder_fd, name),
        names=(),
        data_map=data_map,
        digest=digest,
    )


def _xattrs(folder_fd: int, name: bytes) -> tuple[tuple[bytes, bytes], ...]:
    path = b"/proc/self/fd/%d/%s" % (folder_fd, name)
    try:
        found = sorted(map(os.fsencode, os.listxattr(path, follow_symlinks=False)))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return ()
        raise
    return tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in found)


def _data_map(fd: int, size: int) -> tuple[tuple[int, int], ...]:
    """Runs of data; one run on a file system that does not tell."""
    runs: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        runs.append((begin, at - begin))
    return tuple(runs)


def build_chain(root: Path, name: bytes, depth: int) -> None:
    """`depth` folders, each in the one before, all called `name`; the last holds the file `end`. `root` is made."""
    root.mkdir(exist_ok=True)
    fd = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open(b"end", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)


def remove_chain(root: Path, name: bytes) -> int:
    """Remove what `build_chain` made, however deep, and say how many folders there were."""
    fd = os.open(root, os.O_RDONLY)
    depth = 0
    with contextlib.suppress(FileNotFoundError):
        while True:
            inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = inner
            depth += 1
    os.unlink(b"end", dir_fd=fd)
    for _ in range(depth):
        outer = os.open(b"..", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = outer
        os.rmdir(name, dir_fd=fd)
    os.close(fd)
    return depth
