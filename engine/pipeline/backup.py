"""One backup job as a run: scan, cut into units, seal, record, checkpoint, commit.

The stream that asks for a unit also scans for it, so a job needs no thread of its own and reads no further ahead
than streams can work. Everything a unit finds out is handed over under one lock, once a unit.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.base.units import parse_bytes
from engine.contract.settings import SEGMENT_BYTES, UNIT_FILES_MAX, WARNINGS_TOLD, EngineSettings
from engine.pipeline import units, wholefile
from engine.pipeline.census import Census, known_before
from engine.pipeline.commit import JobCommits, Tally
from engine.pipeline.fair import FILE_COST_BYTES
from engine.pipeline.links import LinkGroups
from engine.pipeline.objects import open_source
from engine.pipeline.parents import check_selection, choose_parents, open_scan, open_walk, selection_of
from engine.pipeline.pool import Buffers, Run, Unit
from engine.pipeline.reading import Reader, Reading
from engine.pipeline.recorder import Recorder, Slot, with_chunks
from engine.pipeline.request import BackupRequest as BackupRequest
from engine.pipeline.request import head_of
from engine.pipeline.rows import Row, in_rows
from engine.pipeline.scan import Changed, Metadata
from engine.pipeline.source import SourceFile, SourceProblem, entry_of_file
from engine.pipeline.touched import Carried, Kept, Part, Reused, open_touched_scan
from engine.pipeline.units import FileWork, SegmentTask, StreamSource
from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.snapshot import WARNINGS_KEPT, Counts, Snapshot, SnapshotWarning
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

_SCAN_STEP = 2000  # things looked at before a run lets others have their turn


class BackupOutcome(msgspec.Struct, frozen=True):
    """A committed snapshot."""

    snapshot: Snapshot


class BackupRun(Run[BackupOutcome]):
    """One backup. Built on a thread that may block; then the pool's."""

    def __init__(
        self,
        vault: WeddingVault,
        request: BackupRequest,
        *,
        clock: Clock,
        entropy: Entropy,
        settings: EngineSettings,
    ) -> None:
        """Raises NotFound, NotPermitted, UsageError for the sources."""
        super().__init__()
        self._vault = vault
        self._request = request
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._unit_bytes = parse_bytes(settings.unit)
        self._transaction = Transaction(vault, entropy, pack_target_bytes=parse_bytes(settings.pack))
        self._recorder = Recorder(self._transaction)
        self._reader = Reader(vault, self._transaction, clock, entropy, compare=settings.compare_after_seal)
        self._started_ns = clock.now_ns()
        self._counts: Counter[str] = Counter()
        self._warnings: list[SnapshotWarning] = []
        self._tasks: deque[SegmentTask | FileWork] = deque()  # segments to go on with, files to begin anew
        self._links = LinkGroups()
        self._sources: set[SourceFile] = set()  # of large files, also of those given up; closed with the run at last
        self._held: Changed | None = None  # scanned, but over the last unit's size
        self._stream_s = 0.0  # since the last checkpoint
        self._read_bytes = 0  # of the source, by this run
        self._scan: Iterator[Changed | Metadata | WalkWarning | Part | Row] | None = None
        self._met: Counter[str] = Counter()  # files and bytes that the scan has met: what progress is measured by
        self._census: Census | None = None
        parent = self._begin_scan() if request.stream is None else self._begin_stream(*request.stream)
        head = head_of(request, wedding=vault.keys.wedding, parent=parent, started_ns=self._started_ns)
        self._commits = JobCommits(vault, self._transaction, self._recorder, job_id=request.job_id, head=head)

    def _begin_scan(self) -> str:
        """Open the scan; the id of what it is compared with first."""
        what = selection_of(self._request)
        check_selection(what)
        parents = choose_parents(self._vault, what.sources)
        touched = open_touched_scan(self._vault, self._request, parents, self._clock)
        self._scan = in_rows(touched or open_scan(self._vault, what, parents, self._clock), self._vault.lacks)
        if len(parents) == 1:
            self._recorder.compare_with(parents[0].body.segments)
        self.progress.bytes_expected = known_before(parents, what.sources)
        if touched is not None:
            self.progress.bytes_expected = None
        elif not what.origins and self.progress.bytes_expected is None:
            begun_s = self._clock.monotonic_s()
            self._census = Census(partial(open_walk, self._vault, what), self.progress, job_begun_s=begun_s)
        return parents[0].id if parents else ""

    def _begin_stream(self, path: bytes, fd: int) -> str:
        work = FileWork(None, path, self._recorder.reserve(), 0)
        work.open_segments(StreamSource(fd, lambda: bool(self._stop)), units.stream_entry(path, self._started_ns), [])
        with self._lock:
            self.progress.files_total = 1
        self._tasks.append(SegmentTask(work, 0, 0, self._unit_bytes))
        return ""  # it is compared with nothing

    # --- units ------------------------------------------------------------------------------------------

    @property
    def may_be_over(self) -> bool:
        """See `Run.may_be_over`."""
        return self._scan is None

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        if self._checkpoint_is_due():
            return self._timed(self.checkpoint) if idle else None
        if self._transaction.metadata_waits:
            return self._timed(lambda buffers: self._transaction.flush_metadata(buffers.packs[0]))
        if self._census is not None and self._census.is_due(self._clock.monotonic_s()):
            return self._timed(self._census.unit)
        with self._lock:
            task = self._tasks.popleft() if self._tasks else None
        if isinstance(task, SegmentTask):
            self.cost = self._unit_bytes
            return self._timed(partial(self._segment_unit, task))
        if task is not None:
            return self._timed(lambda _: self._begin_segments(task))
        return self._scan_for_unit()

    def _timed(self, unit: Unit) -> Unit:
        def carry_out(buffers: Buffers) -> None:
            begin_s = buffers.now_s()
            unit(buffers)
            with self._lock:
                self._stream_s += buffers.now_s() - begin_s

        return carry_out

    def _checkpoint_is_due(self) -> bool:
        if self._request.stream is not None:
            return False  # what was read of a stream cannot be read again, so a part of it is of no use
        return self._commits.is_due(self._read_bytes, self._stream_s)

    def _scan_for_unit(self) -> Unit | None:
        files: list[FileWork] = []
        gathered_bytes = 0
        looked_at = 0
        while looked_at < _SCAN_STEP:
            scanned = self._next_scanned()
            looked_at += len(scanned.entries) if isinstance(scanned, Row) else 1
            if scanned is None:
                return self._timed(partial(self._files_unit, files)) if files else None
            if isinstance(scanned, WalkWarning):
                self._warn(scanned.path, scanned.what)
            elif isinstance(scanned, Metadata):
                self._recorder.reserve(scanned.entry)
            elif isinstance(scanned, Row):
                self._take_row(scanned)
            elif isinstance(scanned, Part):
                self._take_over(scanned)
            else:
                size_bytes = scanned.item.stat.st_size
                if files and gathered_bytes + size_bytes > self._unit_bytes:
                    self._held = scanned
                    break
                work = self._file_work(scanned)
                if work is None:
                    continue
                if size_bytes > self._unit_bytes:
                    with self._lock:
                        self._tasks.append(work)
                    break
                files.append(work)
                gathered_bytes += size_bytes
                self.cost = gathered_bytes + len(files) * FILE_COST_BYTES
                if len(files) >= UNIT_FILES_MAX:
                    break
        return self._timed(partial(self._files_unit, files)) if files else _nothing

    def _next_scanned(self) -> Changed | Metadata | WalkWarning | Part | Row | None:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if self._scan is None:
            return None
        scanned = next(self._scan, None)
        if scanned is None:
            self._scan = None
            with self._lock:
                self.progress.files_total, self.progress.bytes_total = self._met["files"], self._met["bytes"]
        elif isinstance(scanned, Changed | Row):
            self.progress.current = scanned.path.decode("utf-8", "backslashreplace")
        return scanned

    def _take_row(self, row: Row) -> None:
        files = row.files
        size_bytes = sum(entry.size for entry in files)
        reused_bytes = sum(entry.data_bytes for entry in files)
        with self._lock:
            self._count_unread(len(files), size_bytes, reused_bytes)
            self._met.update(files=len(files), bytes=size_bytes)
            self.progress.files_done += len(files)
            self.progress.bytes_read += size_bytes
        self._recorder.reserve_row(row.entries, are_parents=row.are_parents)

    def _take_over(self, part: Part) -> None:
        """A part of the parent's manifest that a watch vouches for."""
        if isinstance(part, Reused):
            self._recorder.reuse(part.segment)
            return
        if isinstance(part, Kept):
            self._recorder.reserve(part.entry)
            part = Carried(int(part.entry.kind == FILE), part.entry.size)
        with self._lock:
            self._count_unread(part.files, part.bytes_source, part.bytes_source)

    def _file_work(self, scanned: Changed) -> FileWork | None:
        """A file to read; None when another name of the same inode is being read already."""
        item = scanned.item
        work = FileWork(item, item.path, self._recorder.reserve(), item.stat.st_size, scanned.previous)
        with self._lock:
            self._met["files"] += 1
            self._met["bytes"] += item.stat.st_size
            leader = self._links.join(work)
        if isinstance(leader, Entry):
            self._complete_follower(leader, item, work.slot)
        return work if leader is None else None

    # --- whole files ------------------------------------------------------------------------------------

    def _files_unit(self, files: list[FileWork], buffers: Buffers) -> None:
        readings: list[Reading] = []
        read_bytes = 0
        begin_s = buffers.now_s()
        for work, found in zip(files, self._reader.read_files(files, buffers), strict=True):
            if isinstance(found, SourceProblem):
                self._give_up(work, found.what)
            elif found is None:
                with self._lock:
                    self._tasks.append(work)  # it has grown over the unit
            else:
                readings.append(Reading(work, found, read_bytes, found.entry))
                read_bytes += found.length
        buffers.spent("read", buffers.now_s() - begin_s, read_bytes)
        stored_bytes = self._reader.store(readings, buffers)
        for reading in readings:
            for what in reading.file.problems:
                self._warn(reading.work.path, what)
        self._complete([(reading.work, reading.entry) for reading in readings])
        self._advance(buffers, read_bytes=read_bytes, stored_bytes=stored_bytes)

    # --- segments of large files ------------------------------------------------------------------------

    def _begin_segments(self, work: FileWork) -> None:
        assert work.item is not None
        try:
            source = open_source(work.item)
            with self._lock:
                self._sources.add(source)
            entry, problems = entry_of_file(work.path, source, now_ns=self._clock.now_ns())
        except SourceProblem as problem:
            self._give_up(work, problem.what)
            return
        for what in problems:
            self._warn(work.path, what)
        resumed = units.resume(work, entry, self._vault)
        with self._lock:
            work.open_segments(source, entry, resumed)
            work.slot.unfinished = lambda: work.unfinished_entry(self._transaction)
            resumed_bytes = sum(contents.length for contents in resumed)
            self._count(bytes_reused=resumed_bytes)
            self.progress.bytes_read += work.dealt(resumed_bytes)
            for number in range(len(resumed), len(work.segments)):
                self._tasks.append(SegmentTask(work, number, number * SEGMENT_BYTES, self._unit_bytes))
        if len(resumed) == len(work.segments):
            self._finish_segments(work)

    def _segment_unit(self, task: SegmentTask, buffers: Buffers) -> None:
        work = task.work
        assert work.source is not None
        if work.slot.done:
            return
        try:
            read_bytes, contents, stored_bytes = self._reader.read_segment(task, work.source, buffers)
        except SourceProblem as problem:
            self._give_up(work, problem.what)
            return
        self._advance(buffers, read_bytes=read_bytes, stored_bytes=stored_bytes)
        with self._lock:
            self.progress.bytes_read += work.dealt(read_bytes)
            if work.slot.done:
                return  # another of its segments could not be read
            if contents is None:
                self._tasks.appendleft(task)
                return
            work.segments[task.number] = contents
            short = contents.length < SEGMENT_BYTES
            if isinstance(work.source, StreamSource):
                if not short:
                    work.segments.append(None)
                    self._tasks.append(SegmentTask(work, task.number + 1, task.start, self._unit_bytes))
                    return
            elif short and task.first + contents.length < work.source.data_bytes:
                work.is_short = True
            if any(segment is None for segment in work.segments):
                return
        self._finish_segments(work)

    def _finish_segments(self, work: FileWork) -> None:
        assert work.source is not None
        assert work.entry is not None
        changed = work.is_short or work.source.changed()
        work.source.close()
        with self._lock:
            self._sources.discard(work.source)
        if changed and work.reads < wholefile.READS_MAX:
            work.reads += 1
            with self._lock:
                self._tasks.append(work)
            return
        if changed:
            self._warn(work.path, "changed while it was read; kept as it was read")
        segments = [contents for contents in work.segments if contents is not None]
        if work.is_short:  # what lies behind the first gap is not where it was
            first_short = next(at for at, part in enumerate(segments) if part.length < SEGMENT_BYTES)
            segments = segments[: first_short + 1]
        contents = units.whole(segments)
        entry = work.entry
        if work.is_short or isinstance(work.source, StreamSource):
            entry = wholefile.cut_to(entry, contents.length)
        self._complete([(work, with_chunks(entry, contents.ids, contents.digest, self._transaction))])

    # --- ends of files ----------------------------------------------------------------------------------

    def _complete(self, finals: Sequence[tuple[FileWork, Entry]]) -> None:
        followers: list[tuple[Entry, WalkItem, Slot]] = []
        with self._lock:
            self._count(files=len(finals), bytes_source=sum(final.size for _, final in finals))
            self.progress.files_done += len(finals)
            self.progress.bytes_read += sum(work.dealt_whole() for work, _ in finals)
            for work, final in finals:
                own, heir = self._links.complete(work, final)
                followers += [(final, item, slot) for item, slot in own]
                if heir is not None:
                    self._tasks.append(heir)
        self._recorder.complete_all((work.slot, final) for work, final in finals)
        for final, item, slot in followers:
            self._complete_follower(final, item, slot)

    def _complete_follower(self, leader: Entry, item: WalkItem, slot: Slot) -> None:
        """Another name of the same inode: the same contents and metadata."""
        with self._lock:
            self._count(files=1, bytes_source=leader.size, bytes_reused=leader.data_bytes)
            self.progress.files_done += 1
            self.progress.bytes_read += item.stat.st_size
        self._recorder.complete(slot, msgspec.structs.replace(leader, path=item.path))

    def _give_up(self, work: FileWork, what: str) -> None:
        """A file that cannot be read is a warning; its other names are tried in its place."""
        with self._lock:
            if work.slot.done:
                return  # said of another of its segments
            self.progress.files_done += 1
            self.progress.bytes_read += work.dealt_whole()
            work.slot.done = True
            heir = self._links.give_up(work)
            if heir is not None:
                self._tasks.append(heir)
        self._warn(work.path, what)
        self._recorder.complete(work.slot, None)

    def _warn(self, path: bytes, what: str) -> None:
        with self._lock:
            self._count(warnings=1)
            self.progress.warnings += 1
            if len(self._warnings) < WARNINGS_KEPT:
                self._warnings.append(SnapshotWarning(path, what))
            if len(self.progress.first_warnings) < WARNINGS_TOLD:
                self.progress.first_warnings += (f"{path_text(path)}: {what}",)

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        return tuple(f"{path_text(each.path)}: {each.what}" for each in list(self._warnings))

    def _count(self, **more: int) -> None:
        """Add to the counts; the lock is held."""
        self._counts.update(more)

    def _count_unread(self, files: int, size_bytes: int, reused_bytes: int) -> None:
        self._count(files=files, bytes_source=size_bytes, bytes_reused=reused_bytes, files_unchanged=files)

    def _advance(self, buffers: Buffers, *, read_bytes: int, stored_bytes: int) -> None:
        with self._lock:
            if stored_bytes and self.progress.first_sealed_monotonic is None:
                self.progress.first_sealed_monotonic = buffers.now_s()
            self._read_bytes += read_bytes
            self.progress.bytes_stored = self._transaction.bytes_stored

    # --- checkpoint and commit --------------------------------------------------------------------------

    def checkpoint(self, buffers: Buffers) -> None:
        """See `Run.checkpoint`: publish every open pack and commit what is done as a partial snapshot."""
        if self._request.stream is None:
            self._commits.checkpoint(self._tally(), self._clock, buffers)
            self._stream_s = 0.0

    def conclude(self, buffers: Buffers) -> BackupOutcome:
        """See `Run.conclude`: publish, write the index, commit."""
        snapshot = self._commits.finish(self._tally(), self._clock, buffers)
        self.progress.bytes_stored = self._transaction.bytes_stored
        self._close_sources()
        return BackupOutcome(snapshot)

    def _tally(self) -> Tally:
        with self._lock:
            return Tally(Counts(**self._counts), tuple(self._warnings), self._read_bytes)

    def abort(self) -> None:
        """See `Run.abort`."""
        self._transaction.abort()
        self._close_sources()

    def _close_sources(self) -> None:
        with self._lock:
            for source in self._sources:
                source.close()


def _nothing(_: Buffers) -> None:
    """A turn given to others in the middle of a long scan."""
