"""The companion of a stream reads what the stream would, hands nothing on that it should not, and outlives nobody."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.base.units import MIB
from engine.pipeline import companion
from engine.pipeline.companion import Companion
from engine.pipeline.pool import Buffers
from engine.pipeline.source import SourceFile
from tests.engine.pipeline.companions import ENDED_S, for_every_unit, made_ready
from tests.trees import Node, build, describe, file, folder
from tests.vaults import Bench, LaterClock


def _has_ended(pid: int) -> bool:
    """Waits for the end of a process, be it a child or not."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], ENDED_S)[0])
    finally:
        os.close(fd)


@pytest.fixture
def buffers() -> Iterator[Buffers]:
    """Those of a stream whose companion is there."""
    made = Buffers(LaterClock(), 1)
    assert made_ready(made.companion)
    yield made
    made.close()


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every unit goes to a companion; how many files each had."""
    return for_every_unit(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Every kind of file that a unit may hold."""
    made = tmp_path / "source"
    nodes = {b"f%02d" % at: folder() for at in range(5)}
    nodes |= {b"f%02d/%03d" % (at % 5, at): file(b"%d" % at * at) for at in range(100)}
    nodes |= {b"empty": file(b""), b"large": file(bytes(range(256)) * 2000), b"other": Node(link_to=b"large")}
    nodes |= {b"sparse": Node(data=((0, b"a" * 4096), (2 * MIB, b"b" * 8192)), size=3 * MIB)}
    build(made, {b"dressed": Node(data=((0, b"x"),), mode=0o640, xattrs={b"user.note": b"hers"}), **nodes})
    return made


def test_a_backup_aside_gives_what_one_in_the_stream_gives(tmp_path: Path, source: Path, aside: list[int]) -> None:
    """Entries, hashes and ids to the last byte; and no byte is read by the stream."""
    found = []
    for number in range(2):
        with pytest.MonkeyPatch.context() as patch, Bench(streams=1) as bench:
            if number:
                patch.setattr(Companion, "is_ready_for", lambda *_: False)
            else:
                patch.setattr(SourceFile, "read_into", None)
            found.append([entry for entry in bench.entries(bench.backup(source)) if entry.kind == 1])
            bench.retrieve(tmp_path / f"back{number}", strip=source)
            assert describe(tmp_path / f"back{number}") == describe(source)
    aside_entries, own_entries = found
    without = {"chunks", "hash"}  # keyed by the wedding
    plain = [[{f: getattr(e, f) for f in e.__struct_fields__ if f not in without} for e in part] for part in found]
    assert plain[0] == plain[1]
    assert [entry.hash for entry in aside_entries] == [entry.hash for entry in own_entries]
    assert aside[0] == 104  # all but the second name of the large one


def test_what_cannot_be_read_is_the_same_warning(source: Path, aside: list[int], tmp_path: Path) -> None:
    """Vanished, or a link put in its place, between the walk and the reading: the others are kept."""
    with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        run = bench.backup_run(vault, bench.request(source))
        unit = run.next_unit(idle=True)
        (source / "f00" / "000").unlink()
        (source / "f00" / "005").unlink()
        (source / "f00" / "005").symlink_to(tmp_path / "elsewhere")
        buffers = Buffers(bench.clock, 1)
        assert unit is not None
        unit(buffers)
        buffers.close()
        bench.run(run)
        assert run.warning_lines() == (
            f"{source}/f00/000: vanished before it could be read",
            f"{source}/f00/005: became something else than a file during the backup",
        )
    assert aside


def test_a_folder_swapped_for_a_link_is_not_followed(source: Path, aside: list[int], tmp_path: Path) -> None:
    """The companion opens names in the folder that the walk held, wherever that is now."""
    with Bench(streams=1) as bench, bench.repository.vault(bench.repository.new_wedding_id()) as vault:
        run = bench.backup_run(vault, bench.request(source))
        unit = run.next_unit(idle=True)
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret" / "000").write_bytes(b"not to be read")
        (source / "f00").rename(tmp_path / "moved")
        (source / "f00").symlink_to(tmp_path / "secret")
        buffers = Buffers(bench.clock, 1)
        assert unit is not None
        unit(buffers)
        buffers.close()
        outcome = bench.run(run)
        sizes = {entry.path.rpartition(b"/")[2]: entry.size for entry in vault.entries(outcome.snapshot)}
        assert sizes[b"000"] == 0
    assert aside


