"""Any sequence of changes, backups, interrupts, restarts, verifications and retrievals holds against a model."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.pipeline import backup, recorder
from engine.pipeline.backup import BackupRun
from engine.pipeline.pool import Cancelled, Unit
from engine.repository import manifest, transaction
from engine.repository.entry import KIND_NAMES
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.trees import Thing, describe
from tests.vaults import Bench

LOW_LIMITS = (
    (backup, "UNIT_FILES_MAX", 2),
    (recorder, "INLINE_ENTRIES_MAX", 3),
    (transaction, "INLINE_RECORDS_MAX", 3),
    (manifest, "_SEGMENT_MODULUS", 3),
)
NAMES = st.sampled_from(("a", "b", "c", "in", "in/a", "in/b", "in/deep", "in/deep/z", "out", "out/é\n"))
CONTENTS = st.sampled_from((b"", b"one", b"two" * 100, b"same" * 2000, bytes(300_000), b"ab" * 150_000))


class Weddings(RuleBasedStateMachine):
    """One wedding, its source, and what each of its snapshots must give back."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        for module, name, value in LOW_LIMITS:
            self._patch.setattr(module, name, value)
        self._folder = Path(tempfile.mkdtemp())
        self._source = self._folder / "source"
        self._source.mkdir()
        self._objects = MemoryObjects()
        self._bench = Bench(MemoryStore(self._objects))
        self._model: dict[str, dict[bytes, Thing]] = {}
        self._number = 0

    def teardown(self) -> None:
        """Let go of everything."""
        self._bench.close()
        self._patch.undo()
        shutil.rmtree(self._folder)

    # --- the source ---

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: bytes) -> None:
        """A file with these bytes, unless a folder is in the way."""
        path = self._at(name, make=True)
        if path is not None and (path.is_symlink() or not path.is_dir()):
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            self._touch(path)

    @rule(name=NAMES, at=st.integers(0, 3))
    def edit(self, name: str, at: int) -> None:
        """Some bytes of a file in place, perhaps behind a hole."""
        path = self._at(name)
        if path is not None and path.is_file() and not path.is_symlink():
            with open(path, "r+b") as opened:
                os.pwrite(opened.fileno(), b"edit %d" % self._number, at * 65536)
            self._touch(path)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        """A file, or a folder with all that is in it."""
        path = self._at(name)
        if path is not None and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path is not None:
            path.unlink(missing_ok=True)

    @rule(name=NAMES, other=NAMES)
    def link(self, name: str, other: str) -> None:
        """A second name of a file."""
        path, new = self._at(name), self._at(other, make=True)
        if path is None or new is None or os.path.lexists(new):
            return
        if path.is_file() and not path.is_symlink():
            os.link(path, new)

    @rule(name=NAMES, to=NAMES)
    def point(self, name: str, to: str) -> None:
        """A symlink, dangling or not."""
        path = self._at(name, make=True)
        if path is not None and not os.path.lexists(path):
            path.symlink_to(to)

    @rule(name=NAMES, other=NAMES)
    def move(self, name: str, other: str) -> None:
        """Rename a thing; its contents are stored already."""
        if f"{other}/".startswith(f"{name}/"):
            return
        path, new = self._at(name), self._at(other, make=True)
        if path is not None and new is not None and os.path.lexists(path) and not os.path.lexists(new):
            path.rename(new)

    @rule(name=NAMES, mode=st.sampled_from((0o700, 0o750, 0o755)))
    def change_mode(self, name: str, mode: int) -> None:
        """Metadata only."""
        path = self._at(name)
        if path is not None and path.exists() and not path.is_symlink():
            path.chmod(mode)

    def _at(self, name: str, *, make: bool = False) -> Path | None:
        """Where `name` is, if all above it are folders, made if missing and `make`."""
        folder = self._source
        for part in Path(name).parts[:-1]:
            folder /= part
            if make and not os.path.lexists(folder):
                folder.mkdir()
            if folder.is_symlink() or not folder.is_dir():
                return None
        return self._source / name

    def _touch(self, path: Path) -> None:
        self._number += 1
        os.utime(path, ns=(0, 1_700_000_000_000_000_000 + self._number))

    # --- the engine ---

    @rule()
    def back_up(self) -> None:
        """To the end."""
        snapshot = self._bench.backup(self._source)
        self._model[snapshot.id] = describe(self._source)
        assert snapshot.body.counts.warnings == 0
        self._next_tick()

    @rule(units=st.integers(0, 4), interrupt=st.booleans())
    def back_up_and_stop(self, units: int, interrupt: bool) -> None:
        """Stopped after some units, which may have been all."""
        with self._bench.backing_up(self._source) as run:
            _stop_after(run, units, run.interrupt if interrupt else run.cancel)
            self._bench.pool.submit(run)
            error = run.done.exception(60)
        if error is None:
            self._model[run.done.result().snapshot.id] = describe(self._source)
        else:
            assert isinstance(error, Cancelled)
        self._next_tick()

    @rule()
    def restart(self) -> None:
        """A new engine on the same repository."""
        self._bench.close()
        self._bench = Bench(MemoryStore(self._objects))

    @rule()
    def verify(self) -> None:
        """Nothing is ever wrong, checkpoints and leftovers of stopped backups included."""
        assert self._bench.verify().problems == []

    @precondition(lambda self: self._model)
    @rule(data=st.data())
    def retrieve(self, data: st.DataObject) -> None:
        """Any snapshot, whatever came after it."""
        chosen = data.draw(st.sampled_from(sorted(self._model)))
        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            back = Path(made, "back")
            self._bench.retrieve(back, strip=self._source, snapshot=chosen)
            assert describe(back) == self._model[chosen]

    @precondition(lambda self: self._model)
    @rule(data=st.data())
    def browse(self, data: st.DataObject) -> None:
        """The list of a snapshot, without its files."""
        chosen = data.draw(st.sampled_from(sorted(self._model)))
        with self._bench.repository.vault("0f" * 16) as vault:
            entries = list(vault.entries(vault.find_snapshot(chosen)))
        prefix = bytes(self._source)[1:]
        found = {entry.path[len(prefix) + 1 :]: (KIND_NAMES[entry.kind], entry.size) for entry in entries}
        assert found == {path: (thing.kind, thing.size) for path, thing in self._model[chosen].items()}

    @invariant()
    def snapshots_are_those_that_were_made(self) -> None:
        """All of them, oldest first."""
        assert [item.id for item in self._bench.snapshots()] == list(self._model)

    def _next_tick(self) -> None:
        """Wait for the file system's clock: a change in the tick of the backup would look like none."""
        probe = self._folder / "probe"
        probe.touch()
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.touch()


def _stop_after(run: BackupRun, units: int, stop: Callable[[], None]) -> None:
    next_unit = run.next_unit
    given = 0

    def counted(*, idle: bool) -> Unit | None:
        nonlocal given
        if given == units:
            stop()
            return None
        unit = next_unit(idle=idle)
        given += unit is not None
        return unit

    run.next_unit = counted  # type: ignore[method-assign]


TestWeddings = Weddings.TestCase
TestWeddings.settings = settings(max_examples=20, stateful_step_count=25)
