"""One entry of a manifest: a file, folder or other thing as it stood in the source (docs/format.md, Manifest).

On disk, never change: the order of the fields is the format.
"""

from __future__ import annotations

import msgspec

FOLDER, FILE, SYMLINK, FIFO, SOCKET, CHARACTER_DEVICE, BLOCK_DEVICE = range(7)  # on disk, never change
KIND_NAMES = ("folder", "file", "symlink", "fifo", "socket", "character-device", "block-device")
INLINE_CHUNKS_MAX = 1024


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
