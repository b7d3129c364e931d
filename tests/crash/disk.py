"""What a disk keeps of a store when the power fails: only what was fsynced, or that and some of the rest by chance.

In: the folder as it was before the process began, and the log of what it did (`seam`). Out: a folder as it would be
found afterwards. Bytes last once their file was fsynced; a name, or its removal, once its folder was fsynced later
than it was made; a folder's own name likewise in its parent. Nothing else is sure, in no order.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.seam import read_log

FOLDER = -1  # in place of a file's number


@dataclass(slots=True)
class _Folder:
    """The names of one folder: as they are, as the last fsync left them, and as a running fsync will leave them."""

    now: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    syncing: dict[str, int] = field(default_factory=dict)


class PowerCut:
    """The disk of one killed process."""

    def __init__(self, before: Path, root: Path, logs: Path) -> None:
        """`before`: a copy of the store at the start. `root`: where it lay, `logs`: where its seam wrote."""
        self._root = str(root)
        self._attic = logs / "attic"
        self._folders: dict[str, _Folder] = {}
        self._sizes: dict[int, int] = {}
        self._syncing: dict[int, int] = {}
        self._kept_sizes: dict[int, int] = {}
        self._old: dict[int, Path] = {}  # files that were there before, all of them on the disk
        for folder, folders, files in os.walk(before):
            names = dict.fromkeys(folders, FOLDER)
            for name in files:
                number = -2 - len(self._old)
                self._old[number] = Path(folder, name)
                names[name] = number
            path = self._root + folder.removeprefix(str(before))
            self._folders[path] = _Folder(dict(names), dict(names))
        for name, *fields in read_log(logs / "events"):
            self._follow(name, fields)

    def _at(self, path: str) -> tuple[dict[str, int], str]:
        folder, _, name = path.rpartition("/")
        return self._folders.setdefault(folder, _Folder()).now, name

    def _follow(self, name: str, fields: list[str]) -> None:
        if name in ("fsync_file begins", "fsync_file", "write_at", "create_file"):
            self._follow_file(name, fields)
        elif name == "fsync_folder begins":
            folder = self._folders.setdefault(fields[0], _Folder())
            folder.syncing = dict(folder.now)
        elif name == "fsync_folder":
            folder = self._folders[fields[0]]
            folder.kept = folder.syncing
        elif name in ("rename", "link"):
            names, last = self._at(fields[0])
            number = names[last]
            if name == "rename":
                del names[last]
            names, last = self._at(fields[1])
            names[last] = number
        elif name == "make_folder":
            names, last = self._at(fields[0])
            names[last] = FOLDER
        else:
            names, last = self._at(fields[0])
            names.pop(last, None)

    def _follow_file(self, name: str, fields: list[str]) -> None:
        if name == "create_file":
            names, last = self._at(fields[0])
            names[last] = int(fields[1])
            self._sizes[int(fields[1])] = 0
            return
        number = int(fields[0])
        if name == "write_at":
            self._sizes[number] = max(self._sizes[number], int(fields[1]))
        elif name == "fsync_file begins":
            self._syncing[number] = self._sizes[number]
        else:
            self._kept_sizes[number] = self._syncing[number]

    def leave(self, target: Path, chance: random.Random | None = None) -> None:
        """Make `target` what is found after the cut: with `chance`, also some of what was on its way to the disk."""
        self._leave_folder(self._root, target, chance)

    def _leave_folder(self, path: str, target: Path, chance: random.Random | None) -> None:
        target.mkdir()
        folder = self._folders.get(path, _Folder())
        for name in folder.kept.keys() | folder.now.keys():
            states = [folder.kept.get(name)]
            if chance is not None:
                states.append(folder.now.get(name))
            number = states[0] if chance is None else chance.choice(states)
            if number == FOLDER:
                self._leave_folder(f"{path}/{name}", target / name, chance)
            elif number is not None:
                self._leave_file(number, target / name, chance)

    def _leave_file(self, number: int, target: Path, chance: random.Random | None) -> None:
        if number in self._old:
            shutil.copyfile(self._old[number], target)
            return
        kept, size = self._kept_sizes.get(number, 0), self._sizes[number]
        data = (self._attic / str(number)).read_bytes()[:size]
        if chance is not None and kept < size:
            # The rest: not there, there as zeros, or there.
            kept, data = chance.choice(((kept, data), (size, data[:kept] + bytes(size - kept)), (size, data)))
        target.write_bytes(data[:kept])
