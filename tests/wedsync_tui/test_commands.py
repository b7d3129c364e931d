"""Words to operations: one parser, one line for each mistake."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.contract.catalog import CATALOG, OperationSpec
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.commands import HelpRequest, format_command, parse, parse_line


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("init", ops.InitRepository()),
        (
            'wedding add smith-jones --date 2026-06-20 --venue "Bath, UK" --tz Europe/London',
            ops.AddWedding(
                name="smith-jones", date=dt.date(2026, 6, 20), venue="Bath, UK", timezone="Europe/London"
            ),
        ),
        (
            "wedding add a --date 2026-06-20 --at -33.8,151.2",
            ops.AddWedding(name="a", date=dt.date(2026, 6, 20), at="-33.8,151.2"),
        ),
        ("backup a --from /x /y --wait", ops.StartBackup(wedding="a", sources=("/x", "/y"), wait=True)),
        ("backup a --from /x --from /y", ops.StartBackup(wedding="a", sources=("/x", "/y"))),
        ("backup a --from=-x --exclude *.tmp .DS_Store --tag raw --priority same-day",
         ops.StartBackup(
             wedding="a", sources=("-x",), exclude=("*.tmp", ".DS_Store"), tags=("raw",), priority="same-day",
         )),
        ("backup --from /x -- a", ops.StartBackup(wedding="a", sources=("/x",))),
        ("retrieve a --to - --as tar", ops.RetrieveWeddingData(wedding="a", to="-", format="tar")),
        ("retrieve a --to /b --no-wait", ops.RetrieveWeddingData(wedding="a", to="/b", wait=False)),
        ("verify a --all", ops.Verify(wedding="a", all=True)),
        ("verify a --copies", ops.Verify(wedding="a", copies=True)),
        ("store a notes.txt", ops.StoreWeddingData(wedding="a", name="notes.txt")),
        ("store a notes.txt < /tmp/n", ops.StoreWeddingData(wedding="a", name="notes.txt", file="/tmp/n")),
        ("store a photo#1.jpg --file -", ops.StoreWeddingData(wedding="a", name="photo#1.jpg")),
        ("find a '*.jpg' --limit 5", ops.Find(wedding="a", pattern="*.jpg", limit=5)),
        ("wedding edit a --venue ''", ops.EditWedding(name="a", venue="")),
        ("wait --timeout 10m", ops.WaitForJobs(timeout="10m")),
        ("jobs --state done --kind backup", ops.ListJobs(state="done", kind="backup")),
        ("config set engine.streams 4", ops.Configure(key="engine.streams", value="4")),
        ("config get", ops.ReadConfiguration()),
        ("key remove a1", ops.RemoveKey(key="a1")),
        ("scale auto", ops.ScaleInfrastructure(target="auto")),
    ],
)  # fmt: skip
def test_line_becomes_its_operation(line: str, operation: ops.Operation) -> None:
    assert parse_line(line) == operation


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "there is no command; help lists the verbs"),
        ("bakcup a --from x", 'unknown verb "bakcup"; did you mean backup?'),
        ("frobnicate", 'unknown verb "frobnicate"; help lists the verbs'),
        ("wedding", 'unknown verb "wedding"; write one of: wedding add, wedding edit, wedding archive'),
        ("wedding ad a", 'unknown verb "wedding ad"; write one of: wedding add, wedding edit, wedding archive'),
        ("start_backup a", 'unknown verb "start_backup"; did you mean backup?'),
        ("BACKUP a", 'unknown verb "BACKUP"; did you mean backup?'),
        ("'backup a'", 'unknown verb "backup a"; write it without quotes around it all, or after -c'),
        ("''", "the verb is empty; help lists the verbs"),
        ("find a", "find needs GLOB; write find WEDDING GLOB"),
        ("scale", "scale needs N|auto; write scale N|auto"),
        ("backup a --from x ''", "--from is empty; write --from PATH…, or leave it out"),
        ("retrieve a --to x --path ''", "--path is empty; write --path PATH…, or leave it out"),
        ("backup a --form x", 'backup has no option "--form"; did you mean --from?'),
        ("backup a --from x -z", 'backup has no option "-z"; help backup tells what it takes'),
        ("backup a --from", "--from needs a value; write --from PATH…"),
        (
            "backup --from x a",
            "backup needs WEDDING; write backup WEDDING, with WEDDING before the options",
        ),
        ("backup a --from x --tag --wait", "--tag needs a value; write --tag TAG…"),
        ("backup a --from x --wait=perhaps", "--wait takes no value; write --wait alone, or --no-wait"),
        ("backup a --from x --wait --no-wait", "--wait is given twice; give it once"),
        ("backup a --from x --priority urgent", '--priority cannot be "urgent"; write same-day, next-day or standard'),
        (
            "backup a --from x --priority retrieval",
            '--priority cannot be "retrieval"; write same-day, next-day or standard',
        ),
        ("backup a --from x --priority sameday", '--priority cannot be "sameday"; did you mean same-day?'),
        ("backup '' --from x", "WEDDING is empty; write the wedding, by its name"),
        ("retrieve a --to x y", 'retrieve cannot use "y"; write retrieve WEDDING --to DIR'),
        ("retrieve a --to x --to y", "--to is given twice; give it once"),
        ("wedding add a --date 20.6.2026", "--date: '20.6.2026' is not a date; write it like 2026-06-20"),
        ("wedding add a", "wedding add needs --date; write wedding add WEDDING --date DATE"),
        ("jobs --limit ten", "--limit: 'ten' is not a whole number; write it like 100"),
        ("jobs --limit 0", "--limit: 0 is too small; 1 is the least"),
        ("analyze --photos ash --distance 900", "--distance: 900 is too large; 16 is the most"),
        ("wait --timeout soon", "--timeout: 'soon' is not a span of time; write it like 90s, 5m, 1h30m or 2d"),
        ("backup 'a", "a quote (') is not closed; close it, or write \\' for an apostrophe"),
    ],
)
def test_mistake_gets_one_line_that_says_what_to_write(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(line)
    assert caught.value.line() == message


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("help", ""),
        ("--help", ""),
        ("help backup", "backup"),
        ("backup --help", "backup"),
        ("wedding add -h", "wedding add"),
    ],
)
def test_help_is_a_wish_and_not_an_error(line: str, verb: str) -> None:
    assert parse_line(line) == HelpRequest(verb)


def test_help_after_the_end_of_options_is_a_value() -> None:
    assert parse_line("find a -- --help") == ops.Find(wedding="a", pattern="--help")


def values_of(row: Argument) -> some.SearchStrategy[object]:
    """Values an argument can take."""
    text = some.text(min_size=1, max_size=12)
    if row.kind == "switch":
        return some.booleans()
    if row.kind == "number":
        return some.integers(row.minimum or 0, 10**6 if row.maximum is None else row.maximum)
    if row.kind == "date":
        return some.dates()
    if row.kind == "span":
        return some.sampled_from(["30s", "5m", "1h30m"])
    if row.kind == "choice":
        return some.sampled_from(row.choices)
    return some.lists(text, min_size=1, max_size=3).map(tuple) if row.kind == "list" else text


@some.composite
def any_operation(draw: some.DrawFn) -> ops.Operation:
    """Any operation of the catalog with any arguments, but for a schedule's, which is a command in itself."""
    spec: OperationSpec = draw(some.sampled_from([spec for spec in CATALOG if spec.name != "schedule_add"]))
    values: dict[str, object] = {}
    for row in arguments_of(spec):
        if row.required or draw(some.booleans()):
            values[row.field] = draw(values_of(row))
        elif not row.flag:
            break
    return msgspec.convert(values, spec.arguments)


