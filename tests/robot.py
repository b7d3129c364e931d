"""A tape robot: cartridges on shelves, one drive, LTFS's rules. SIMULATED, on folders of this machine.

Enforced, at the store's own system calls: no hard links; no direct I/O; files are written from front to end; deleting
frees nothing; names last only from the last forced index on, so `lose_power` takes back what came later. Winding and
mounting take time on a clock of the robot's own, so a test can tell good order from bad.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import pytest

from engine.storage.stores import syscalls
from engine.storage.stores.tape import START_BLOCK, SYNC, VOLUME, VOLUME_NAME

MOUNT_S, UNMOUNT_S = 40.0, 25.0
BLOCK_BYTES = 4096
WIND_S_PER_BLOCK = 0.001
READ_S_PER_BLOCK = 0.00001


class _Cartridge:
    """What a cartridge knows: where each file begins, and which names its index on tape has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uuid = f"{name.lower()}-0000".encode()
        self.starts: dict[str, int] = {}  # inode's start, by the path it was made at or has now
        self.end = 0  # the first free block; never goes back
        self.position = 0
        self.indexed: dict[str, bytes] = {}


class Robot:
    """A drive at `mount` and the cartridges of `shelf`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mount = folder / "tape"
        self.seconds = 0.0
        self.syncs = 0
        self.read: list[str] = []  # names of the files that were read, in order
        self._shelf = folder / "shelf"
        self._cartridges: dict[str, _Cartridge] = {}
        self._loaded: _Cartridge | None = None
        self._fds: dict[int, str] = {}
        self.mount.mkdir(parents=True)
        self._shelf.mkdir()
        for name in ("link", "create_file", "write_at", "rename", "open_for_reading", "read_at", "close"):
            monkeypatch.setattr(syscalls, name, self._ruled(name, getattr(syscalls, name)))
        monkeypatch.setattr(syscalls, "attribute", self._attribute)
        monkeypatch.setattr(syscalls, "set_attribute", self._set_attribute)

    # --- the operator's side ---

    def load(self, name: str) -> None:
        """Mount a cartridge, formatted if it is new; the one before goes to its shelf."""
        self.unload()
        cartridge = self._cartridges.setdefault(name, _Cartridge(name))
        self.mount.rmdir()
        if (self._shelf / name).exists():
            (self._shelf / name).rename(self.mount)
        else:
            self.mount.mkdir()
        self._loaded = cartridge
        cartridge.position = 0
        self.seconds += MOUNT_S

    def unload(self) -> None:
        """Unmount: the index is written, the mount point is an empty folder."""
        if self._loaded is None:
            return
        self._write_index()
        self.mount.rename(self._shelf / self._loaded.name)
        self.mount.mkdir()
        self._loaded = None
        self.seconds += UNMOUNT_S

    def lose_power(self) -> None:
        """Only what the last index names is there again."""
        assert self._loaded is not None
        shutil.rmtree(self.mount)
        self.mount.mkdir()
        for path, data in self._loaded.indexed.items():
            file = self.mount / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    @property
    def used_blocks(self) -> int:
        """Blocks of the loaded cartridge that are written, whatever was deleted since."""
        assert self._loaded is not None
        return self._loaded.end

    def turn_round(self) -> None:
        """As if the files of the loaded cartridge had been written in the opposite order."""
        assert self._loaded is not None
        starts = self._loaded.starts
        paths = sorted(starts, key=lambda path: starts[path])
        starts |= dict(zip(paths, sorted(starts.values(), reverse=True), strict=True))

    def in_order(self, names: list[str]) -> list[str]:
        """Files of the loaded cartridge by where they begin, also those that were deleted since."""
        cartridge = self._loaded
        assert cartridge is not None
        return sorted(names, key=lambda name: cartridge.starts[f"{self.mount}/{name}"])

    # --- the store's side ---

    def _ruled(self, name: str, real):  # type: ignore[no-untyped-def]
        rule = getattr(self, f"_{name}")

        def ruled(*args, **kwargs):  # type: ignore[no-untyped-def]
            return rule(real, *args, **kwargs)

        return ruled

    def _is_here(self, path: str) -> bool:
        return path.startswith(f"{self.mount}/")

    def _link(self, real, source: str, target: str) -> None:  # type: ignore[no-untyped-def]
        if self._is_here(target):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        real(source, target)

    def _create_file(self, real, path: str, *, direct: bool) -> int:  # type: ignore[no-untyped-def]
        if self._is_here(path) and direct:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fd: int = real(path, direct=direct)
        if self._is_here(path) and self._loaded is not None:
            self._loaded.starts[path] = -1  # nothing is written yet
            self._fds[fd] = path
        return fd

    def _write_at(self, real, fd: int, data: memoryview, offset: int) -> int:  # type: ignore[no-untyped-def]
        path = self._fds.get(fd)
        if path is None or self._loaded is None:
            outside: int = real(fd, data, offset)
            return outside
        if offset != os.fstat(fd).st_size:
            raise OSError(errno.EINVAL, "a tape is written at its end alone")
        if self._loaded.starts[path] < 0:
            self._loaded.starts[path] = self._loaded.end
        written: int = real(fd, data, offset)
        self._loaded.end += -(-written // BLOCK_BYTES)
        self._loaded.position = self._loaded.end
        return written

    def _rename(self, real, source: str, target: str) -> None:  # type: ignore[no-untyped-def]
        real(source, target)
        if self._loaded is not None and source in self._loaded.starts:
            self._loaded.starts[target] = self._loaded.starts.pop(source)

    def _open_for_reading(self, real, path: str, *, direct: bool = False) -> int:  # type: ignore[no-untyped-def]
        fd: int = real(path, direct=direct)
        if self._is_here(path):
            self._fds[fd] = path
        return fd

    def _read_at(self, real, fd: int, buffer: memoryview, offset: int) -> int:  # type: ignore[no-untyped-def]
        count: int = real(fd, buffer, offset)
        path = self._fds.get(fd)
        if path is not None and self._loaded is not None and path in self._loaded.starts:
            self.read.append(os.path.relpath(path, self.mount))
            block = self._loaded.starts[path] + offset // BLOCK_BYTES
            blocks = -(-count // BLOCK_BYTES)
            self.seconds += abs(block - self._loaded.position) * WIND_S_PER_BLOCK + blocks * READ_S_PER_BLOCK
            self._loaded.position = block + blocks
        return count

    def _close(self, real, fd: int) -> None:  # type: ignore[no-untyped-def]
        self._fds.pop(fd, None)
        real(fd)

    def _attribute(self, path: str, name: str) -> bytes:
        if self._loaded is not None and path == str(self.mount):
            known = {VOLUME: self._loaded.uuid, VOLUME_NAME: self._loaded.name.encode()}
            if name in known:
                return known[name]
        if self._loaded is not None and name == START_BLOCK and path in self._loaded.starts:
            return str(self._loaded.starts[path]).encode()
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))

    def _set_attribute(self, path: str, name: str, value: bytes) -> None:
        if self._loaded is None or not path.startswith(str(self.mount)) or name != SYNC:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        self.syncs += 1
        self._write_index()

    def _write_index(self) -> None:
        assert self._loaded is not None
        indexed = {}
        for folder, _, names in os.walk(self.mount):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile
                    path = Path(folder) / name
                    indexed[str(path.relative_to(self.mount))] = path.read_bytes()
        self._loaded.indexed = indexed
