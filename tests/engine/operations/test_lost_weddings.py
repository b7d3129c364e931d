"""Weddings whose name is lost with an object of the register: reached under a name of their id, and named again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError
from engine.contract import operations as ops
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on, flip
from tests.trees import describe
from wedsync_tui import cli


def is_today(date: dt.date) -> bool:
    """The day of a snapshot that was made this moment, also where it was made just before midnight."""
    now = dt.datetime.now(dt.UTC)
    return date in (now.date(), (now - dt.timedelta(minutes=5)).date())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One wedding, backed up from `source`, in a register of which nothing can be read."""
    made = home_with_repository(tmp_path / "home")
    source = make_source(tmp_path / "source")
    with engine_on(made) as asking:
        fresh_wedding(asking, "smith-jones", dt.date(2026, 6, 20))
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    flip(made / "repository" / "register" / "1")
    return made


def lost_name(home: Path) -> str:
    """What the wedding is called now."""
    (wedding,) = (home / "repository" / "weddings").iterdir()
    return f"lost-{wedding.name[:8]}"


def test_a_lost_wedding_is_listed_with_a_warning_that_says_what_to_do(home: Path) -> None:
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        (row,) = listed.weddings
        assert (row.wedding.name, row.snapshots) == (lost_name(home), 1)
        assert is_today(row.wedding.date)
        assert listed.warnings[0] == "register/1 is damaged or does not belong here"
        name = lost_name(home)
        assert listed.warnings[1] == (
            f"{name} is wedding {row.wedding.id}, whose name is lost: no readable entry of the register has it; "
            f"give it one with wedding edit {name} --rename NAME --date DAY"
        )
        with pytest.raises(IntegrityError, match="register/1 is damaged") as refused:
            asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList)
        assert "called lost-" in refused.value.hint


def test_a_lost_wedding_can_be_browsed_verified_backed_up_and_retrieved(home: Path, tmp_path: Path) -> None:
    name, back = lost_name(home), tmp_path / "back"
    with engine_on(home) as asking:
        assert len(asking.ask(ops.ListSnapshots(wedding=name), ops.SnapshotList).snapshots) == 1
        assert asking.ask(ops.Browse(wedding=name, path=str(tmp_path / "source")), ops.EntryList).entries
        assert asking.ask(ops.Verify(wedding=name, all=True), ops.VerifyReport).problems == ()
        retrieve = ops.RetrieveWeddingData(wedding=name, to=str(back), strip_prefix=str(tmp_path / "source"), wait=True)
        assert asking.ask(retrieve, ops.JobResult).job.state == "done"
        again = asking.ask(backup_of(name, tmp_path / "source"), ops.JobResult).job
        assert (again.state, again.bytes_stored) == ("done", 0)
    expected, found = describe(tmp_path / "source"), describe(back)
    assert found == expected


def test_a_lost_wedding_is_named_again_for_good_and_repair_ends_the_warnings(home: Path) -> None:
    edit = ops.EditWedding(name=lost_name(home), rename="smith-jones", date=dt.date(2026, 6, 20))
    with engine_on(home) as asking:
        named = asking.ask(edit, ops.WeddingResult).wedding
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        assert [row.wedding for row in listed.weddings] == [named]
        assert listed.warnings == ("register/1 is damaged or does not belong here",)
        repaired = asking.ask(ops.Repair(wedding="smith-jones"), ops.RepairReport)
        assert repaired.warnings == ("the register was written whole: what could not be read of it no longer counts",)
        assert asking.ask(ops.ListWeddings(), ops.WeddingList).warnings == ()
        assert asking.ask(ops.ReadStatus(), ops.StatusResult).document.alerts == ()
        assert asking.ask(ops.Repair(wedding="smith-jones"), ops.RepairReport).warnings == ()
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        assert ([row.wedding for row in listed.weddings], listed.warnings) == ([named], ())


