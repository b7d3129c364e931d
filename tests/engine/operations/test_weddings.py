"""The register, from the door: what is checked, what counts at once, what stays."""

from __future__ import annotations

import datetime as dt

import pytest

from engine.base.errors import Conflict, NotFound, UsageError
from engine.contract import operations as ops
from engine.operations.weddings import known_zone, one_line, position, sane_date
from tests.engine.operations.conftest import Asking, fresh_wedding


def test_a_position_is_two_numbers_on_the_earth() -> None:
    assert position("51.38,-2.36") == (51.38, -2.36)
    assert position(" 51.38 , -2.36 ") == (51.38, -2.36)
    assert position("") == (None, None)


@pytest.mark.parametrize("text", ["51.38", "51.38;-2.36", "a,b", "1,2,3", "91,0", "0,181", "nan,0"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        position(text)


def test_dates_zones_and_venues_are_checked() -> None:
    with pytest.raises(UsageError, match="0001-01-01"):
        sane_date(dt.date(1, 1, 1))
    with pytest.raises(UsageError, match="Europe/Bath"):
        known_zone("Europe/Bath")
    assert known_zone("Europe/London") == "Europe/London"
    assert one_line("  Bath,\n UK ") == "Bath, UK"
    with pytest.raises(UsageError):
        one_line("x" * 201)
    with pytest.raises(UsageError):
        one_line("\x1b[31mred")


def test_an_added_wedding_is_listed_with_its_class(asking: Asking) -> None:
    today = dt.datetime.now(dt.UTC)
    date = (today - dt.timedelta(hours=6)).date()
    operation = ops.AddWedding(name="list-me", date=date, venue="Listing Hall", at="51.38,-2.36")
    added = asking.ask(operation, ops.WeddingResult).wedding
    assert (added.latitude, added.timezone, len(added.id)) == (51.38, "UTC", 32)
    listed = asking.ask(ops.ListWeddings(match="LISTING"), ops.WeddingList).weddings
    assert [(row.wedding.name, row.priority) for row in listed] == [("list-me", "same-day")]


def test_a_name_is_given_once(asking: Asking) -> None:
    fresh_wedding(asking, "once")
    with pytest.raises(Conflict, match="once"):
        fresh_wedding(asking, "once")
    with pytest.raises(UsageError, match="cannot name a wedding"):
        fresh_wedding(asking, "Smith & Jones")


def test_a_moved_date_counts_at_once(asking: Asking) -> None:
    fresh_wedding(asking, "moves", dt.date(2031, 5, 1))
    today = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=6)).date()
    edited = asking.ask(ops.EditWedding(name="moves", date=today, venue="York"), ops.WeddingResult).wedding
    assert (edited.date, edited.venue) == (today, "York")
    (row,) = asking.ask(ops.ListWeddings(match="moves"), ops.WeddingList).weddings
    assert row.priority == "same-day"
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    assert next(shown.priority for shown in document.weddings if shown.name == "moves") == "same-day"


def test_a_renamed_wedding_keeps_its_id_and_an_empty_edit_is_refused(asking: Asking) -> None:
    fresh_wedding(asking, "before-name")
    before = asking.ask(ops.EditWedding(name="before-name", venue="Hull"), ops.WeddingResult).wedding
    after = asking.ask(ops.EditWedding(name="before-name", rename="after-name", at=""), ops.WeddingResult).wedding
    assert (after.id, after.venue) == (before.id, "Hull")
    with pytest.raises(NotFound):
        asking.ask(ops.EditWedding(name="before-name", venue="x"), ops.WeddingResult)
    with pytest.raises(UsageError, match="nothing to change"):
        asking.ask(ops.EditWedding(name="after-name"), ops.WeddingResult)


def test_an_archived_wedding_leaves_the_lists_and_comes_back(asking: Asking) -> None:
    fresh_wedding(asking, "archive-me")
    asking.ask(ops.ArchiveWedding(name="archive-me"), ops.WeddingResult)
    assert not asking.ask(ops.ListWeddings(match="archive-me"), ops.WeddingList).weddings
    assert asking.ask(ops.ListWeddings(match="archive-me", archived=True), ops.WeddingList).weddings
    asking.ask(ops.ArchiveWedding(name="archive-me", undo=True), ops.WeddingResult)
    assert asking.ask(ops.ListWeddings(match="archive-me"), ops.WeddingList).weddings