@settings(deadline=None)
@given(any_operation())
def test_line_made_of_an_operation_parses_back_to_it(operation: ops.Operation) -> None:
    assert parse_line(format_command(operation)) == operation


@given(
    some.lists(
        some.sampled_from(["backup", "a", "--from", "--", "-", "-1", "--wait", "--wait=x", "<", "=", "--=", "é"])
    )
)
def test_any_words_give_an_operation_a_help_or_a_usage_error(words: list[str]) -> None:
    try:
        parsed = parse(words)
    except UsageError as error:
        line = error.line()
    else:
        assert isinstance(parsed, ops.Operation | HelpRequest)
        line = "done"
    assert line
    assert "\n" not in line


def test_names_of_any_bytes_pass_through() -> None:
    assert parse(["backup", "a", "--from", "/b\udce9"]) == ops.StartBackup(wedding="a", sources=("/b\udce9",))


def test_unprintable_words_are_escaped_in_messages() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["\x1b[31mred"])
    assert caught.value.line().isprintable()


def test_parsing_and_failing_load_neither_rich_nor_textual() -> None:
    code = (
        "import sys\n"
        "from wedsync_tui.commands import parse_line\n"
        "parse_line('backup a --from x --wait')\n"
        "for line in ('bakcup', 'backup a --form x', 'backup', 'jobs --limit x', 'backup a --from x y=z --wait=1=2'):\n"
        "    try: parse_line(line)\n"
        "    except Exception as error: assert type(error).__name__ == 'UsageError', error\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('rich', 'textual', 'pygments')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
