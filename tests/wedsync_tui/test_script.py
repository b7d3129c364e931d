"""Scripts: read whole before anything runs, every mistake with its line."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.base.errors import UsageError
from engine.contract import operations as ops
from tests import samples
from wedsync_tui.expressions import Facts
from wedsync_tui.script import (
    SCRIPT_BYTES_MAX,
    CommandStep,
    ExpectStep,
    HelpStep,
    LetStep,
    facts_of,
    read_commands,
    read_script,
)

TOUR = b"""\
# A tour of the vault

init
wedding add smith-jones --date 2026-06-20 \\
    --venue "Bath, UK"     # where it is
backup smith-jones --from /cards
let JOB = last.job.id
wait $JOB
expect last.jobs[0].state == done within 5s
help backup
"""


def problems(text: str) -> list[str]:
    """What is wrong with a script, as it is told."""
    return [f"{problem.place}{problem.error.line()}" for problem in read_script(text.encode(), "tour.wed").problems]


def test_script_becomes_steps_with_their_lines() -> None:
    script = read_script(TOUR, "tour.wed")
    assert not script.problems
    assert [(type(step), step.place.line) for step in script.steps] == [
        (CommandStep, 3), (CommandStep, 4), (CommandStep, 6), (LetStep, 7), (CommandStep, 8), (ExpectStep, 9),
        (HelpStep, 10),
    ]  # fmt: skip
    added = script.steps[1]
    assert isinstance(added, CommandStep)
    assert isinstance(added.operation, ops.AddWedding)
    assert added.operation.venue == "Bath, UK"
    assert added.text.endswith('"Bath, UK"')


def test_every_mistake_is_told_with_its_line() -> None:
    assert problems("init\nbakcup a\n\n# fine\nretrieve a\nexpect jbos == 1\nwait $JOB\nlet x\nstore 'a\n") == [
        'tour.wed:2: unknown verb "bakcup"; did you mean backup?',
        "tour.wed:5: retrieve needs --to; write retrieve WEDDING --to DIR",
        'tour.wed:6: unknown name "jbos"; did you mean jobs?',
        "tour.wed:7: $JOB has no value here; set it above with let JOB = …",
        "tour.wed:8: this let is not understood; write it like let JOB = last.job.id",
        "tour.wed:9: a quote (') is not closed; close it, or write \\' for an apostrophe",
    ]


def test_options_of_a_command_with_variables_are_checked_before_anything_runs() -> None:
    assert problems("let D = last.x\nwedding add a --dte $D") == [
        'tour.wed:2: wedding add has no option "--dte"; did you mean --date?'
    ]


def test_value_of_a_variable_is_checked_when_it_is_known() -> None:
    step = read_script(b"let D = last.x\nwedding add a --date $D", "s").steps[1]
    assert isinstance(step, CommandStep)
    assert isinstance(step.ready({"D": "2026-06-20"}), ops.AddWedding)
    with pytest.raises(UsageError, match="is not a date"):
        step.ready({"D": "soon"})


def test_variable_with_blanks_stays_one_word() -> None:
    step = read_script(b"let P = last.x\nbackup a --from $P", "s").steps[1]
    assert isinstance(step, CommandStep)
    assert step.ready({"P": "/a b --wait"}) == ops.StartBackup(wedding="a", sources=("/a b --wait",))


def test_variable_cannot_become_an_option() -> None:
    step = read_script(b"let P = last.x\nbackup a --from /x $P", "s").steps[1]
    assert isinstance(step, CommandStep)
    with pytest.raises(UsageError):
        step.ready({"P": "--help"})


def test_line_endings_of_other_systems_and_a_byte_order_mark_are_no_problem() -> None:
    script = read_script("\ufeffinit\r\nweddings\r\n".encode(), "s")
    assert [step.text for step in script.steps] == ["init", "weddings"]


def test_names_of_any_bytes_pass_through_a_script() -> None:
    step = read_script(b"backup a --from /b\xe9", "s").steps[0]
    assert isinstance(step, CommandStep)
    assert step.operation == ops.StartBackup(wedding="a", sources=("/b\udce9",))


def test_script_that_is_too_long_is_refused() -> None:
    script = read_script(b"#" * (SCRIPT_BYTES_MAX + 1), "s")
    assert not script.steps
    assert "longer than a script can be" in script.problems[0].error.line()


def test_several_commands_are_numbered_and_a_single_one_is_not() -> None:
    assert str(read_commands(["bakcup"]).problems[0].place) == ""
    assert [str(problem.place) for problem in read_commands(["bakcup", "init", ""]).problems] == [
        "command:1: ",
        "command:3: ",
    ]


def test_standard_streams_that_steps_need_are_known_beforehand() -> None:
    assert read_commands(["retrieve a --to - --as tar"]).writes_standard_output
    assert not read_commands(["retrieve a --to /x"]).writes_standard_output
    assert read_commands(["init", "store a b"]).reads_standard_input is not None
    assert read_commands(["store a b --file c"]).reads_standard_input is None


def test_facts_show_a_job_left_running_as_it_is_now() -> None:
    queued = ops.JobResult(job=samples.job_row(1, state="queued"))
    facts = facts_of(samples.status(jobs=(samples.job_row(1, state="done"),)), queued, {})
    last = facts.roots["last"]
    assert isinstance(last, dict)
    assert last["job"]["state"] == "done"


def test_facts_show_an_ended_job_as_its_result_says() -> None:
    done = ops.JobResult(job=samples.job_row(1, state="done"))
    last = facts_of(samples.status(jobs=(samples.job_row(1, state="running"),)), done, {}).roots["last"]
    assert isinstance(last, dict)
    assert last["job"]["state"] == "done"


def test_facts_count_beyond_the_rows_a_document_shows() -> None:
    status = msgspec.structs.replace(samples.status(), weddings_total=4_000)
    step = read_script(b"expect weddings.total == 4000 and jobs.failed == 1 and alerts.count == 1", "s").steps[0]
    assert isinstance(step, ExpectStep)
    assert step.expectation.condition.holds(facts_of(status, None, {}))


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (True, "true"), ("a b", "a b"), (0.5, "0.5")])
def test_let_names_a_plain_value(value: object, text: str) -> None:
    step = read_script(b"let X = last.value", "s").steps[0]
    assert isinstance(step, LetStep)
    assert step.value(Facts({"last": {"value": value}})) == text


def test_let_of_a_list_is_refused() -> None:
    step = read_script(b"let X = last.value", "s").steps[0]
    assert isinstance(step, LetStep)
    with pytest.raises(UsageError, match=r"\$X cannot be a list of 2"):
        step.value(Facts({"last": {"value": (1, 2)}}))


@given(some.binary(max_size=200))
def test_any_bytes_are_steps_or_problems(data: bytes) -> None:
    script = read_script(data, "s")
    assert all(problem.error.line() for problem in script.problems)
