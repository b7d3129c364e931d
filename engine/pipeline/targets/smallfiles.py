"""Small files of a restored folder, handed to the stream's companion some hundred at a time. One stream.

In: writers of whole small files and their bytes. Out: which have ended, each as its writer would have ended it here.
"""

from __future__ import annotations

from contextlib import ExitStack

from engine.base.invariants import check
from engine.contract.settings import SMALL_FILE_BYTES
from engine.pipeline.companion import FOLDERS_MAX, Companion, WriteUnit, Written
from engine.pipeline.folders import OpenFolder
from engine.pipeline.targets.files import FolderFileWriter
from engine.pipeline.targets.target import FileWriter
from engine.repository.entry import Entry

FILES_MAX = 256


class SmallFiles:
    """Those of one unit."""

    def __init__(self, companion: Companion) -> None:
        self.ended: list[tuple[int, bool]] = []  # (owner, whether it stands)
        self._companion = companion
        self._room = companion.room
        self._used = 0
        self._writers: list[tuple[int, FolderFileWriter, int]] = []  # (owner, writer, start in the room)
        self._files: list[tuple[int, bytes, bool, int, Entry]] = []
        self._folders: dict[OpenFolder, int] = {}

    def takes(self, owner: int, writer: FileWriter, data: memoryview) -> bool:
        """Whether the file is written and ended here; `data` is all of it. Raises as `FileWriter` does."""
        size_bytes = len(data)
        if size_bytes >= SMALL_FILE_BYTES or not isinstance(writer, FolderFileWriter):
            return False
        errand = writer.errand(size_bytes)
        if errand is None:
            return False
        is_full = self._used + size_bytes > len(self._room) or len(self._files) == FILES_MAX
        if is_full or len(self._folders) == FOLDERS_MAX:
            self.flush()
        place, replace, entry = errand
        number = self._folders.setdefault(place.folder, len(self._folders))
        self._room[self._used : self._used + size_bytes] = data
        self._files.append((number, place.name, replace, self._used, entry))
        self._writers.append((owner, writer, self._used))
        self._used += size_bytes
        return True

    def flush(self) -> None:
        """Write what is gathered. Raises as `FileWriter` does."""
        writers, files, folders = self._writers, self._files, self._folders
        self._writers, self._files, self._folders, self._used = [], [], {}, 0
        if not files:
            return
        written = self._ask(files, folders)
        for at, (owner, writer, start) in enumerate(writers):
            done = None if written is None else written[at]
            if done is not None:
                writer.ended(*done)
            elif written is None and writer.has_been_put():
                writer.ended(True, ())  # by the companion, just before it was killed
            else:
                writer.write_at(0, self._room[start : start + files[at][4].size])
                writer.commit()
            self.ended.append((owner, writer.stands))

    def _ask(self, files: list[tuple[int, bytes, bool, int, Entry]], folders: dict[OpenFolder, int]) -> Written | None:
        if not self._companion.is_ready:
            return [None] * len(files)
        with ExitStack() as held:
            try:
                descriptors = [held.enter_context(folder.descriptor()) for folder in folders]
            except OSError:
                return [None] * len(files)  # what is wrong with it is found out file by file
            written = self._companion.write(WriteUnit(len(descriptors), files), descriptors)
        check(written is None or len(written) == len(files), "each file that is written aside has an answer")
        return written