def test_one_that_is_killed_costs_nothing(
    tmp_path: Path, source: Path, aside: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a job: the stream reads on by itself, and no file is lost or twice there."""
    read = Companion.read

    def killed(one: Companion, unit: companion.ReadUnit, folders: list[int]) -> companion.Read | None:
        assert one._process is not None
        one._process.kill()
        one._process.wait()
        found = read(one, unit, folders)
        assert found is None
        return found

    monkeypatch.setattr(Companion, "read", killed)
    with Bench(streams=2) as bench:
        snapshot = bench.backup(source)
        assert snapshot.body.warnings == ()
        bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)
    assert aside


def test_one_that_does_not_start_is_not_asked_again(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python is not where it was, or the program is not there for it: said once, and done in the stream."""
    monkeypatch.setattr(companion, "BEGUN_AFTER_FILES", 1)
    buffers = Buffers(LaterClock(), 1)
    monkeypatch.setattr(companion, "_BEGINNING", "raise SystemExit(1)")
    assert not buffers.companion.is_ready_for(companion.FILES_MIN)
    process, door = buffers.companion._process, buffers.companion._door
    assert process is not None
    assert door is not None
    assert process.wait(ENDED_S) == 1
    assert not buffers.companion.is_ready_for(companion.FILES_MIN)
    assert "ended as it began" in caplog.text
    assert not buffers.companion.is_ready_for(companion.FILES_MIN)
    assert buffers.companion._process is None
    buffers.close()


def test_none_is_begun_where_no_descriptor_is_left(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream does without, and the place stays free for another."""
    monkeypatch.setattr(companion, "BEGUN_AFTER_FILES", 1)
    monkeypatch.setattr(companion, "_PLACES", threading.BoundedSemaphore(1))
    buffers = Buffers(LaterClock(), 1)
    assert len(buffers.companion.unit) > 0
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert not buffers.companion.is_ready_for(companion.FILES_MIN)
        with closing(Buffers(LaterClock(), 1)) as late:
            assert len(late.source) > 0
            assert not late.companion.is_ready_for(companion.FILES_MIN)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert companion._PLACES.acquire(blocking=False)
    buffers.close()


def test_a_file_too_many_is_left_to_another_unit(tmp_path: Path, source: Path, buffers: Buffers) -> None:
    """It has grown since it was met."""
    with (tmp_path / "grown").open("wb") as grown:
        grown.truncate(17 * MIB)
        grown.seek(0)
        grown.write(bytes(17 * MIB))
    fd = os.open(tmp_path, os.O_RDONLY)
    unit = companion.ReadUnit(0, bytes(32), [b"at/"], [(0, b"grown", 1), (0, b"none", 1)])
    assert buffers.companion.read(unit, [fd]) == [None, "vanished before it could be read"]
    os.close(fd)


def test_it_knows_no_secret_but_what_names_chunks(buffers: Buffers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in its environment nor on its command line; and no descriptor but its own comes with it."""
    process = buffers.companion._process
    assert process is not None
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"PATH=" not in environment.replace(b"LD_LIBRARY_PATH=", b"")
    assert b"WEDSYNC" not in environment
    links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
    assert sorted(link.partition(":")[0] for link in links) == [
        *["/dev/null"] * 3,
        "/memfd",
        "/memfd",
        "socket",
    ]  # a map has one of its own


def test_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of streams do not make hundreds of processes; a place that is free again is taken."""
    monkeypatch.setattr(companion, "_PLACES", threading.BoundedSemaphore(1))
    first, second = Buffers(LaterClock(), 1), Buffers(LaterClock(), 1)
    first.companion._begin()
    second.companion._begin()
    assert second.companion._process is None
    first.close()
    second.companion._begin()
    assert second.companion._process is not None
    second.close()


def test_it_ends_with_its_stream_and_with_a_killed_engine() -> None:
    """Nothing runs on that nobody would end."""
    own = Buffers(LaterClock(), 1)
    assert made_ready(own.companion)
    process = own.companion._process
    assert process is not None
    own.close()
    assert process.returncode is not None
    words = (
        "from engine.pipeline.pool import Buffers; from tests.vaults import LaterClock; import time\n"
        "own = Buffers(LaterClock(), 1); own.companion._begin()\n"
        "print(own.companion._process.pid, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        pid = int(engine.stdout.readline())
        engine.send_signal(signal.SIGKILL)
        engine.wait(ENDED_S)
        assert _has_ended(pid)
