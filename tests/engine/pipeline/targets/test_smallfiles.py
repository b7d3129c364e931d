"""Small files that the companion writes are what the stream would have written, come what may in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.base.errors import LimitReached
from engine.pipeline.companion import Companion, WriteUnit, Written
from engine.pipeline.folders import FolderPool
from engine.pipeline.plan import Selection
from engine.pipeline.restore import RestoreRun
from engine.pipeline.targets.files import APPEARED, FolderFileWriter, Place, Placer
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.targets.metadata import SAID_ONCE, MetadataWriter
from tests.engine.pipeline.companions import for_every_unit
from tests.engine.storage.stores.disks import small_disk
from tests.suites.restore_target import entry
from tests.trees import Node, Tree, build, describe, file, folder
from tests.vaults import WEDDING, Bench

TREE: Tree = {
    **{b"f%02d" % at: folder() for at in range(4)},
    **{b"f%02d/%03d" % (at % 4, at): file(b"%d" % at * at, mode=0o600 + at % 8 * 8) for at in range(120)},
    b"a": file(b"of two names"),
    b"another": Node(link_to=b"a"),
    b"dressed": Node(data=((0, b"x"),), mode=0o4750, xattrs={b"user.note": b"hers"}),
    b"empty": file(b""),
    b"large": file(bytes(range(256)) * 2000),
    b"shut": folder(mode=0o500),
    b"shut/in": file(b"read-only", mode=0o400),
}
Write = Callable[[Companion, WriteUnit, list[int]], Written | None]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What is backed up."""
    made = tmp_path / "source"
    build(made, TREE)
    return made


@pytest.fixture
def held(source: Path) -> Iterator[Bench]:
    """A repository that holds it."""
    with Bench(streams=1) as bench:
        bench.backup(source)
        yield bench


@pytest.fixture
def aside(held: Bench, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every unit of a restore goes to a companion; how many files each had."""
    return for_every_unit(monkeypatch)


def _instead(monkeypatch: pytest.MonkeyPatch, write: Callable[[Write, Companion, WriteUnit], Written | None]) -> None:
    """What happens when a companion is asked to write."""
    real = Companion.write

    def hooked(one: Companion, unit: WriteUnit, folders: list[int]) -> Written | None:
        return write(lambda *_: real(one, unit, folders), one, unit)

    monkeypatch.setattr(Companion, "write", hooked)


def _retrieve(bench: Bench, source: Path, back: Path, overwrite: Overwrite = "never") -> list[tuple[bytes, str]]:
    """Restore; the warnings."""
    with bench.repository.vault(WEDDING) as vault:
        target = FolderTarget(bytes(back), entropy=bench.entropy, strip_prefix=bytes(source), overwrite=overwrite)
        outcome = bench.run(RestoreRun(vault, vault.find_snapshot("latest"), Selection(), target))
    assert outcome.bytes_restored <= sum(len(each) for node in TREE.values() for _, each in node.data)
    return [(warning.path.removeprefix(bytes(source)[1:] + b"/"), warning.what) for warning in target.warnings]


def test_what_comes_back_is_what_was(held: Bench, source: Path, tmp_path: Path, aside: list[int]) -> None:
    """Contents, modes, owners, times, attributes, names of one inode; and all small ones by the companion."""
    assert _retrieve(held, source, tmp_path / "back") == []
    assert describe(tmp_path / "back") == describe(source)
    assert (
        sum(aside) == sum(node.kind == "file" and not node.link_to for node in TREE.values()) - 3
    )  # two empty, one large


@pytest.mark.parametrize("overwrite", ["never", "ask", "changed", "always"])
def test_what_stands_there_is_dealt_with_as_ever(
    held: Bench, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: Overwrite
) -> None:
    """Each policy leaves the same tree and the same warnings as without a companion."""
    found = []
    for number in range(2):
        back = tmp_path / f"back{number}"
        build(back, {b"a": file(b"mine"), b"f01": folder(), b"f01/001": file(b"other"), b"f01/005": folder()})
        os.utime(back / "f01" / "001", ns=(1, 1))
        with pytest.MonkeyPatch.context() as patch:
            asked = for_every_unit(patch) if number else []
            warnings = _retrieve(held, source, back, overwrite)
        assert bool(asked) == bool(number)
        things = {path: thing for path, thing in describe(back).items() if thing.kind != "folder"}
        found.append((things, warnings))
    assert found[0] == found[1]


def test_what_appears_meanwhile_is_left_there(
    held: Bench, source: Path, tmp_path: Path, aside: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the folder and the writing."""
    back = tmp_path / "back"

    def write(real: Write, one: Companion, unit: WriteUnit) -> Written | None:
        if not (back / "f02" / "002").exists():
            (back / "f02" / "002").write_bytes(b"somebody's")
        return real(one, unit, [])

    _instead(monkeypatch, write)
    assert _retrieve(held, source, back) == [(b"f02/002", APPEARED)]
    assert (back / "f02" / "002").read_bytes() == b"somebody's"


def test_a_folder_swapped_for_a_link_leads_nowhere(
    held: Bench, source: Path, tmp_path: Path, aside: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go to the folder that was made, wherever that is now."""
    back, outside = tmp_path / "back", tmp_path / "outside"
    outside.mkdir()

    def write(real: Write, one: Companion, unit: WriteUnit) -> Written | None:
        if not (tmp_path / "moved").exists():
            (back / "f03").rename(tmp_path / "moved")
            (back / "f03").symlink_to(outside)
        return real(one, unit, [])

    _instead(monkeypatch, write)
    _retrieve(held, source, back)
    assert os.listdir(outside) == []
    assert (tmp_path / "moved" / "007").read_bytes() == b"7" * 7


@pytest.mark.parametrize("has_written", [False, True])
def test_one_that_is_killed_costs_nothing(
    held: Bench, source: Path, tmp_path: Path, aside: list[int], monkeypatch: pytest.MonkeyPatch, has_written: bool
) -> None:
    """Before it began or just before it answered: every file is there once, and none is warned of."""

    def write(real: Write, one: Companion, unit: WriteUnit) -> Written | None:
        if has_written:
            real(one, unit, [])
        assert one._process is not None
        os.kill(one._process.pid, signal.SIGKILL)
        one._process.wait()
        answer = real(one, unit, [])
        assert answer is None
        return answer

    _instead(monkeypatch, write)
    assert _retrieve(held, source, tmp_path / "back") == []
    assert describe(tmp_path / "back") == describe(source)


def test_a_full_disk_stops_the_restore_in_its_own_words(
    held: Bench, source: Path, tmp_path: Path, aside: list[int]
) -> None:
    """The companion leaves it to the stream, which meets it again."""
    with small_disk(tmp_path / "disk", size_bytes=190 * 4096) as disk, pytest.raises(LimitReached, match="full"):
        _retrieve(held, source, disk / "back")
    assert aside


def test_what_is_said_once_is_said_once_of_all_units(tmp_path: Path) -> None:
    """Each unit meets it anew."""
    told: list[str] = []

    def tell(_: bytes, what: str) -> None:
        told.append(what)

    metadata = MetadataWriter(tell)
    with Bench(streams=1) as bench:
        placer = Placer(bench.entropy, metadata, tell)
        place = Place(FolderPool().root(bytes(tmp_path)), b"x")
        for _ in range(2):
            writer = FolderFileWriter(placer, place, entry(b"x"), replace=False)
            writer.ended(True, [(b"x", "owners cannot be set here" + SAID_ONCE), (b"x", "its own")])
    assert told == ["owners cannot be set here" + SAID_ONCE, "its own", "its own"]
