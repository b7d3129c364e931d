"""`TapeStore`: objects on a tape that LTFS has mounted (`tape:///mount/point`), by the rules of that file system.

LTFS (ISO/IEC 20919) looks like a disk and is none. There are no hard links. Deleting frees nothing: only a cartridge
that is formatted anew has its room back. An fsync returns at once; what was written lasts when the index is on the
tape, which setting the attribute `user.ltfs.sync` forces. Reading goes to the block where a file begins
(`user.ltfs.startblock`), so order is what makes it fast, and two readers at once make it slow. And a cartridge may not
be there at all, or another may. In: bytes and names, as for a disk. Out: the same promises. Any thread but an event
loop's.
"""

from __future__ import annotations

import errno
import os
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from engine.base.errors import NotFound, Unavailable
from engine.base.invariants import check
from engine.storage.stores import syscalls
from engine.storage.stores.commits import Rules, SoleCommit
from engine.storage.stores.failures import explain, shown, store_closed
from engine.storage.stores.local import LocalStore
from engine.storage.stores.store import ObjectInfo, Space, StagedObject

VOLUME = "user.ltfs.volumeUUID"  # on the root of a mounted cartridge
VOLUME_NAME = "user.ltfs.volumeName"
SYNC = "user.ltfs.sync"
START_BLOCK = "user.ltfs.startblock"
_NO_ATTRIBUTE = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT, errno.ENOTDIR, errno.ENOTCONN, errno.EIO})
_BEHIND_ALL = 1 << 63


class TapeStore:
    """A store on whatever cartridge is mounted. Any thread but an event loop's. See `ObjectStore` for the promises.

    One reader at a time has the drive. Without a cartridge every call is Unavailable, so that who wants something
    waits; the store itself opens all the same.
    """

    def __init__(self, root: Path, *, volume: str = "") -> None:
        """`root`, absolute, is the mount point; nothing is looked at yet. `volume`: a name or UUID; empty: any."""
        check(root.is_absolute(), "a mount point is absolute")
        self._root = str(root)
        self._wanted = volume
        self._url = "tape://" + urllib.parse.quote(os.fsencode(self._root))
        if volume:
            self._url += f"?volume={urllib.parse.quote(volume)}"
        self._lock = threading.Lock()
        self._cartridge: LocalStore | None = None  # with the next, guarded by `_lock`
        self._volume = b""
        self._is_closed = False
        self._drive = threading.Lock()  # whose turn it is to wind the tape

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        with self._mounted() as cartridge:
            cartridge.put(name, data)

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        with self._mounted() as cartridge:
            return cartridge.stage()

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        with self._drive, self._mounted() as cartridge:
            return cartridge.get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        with self._drive, self._mounted() as cartridge:
            cartridge.read_into(name, offset, buffer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`: of the cartridge that is mounted, from its first to its last name."""
        with self._mounted() as cartridge:
            listed = cartridge.list(prefix)
        return self._listed(listed)

    def read_order(self, names: Sequence[str]) -> Sequence[str]:
        """The names in the order in which the tape passes them; what is not there comes last. Raises Unavailable."""
        with self._mounted():
            return sorted(names, key=lambda name: (self._start_block(name), name))

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        with self._mounted() as cartridge:
            return cartridge.folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        with self._mounted() as cartridge:
            return cartridge.stat(name)

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`. The name goes; its room comes back when the cartridge is formatted."""
        with self._mounted() as cartridge:
            cartridge.delete(name)

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        with self._mounted() as cartridge:
            return cartridge.space()

    def close(self) -> None:
        """See `ObjectStore.close`. Also twice."""
        with self._lock:
            self._is_closed = True
            cartridge, self._cartridge = self._cartridge, None
        if cartridge is not None:
            cartridge.close()

    # --- the cartridge ---

    @contextmanager
    def _mounted(self) -> Iterator[LocalStore]:
        """The cartridge, for one call. What fails because it is gone, or another is there now, is Unavailable."""
        cartridge, volume = self._opened()
        try:
            yield cartridge
        except (NotFound, Unavailable) as error:
            if self._mounted_volume() != volume:
                raise self._missing() from error
            raise

    def _listed(self, listed: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        with self._mounted():
            yield from listed
            if self._mounted_volume() != self._volume:  # a mount point that is empty lists nothing, and says so
                raise self._missing()

    def _opened(self) -> tuple[LocalStore, bytes]:
        volume = self._mounted_volume()
        with self._lock:
            if self._is_closed:
                raise store_closed(self._root)
            if not volume:
                raise self._missing()
            if self._cartridge is not None and volume != self._volume:
                self._cartridge.close()
                self._cartridge = None
            if self._cartridge is None:
                rules = Rules(SoleCommit, partial(syscalls.set_attribute, self._root, SYNC, b"1"))
                self._cartridge = LocalStore(Path(self._root), create=False, direct_io=False, rules=rules)
                self._volume = volume
            return self._cartridge, volume

    def _mounted_volume(self) -> bytes:
        """What names the cartridge that is mounted; empty when none is."""
        volume = self._attribute(VOLUME)
        names = {volume.decode("ascii", "replace"), self._attribute(VOLUME_NAME).decode("utf-8", "replace")}
        return volume if not self._wanted or self._wanted in names else b""

    def _attribute(self, name: str) -> bytes:
        try:
            return syscalls.attribute(self._root, name)
        except OSError as error:
            if error.errno in _NO_ATTRIBUTE:
                return b""
            raise explain(error, self._root) from error

    def _start_block(self, name: str) -> int:
        try:
            return int(syscalls.attribute(f"{self._root}/{name}", START_BLOCK))
        except (OSError, ValueError):
            return _BEHIND_ALL

    def _missing(self) -> Unavailable:
        which = f"the cartridge {self._wanted}" if self._wanted else "a cartridge"
        return Unavailable(
            f"{which} is not mounted at {shown(self._root)}",
            "mount it with ltfs, or have the robot do it",
        )
