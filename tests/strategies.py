"""Hypothesis strategies shared by tests: names of any bytes, and trees of all that a source can hold."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from tests.trees import Node, Tree

KIB = 1024

SPECIAL_NAMES = (
    b"\xff\xfe not utf-8", b"new\nline", b"-rf", b" ", b"\t", b"caf\xc3\xa9", b"cafe\xcc\x81", b"a\\b", b"*",
    b"a" * 255, b"\xf0\x9f\x92\x8d" * 63, b"...", b"..a", b".hidden", b"%2e%2e", b"'\"$(x)", b"\x01\x7f", b"CON",
)  # fmt: skip

TIMES_NS = (
    0, 1, -1, -1_500_000_000, -(2**31) * 10**9, 10**9 - 1, 946_684_800_123_456_789, 1_700_000_000_000_000_001,
    (2**31 - 1) * 10**9 + 999_999_999, 4_102_444_800_000_000_007,
)  # fmt: skip

_ACL_MAGIC, _USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER, _NOBODY = 2, 1, 2, 4, 0x10, 0x20, 0xFFFFFFFF


class Long(bytes):
    """Many bytes that are shown as few, so that a tree that fails can be read."""

    def __repr__(self) -> str:
        return f"Long({bytes(self[:4])!r}… {len(self)} bytes)"


def acl(*, user: int, rights: int = 5) -> bytes:
    """A POSIX ACL as the kernel stores it, which lets one more user in; the mode it goes with is 0o754."""
    rows = (
        (_USER_OBJ, 7, _NOBODY), (_USER, rights, user), (_GROUP_OBJ, 1, _NOBODY), (_MASK, 5, _NOBODY),
        (_OTHER, 4, _NOBODY),
    )  # fmt: skip
    return struct.pack("<I", _ACL_MAGIC) + b"".join(struct.pack("<HHI", *row) for row in rows)


def names() -> st.SearchStrategy[bytes]:
    """Names of a thing in a folder: any bytes but NUL and slash, up to 255."""
    plain = st.sampled_from((b"a", b"b", b"a.txt", b"IMG_0001.jpg", b"B", b"a0", b"a-b"))
    wild = st.binary(min_size=1, max_size=8).map(lambda raw: raw.translate(None, b"/\0")[:255])
    return (plain | wild | st.sampled_from(SPECIAL_NAMES)).filter(lambda name: name not in (b"", b".", b".."))


def paths() -> st.SearchStrategy[bytes]:
    """Relative paths of one to four names."""
    return st.lists(names(), min_size=1, max_size=4).map(b"/".join)


def times_ns() -> st.SearchStrategy[int]:
    """Times a file system can hold, the odd ones first."""
    return st.sampled_from(TIMES_NS) | st.integers(0, 4_000_000_000 * 10**9)


def contents() -> st.SearchStrategy[bytes]:
    """The bytes of a small file."""
    return st.binary(max_size=40) | st.sampled_from(
        (b"", Long(5000), Long(b"line\n" * 3000), Long(bytes(range(256)) * 20))
    )


def xattrs() -> st.SearchStrategy[dict[bytes, bytes]]:
    """Attributes that any owner may set."""
    keys = st.sampled_from((b"user.a", b"user.wedsync.rating", b"user.\xc3\xa9", b"user.empty"))
    return st.dictionaries(keys, st.binary(max_size=30) | st.just(Long(b"\xff\0" * 100)), max_size=2)


def files() -> st.SearchStrategy[Node]:
    """Regular files: small, empty, and with holes."""
    modes = st.sampled_from((0o644, 0o600, 0o444, 0o755, 0o4755, 0o2755, 0o400, 0o640))
    runs = st.dictionaries(st.integers(0, 12).map(lambda n: n * 64 * KIB), st.just(Long(b"d" * 4096)), max_size=3)
    sparse = st.builds(
        lambda data, size, mode, mtime_ns: Node(
            data=tuple(sorted(data.items())), size=size, mode=mode, mtime_ns=mtime_ns
        ),
        runs, st.sampled_from((0, 64 * KIB, 1024 * KIB, 2048 * KIB + 1)), modes, times_ns(),
    )  # fmt: skip
    full = st.builds(
        lambda data, mode, mtime_ns, attributes: Node(
            data=((0, data),) if data else (), mode=mode, mtime_ns=mtime_ns, xattrs=attributes
        ),
        contents(), modes, times_ns(), xattrs(),
    )  # fmt: skip
    return full | full | sparse


def folders() -> st.SearchStrategy[Node]:
    """Folders, also ones that their owner cannot write to, and ones with attributes."""
    modes = st.sampled_from((0o755, 0o700, 0o555, 0o1777, 0o2775))
    return st.builds(
        lambda mode, mtime_ns, attributes: Node(kind="folder", mode=mode, mtime_ns=mtime_ns, xattrs=attributes),
        modes, times_ns(), xattrs(),
    )  # fmt: skip


def others() -> st.SearchStrategy[Node]:
    """Symlinks, most of them dangling, and FIFOs."""
    targets = st.sampled_from((b"nowhere", b"/", b"../..", b"a", b"\xff\n", Long(b"x" * 1000))) | names()
    links = st.builds(lambda target, ns: Node(kind="symlink", target=target, mtime_ns=ns), targets, times_ns())
    modes = st.sampled_from((0o600, 0o644))
    fifos = st.builds(lambda mode, ns: Node(kind="fifo", mode=mode, mtime_ns=ns), modes, times_ns())
    return links | fifos


@st.composite
def trees(draw: st.DrawFn, *, max_size: int = 10) -> Tree:
    """A tree that can be built: whatever is above another thing is a folder, hard links name an earlier file."""
    drawn = draw(st.dictionaries(paths(), files() | files() | folders() | others(), max_size=max_size))
    tree: dict[bytes, Node] = {}
    for path in sorted(drawn, key=lambda each: each.split(b"/")):
        parts = path.split(b"/")
        above = [b"/".join(parts[:depth]) for depth in range(1, len(parts))]
        if any(tree.get(parent, drawn.get(parent, Node(kind="folder"))).kind != "folder" for parent in above):
            continue
        for parent in above:
            if parent not in tree:
                tree[parent] = drawn.get(parent) or draw(folders())
        tree[path] = drawn[path]
    linkable = [path for path, node in tree.items() if node.kind in ("file", "fifo", "symlink")]
    if linkable:
        first = draw(st.sampled_from(linkable))
        for extra in draw(st.lists(names(), max_size=2)):
            if extra not in tree:
                tree[extra] = Node(kind=tree[first].kind, link_to=first)
    return tree
