"""One entry of a manifest: a file, folder or other thing as it stood in the source (docs/format.md, Manifest).

On disk, never change: the order of the fields is the format.
"""

from __future__ import annotations

import msgspec

FOLDER, FILE, SYMLINK, FIFO, SOCKET, CHARACTER_DEVICE, BLOCK_DEVICE = range(7)  # on disk, never change
KIND_NAMES = ("folder", "file", "symlink", "fifo", "socket", "character-device", "block-device")
INLINE_CHUNKS_MAX = 1024
TIME_NS_MIN, TIME_NS_MAX = -(2**63), 2**64 - 1  # what MessagePack can hold
_NO_NAMES = frozenset((b"", b".", b".."))  # no path is made of
XATTR_BYTES_MAX = 1024 * 1024  # of one entry, names and values together: a segment has to fit a blob
ALL_HOLE: tuple[tuple[int, int], ...] = ((0, 0),)  # the extents of a file that has a size and no data


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry. `path` is absolute without its leading slash, any bytes but NUL."""

    path: bytes
    kind: int
    mode: int  # the twelve permission bits
    uid: int
    gid: int
    mtime_ns: int
    ctime_ns: int = 0  # 0: too fresh at the read to be trusted by change detection
    inode: int = 0
    link_group: int = 0  # 0: one name; else the same number for each name of the inode
    device: int = 0  # st_rdev of a device
    target: bytes = b""  # of a symlink
    xattrs: tuple[tuple[bytes, bytes], ...] = ()  # sorted by name; POSIX ACLs are two of them
    size: int = 0
    extents: tuple[tuple[int, int], ...] = ()  # (offset, length) of data; empty: all of it is data
    chunks: bytes = b""  # chunk ids, 32 bytes each, over the data of the extents in order
    chunk_lists: bytes = b""  # instead, for over 1,024 chunks: ids of blobs that hold the chunk ids
    hash: bytes = b""  # BLAKE3 of the data: of the only 64 MiB segment, else of the segments' BLAKE3s

    @property
    def components(self) -> tuple[bytes, ...]:
        """The path taken apart; entries are in the order of these."""
        return tuple(self.path.split(b"/"))

    @property
    def data_bytes(self) -> int:
        """Bytes that are chunked: the size without holes."""
        return sum(length for _, length in self.extents) if self.extents else self.size


def path_text(path: bytes) -> str:
    """A path of a snapshot as people read it: absolute, and with bytes that are not UTF-8 written as `\\xff`."""
    return "/" + path.decode("utf-8", "backslashreplace")


def entry_problem(entry: Entry) -> str:
    """What makes `entry` one that no manifest may hold, as the end of a sentence; empty when it may."""
    # Taken apart at once: this is asked of every entry that is read or written, and each look at a field counts.
    (path, kind, mode, uid, gid, _, ctime_ns, inode, link_group, device, target, _, size, extents, chunks, chunk_lists,
     digest) = msgspec.structs.astuple(entry)  # fmt: skip
    if b"\0" in path or not _NO_NAMES.isdisjoint(path.split(b"/")):
        return "a path it may not hold"
    if not FOLDER <= kind <= BLOCK_DEVICE or not 0 <= mode <= 0o7777:
        return "an entry of no known kind or mode"
    if not (0 <= uid < 1 << 32 and 0 <= gid < 1 << 32 and 0 <= size < 1 << 63):
        return "a number out of bounds"
    if ctime_ns < 0 or inode < 0 or link_group < 0 or device < 0:
        return "a number out of bounds"
    if (kind == SYMLINK) != bool(target) or (target and b"\0" in target):
        return "a link without a target, or a target without a link"
    if len(chunks) % 32 or len(chunk_lists) % 32 or (chunks and chunk_lists):
        return "a broken list of chunks"
    if device and kind not in (CHARACTER_DEVICE, BLOCK_DEVICE):
        return "a device number of what is no device"
    if kind != FILE:
        contents = size or chunks or chunk_lists or digest or extents
        return "contents of what is no file" if contents else ""
    if len(digest) != 32 and not (digest[:1] == b"\0" and len(digest) % 32 == 1):
        return "a file without its hash"
    return "" if not extents or _are_possible(extents, size) else "an impossible extent"


def _are_possible(extents: tuple[tuple[int, int], ...], size: int) -> bool:
    """Ascending, apart from each other, not empty, inside the file."""
    if not extents or extents == ALL_HOLE:
        return True
    end = 0
    for offset, length in extents:
        if offset < end or length <= 0:
            return False
        end = offset + length
    return end <= size
