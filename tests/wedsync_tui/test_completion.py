"""How a half-written line may go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.base.errors import UsageError
from engine.contract.catalog import CATALOG
from tests import samples
from wedsync_tui.commands import parse_line
from wedsync_tui.completion import Known, folder_names, known_from, suggest

FOLDERS = {"/cards": ["A/", "B/", "notes.txt", ".trash/"], "/cards/A": ["IMG 1.jpg"], ".": ["here/"], "/": ["cards/"]}
KNOWN = known_from(samples.status(), lambda folder: FOLDERS.get(folder, []))


def lines(line: str) -> list[str]:
    """The lines that `line` may become."""
    return [suggestion.line for suggestion in suggest(line, KNOWN)]


def test_empty_line_offers_every_verb() -> None:
    assert {line.strip() for line in lines("")} == {spec.verb for spec in CATALOG} | {"help"}


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("ba", "backup "),
        ("wedding e", "wedding edit "),
        ("help ba", "help backup "),
        ("backup smi", "backup smith-jones "),
        ("backup 'smi", "backup smith-jones "),
        ("backup jones", "backup smith-jones "),
        ("backup smith-jones ", "backup smith-jones --from "),
        ("backup smith-jones --from /ca", "backup smith-jones --from /cards/"),
        ("backup smith-jones --from /cards/", "backup smith-jones --from /cards/A/"),
        ("backup smith-jones --from /cards/A/IMG", "backup smith-jones --from '/cards/A/IMG 1.jpg' "),
        ("backup smith-jones --from /cards/A /cards/B", "backup smith-jones --from /cards/A /cards/B/"),
        ("backup smith-jones --from /cards/.", "backup smith-jones --from /cards/.trash/"),
        ("backup smith-jones --from he", "backup smith-jones --from here/"),
        ("backup smith-jones --from /x --pri", "backup smith-jones --from /x --priority "),
        ("backup smith-jones --from /x --priority n", "backup smith-jones --from /x --priority next-day "),
        ("backup smith-jones --priority=n", "backup smith-jones --priority=next-day "),
        ("prioritise 5f ret", "prioritise 5f retrieval "),
        ("steer ret", "steer retry "),
        ("steer retri", "steer retrieval "),
        ("wedding add x --tz lond", "wedding add x --tz Europe/London "),
        ("config set engine.str", "config set engine.streams "),
        ("retrieve smith-jones --to /x --no", "retrieve smith-jones --to /x --no-wait "),
        ("browse smith-jones / --snapshot l", "browse smith-jones / --snapshot latest "),
        ("cancel 0000", f"cancel {samples.job_id(5)[:12]} "),
    ],
)
def test_line_goes_on(line: str, first: str) -> None:
    assert lines(line)[0] == first


def test_option_given_is_not_offered_again_unless_it_takes_several() -> None:
    offered = lines("backup smith-jones --from /x --wait --tag a --")
    assert not any(line.endswith(("--wait ", "--no-wait ")) for line in offered)
    assert any(line.endswith("--tag ") for line in offered)


def test_options_wait_until_the_places_are_filled() -> None:
    assert all("--" not in line for line in lines("backup "))


def test_value_is_offered_and_not_options_right_after_an_option() -> None:
    assert lines("backup smith-jones --priority ") == [
        f"backup smith-jones --priority {word} " for word in ("same-day", "next-day", "standard")
    ]


def test_paths_inside_a_snapshot_are_not_guessed_from_this_machine() -> None:
    assert lines("retrieve smith-jones --to /x --path /ca") == []


def test_unknown_verb_offers_nothing() -> None:
    assert lines("frobnicate x") == []


def test_folder_names_of_what_cannot_be_read_are_none() -> None:
    assert folder_names("/nowhere/at/all") == []


@given(some.text(alphabet="backup -='\"$#/smithjones\\", max_size=30))
def test_any_line_gets_suggestions_or_none(line: str) -> None:
    for suggestion in suggest(line, KNOWN):
        assert suggestion.shown.isprintable()


@pytest.mark.parametrize("line", ["verify ", "snapshots smi", "wedding archive wal", "scale "])
def test_first_suggestion_is_a_line_that_parses(line: str) -> None:
    try:
        parse_line(lines(line)[0])
    except UsageError as error:
        pytest.fail(error.line())


def test_nothing_known_is_no_problem() -> None:
    assert suggest("backup ", Known()) == ()


def test_of_jobs_those_that_are_not_over_stand_first() -> None:
    states = [suggestion.help.rpartition(", ")[2] for suggestion in suggest("cancel ", KNOWN)]
    ended = [state in ("done", "warnings", "failed", "cancelled", "interrupted") for state in states]
    assert True in ended
    assert ended == sorted(ended)