def test_repair_writes_a_lost_wedding_down_under_the_name_it_has(home: Path) -> None:
    """A dry run only says so. Afterwards it is a wedding like any other."""
    name = lost_name(home)
    with engine_on(home) as asking:
        told = asking.ask(ops.Repair(wedding=name, dry_run=True), ops.RepairReport).warnings
        assert (told[0], told[-1]) == (
            "register/1 is damaged or does not belong here",
            "repair would write the register whole",
        )
        repaired = asking.ask(ops.Repair(wedding=name), ops.RepairReport)
        assert repaired.warnings[1].startswith(f"{name} is wedding ")
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        assert ([row.wedding.name for row in listed.weddings], listed.warnings) == ([name], ())
        renamed = asking.ask(ops.EditWedding(name=name, rename="smith-jones"), ops.WeddingResult)
        assert renamed.wedding.name == "smith-jones"
        assert is_today(renamed.wedding.date)


@pytest.mark.parametrize("what", ["its last object", "all of it"])
def test_an_object_that_is_gone_leaves_its_wedding_lost_to_a_fresh_home(home: Path, tmp_path: Path, what: str) -> None:
    """Which has seen nothing, so it cannot know the register was set back; the folder of the wedding tells."""
    if what == "its last object":
        with engine_on(home) as asking:
            asking.ask(ops.Repair(wedding=lost_name(home)), ops.RepairReport)
            fresh_wedding(asking, "garcia-ruiz")
            asking.ask(backup_of("garcia-ruiz", tmp_path / "source"), ops.JobResult)
    last = max((home / "repository" / "register").iterdir(), key=lambda path: int(path.name))
    last.unlink()
    (home / "seen.json").unlink()
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        assert len(listed.weddings) == (2 if what == "its last object" else 1)
        assert len(listed.warnings) == 1
        assert all(row.wedding.name.startswith("lost-") for row in listed.weddings)


def test_a_lost_wedding_whose_key_is_gone_is_listed_all_the_same(home: Path) -> None:
    """By the day on which the store made its folder's first object; what can be had of it is another matter."""
    (key,) = (home / "repository").glob("weddings/*/key/1")
    flip(key)
    with engine_on(home) as asking:
        (row,) = asking.ask(ops.ListWeddings(), ops.WeddingList).weddings
        assert row.wedding.name == lost_name(home)
        assert is_today(row.wedding.date)
        with pytest.raises(IntegrityError):
            asking.ask(ops.ListSnapshots(wedding=lost_name(home)), ops.SnapshotList)


def test_an_empty_folder_is_no_wedding(tmp_path: Path) -> None:
    home = home_with_repository(tmp_path / "home")
    (home / "repository" / "weddings" / ("ab" * 16) / "key").mkdir(parents=True)
    with engine_on(home) as asking:
        assert asking.ask(ops.ListWeddings(), ops.WeddingList) == ops.WeddingList(weddings=())


# --- by the command line ----------------------------------------------------------------------------------


def test_the_command_line_reaches_a_lost_wedding_and_names_it(
    home: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Exit code 3 as long as something is to be warned of, 5 for the name that is lost."""
    name = lost_name(home)

    def run(*commands: str) -> tuple[int, str]:
        argv = [word for command in commands for word in ("-c", command)]
        code = cli.run(["--no-ui", *argv], {"WEDSYNC_HOME": str(home), "WEDSYNC_PASSPHRASE": PASSPHRASE})
        return code, capsysbinary.readouterr().err.decode()

    code, words = run("weddings")
    assert (code, f"wedding edit {name} --rename NAME --date DAY" in words) == (3, True)
    code, words = run("snapshots smith-jones")
    assert (code, "register/1 is damaged" in words) == (5, True)
    assert (
        run(f"retrieve {name} --to {tmp_path / 'back'} --strip-prefix {tmp_path / 'source'}", f"verify {name}")[0] == 0
    )
    assert describe(tmp_path / "back") == describe(tmp_path / "source")
    assert run(f"wedding edit {name} --rename smith-jones --date 2026-06-20", "snapshots smith-jones")[0] == 0
    code, words = run("repair smith-jones")
    assert (code, "the register was written whole" in words) == (3, True)
    assert run("weddings", "repair smith-jones")[0] == 0
