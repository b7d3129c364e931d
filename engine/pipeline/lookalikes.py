"""Photographs of a snapshot that look alike, as a run: each different content is read, decoded and hashed once.

In: a snapshot. Out: groups of files. One file in memory a stream; what is kept of each photograph is its paths and 64
bits. Nothing is written anywhere.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial

import msgspec

from engine.base.errors import IntegrityError, LimitReached, NotFound
from engine.pipeline.alike import groups_of
from engine.pipeline.pictures import ENDINGS, FILE_BYTES_MAX, Blank, Damaged, PictureHasher, Refused
from engine.pipeline.pool import Buffers, Run, Unit
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

PHOTOGRAPHS_MAX = 200_000
GROUPS_TOLD = 1000
PATHS_TOLD = 50


class Alike(msgspec.Struct, frozen=True):
    """One group."""

    photographs: int
    files: int
    size_bytes: int
    paths: tuple[str, ...]


class LookalikeOutcome(msgspec.Struct):
    """What was found."""

    photographs: int = 0
    groups: list[Alike] = []
    groups_total: int = 0
    alike: int = 0
    same_files: int = 0
    damaged: int = 0
    refused: int = 0
    blank: int = 0
    passed_over: int = 0


class _Photograph(msgspec.Struct):
    """One content and all files that have it. Its hash changes under the run's lock."""

    entry: Entry  # the first of them
    paths: list[bytes]
    hash: int | None = None


class LookalikeRun(Run[LookalikeOutcome]):
    """One look at a wedding's photographs."""

    def __init__(self, vault: WeddingVault, snapshot: Snapshot, hasher: PictureHasher, *, distance: int) -> None:
        """Reads the manifest; blocks. Raises LimitReached for more photographs than are looked at."""
        super().__init__()
        self._vault = vault
        self._hasher = hasher
        self._distance = distance
        self._lock = threading.Lock()
        self._outcome = LookalikeOutcome()
        self._photographs = self._found_in(snapshot)
        self._left = deque(self._photographs)
        self.progress.files_total = len(self._left)
        self.progress.bytes_total = sum(each.entry.size for each in self._left)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`: a photograph a unit."""
        if not self._left:
            return None
        photograph = self._left.popleft()
        self.cost = photograph.entry.size
        self.progress.current = path_text(photograph.entry.path)
        return partial(self._look_at, photograph)

    def conclude(self, buffers: Buffers) -> LookalikeOutcome:
        """See `Run.conclude`."""
        seen = [each for each in self._photographs if each.hash is not None]
        found = groups_of([each.hash or 0 for each in seen], self._distance)
        outcome = self._outcome
        outcome.photographs = len(seen)
        outcome.groups_total = len(found)
        outcome.alike = sum(map(len, found))
        groups = [_alike([seen[place] for place in group]) for group in found]
        outcome.groups = sorted(groups, key=lambda group: (-group.size_bytes, group.paths))[:GROUPS_TOLD]
        return outcome

    def _found_in(self, snapshot: Snapshot) -> list[_Photograph]:
        by_content: dict[bytes, _Photograph] = {}
        links: set[int] = set()
        for entry in self._vault.entries(snapshot):
            if entry.kind != FILE or (entry.link_group and entry.link_group in links):
                continue
            links.add(entry.link_group)
            if entry.path.rpartition(b".")[2].lower() not in ENDINGS:
                self._outcome.passed_over += 1
            elif entry.size > FILE_BYTES_MAX:
                self._outcome.refused += 1
            elif (known := by_content.get(entry.hash)) is not None:
                known.paths.append(entry.path)
                self._outcome.same_files += 1
            elif len(by_content) == PHOTOGRAPHS_MAX:
                raise LimitReached(f"there are more than {PHOTOGRAPHS_MAX:,} photographs", "look at a part of them")
            else:
                by_content[entry.hash] = _Photograph(entry, [entry.path])
        return list(by_content.values())

    def _look_at(self, photograph: _Photograph, _: Buffers) -> None:
        found: int | None = None
        problem = ""
        try:
            found = self._hasher.hash_of(self._data_of(photograph.entry))
        except Refused:
            problem = "refused"
        except Blank:
            problem = "blank"
        except (Damaged, IntegrityError, NotFound):
            problem = "damaged"
        with self._lock:
            photograph.hash = found
            if problem:
                setattr(self._outcome, problem, getattr(self._outcome, problem) + 1)
            self.progress.files_done += 1
            self.progress.bytes_read += photograph.entry.size

    def _data_of(self, entry: Entry) -> bytes:
        """The whole file. Raises IntegrityError, NotFound."""
        ids = self._vault.chunk_ids(entry)
        data = b"".join(self._vault.read_chunk(ids[at : at + 32]) for at in range(0, len(ids), 32))
        if len(data) != entry.data_bytes:
            raise IntegrityError(f"{path_text(entry.path)}: its chunks do not come to its size")
        return data


def _alike(group: list[_Photograph]) -> Alike:
    paths = sorted(path for photograph in group for path in photograph.paths)
    return Alike(
        photographs=len(group),
        files=len(paths),
        size_bytes=sum(each.entry.size for each in group),
        paths=tuple(map(path_text, paths[:PATHS_TOLD])),
    )
