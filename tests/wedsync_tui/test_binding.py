"""A plain line is sorted without cyclopts, and exactly as cyclopts would."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import UsageError
from engine.contract.catalog import CATALOG
from wedsync_tui.binding import Form, plain_values, sorted_values
from wedsync_tui.commands import form_of
from wedsync_tui.options import PROGRAM_FORM

FORMS = [PROGRAM_FORM, *map(form_of, CATALOG)]
VALUES = [
    "a",
    "b c",
    "",
    "1",
    "x=y",
    "[1,2]",
    '{"a":1}',
    "none",
    "true",
    "/p/q",
    " a",
    "é",
    "@f",
    "a,b",
    "-",
    "-1",
    "--",
]


@st.composite
def _lines(draw: st.DrawFn) -> tuple[Form, list[str]]:
    form = draw(st.sampled_from(FORMS))
    values = st.sampled_from(VALUES)
    flags = st.sampled_from([*form.flags, "--no-such-flag"])
    words = st.one_of(values, flags, st.builds("{}={}".format, flags, values))
    return form, draw(st.lists(words, max_size=6))


@given(_lines())
def test_a_plain_line_means_what_cyclopts_makes_of_it(line: tuple[Form, list[str]]) -> None:
    """Any form, any words: the same values, or it is left to cyclopts, as every mistake is."""
    form, words = line
    plain = plain_values(form, words)
    if plain is not None:
        assert plain == sorted_values(form, words)


@pytest.mark.parametrize(
    "words",
    [
        ["anna", "--from", "/a", "/b", "--wait"],
        ["--from=/a", "--exclude", "*.tmp", "--wait", "anna"],
        ["anna", "--from", "/a", "--from", "/b", "--no-one-file-system"],
    ],
)
def test_everyday_lines_are_plain(words: list[str]) -> None:
    """So that they do not pay for its import."""
    (form,) = [form for form in FORMS if form.name == "backup"]
    try:
        expected = sorted_values(form, words)
    except UsageError:
        assert plain_values(form, words) is None
    else:
        assert plain_values(form, words) == expected


def test_a_start_with_a_plain_command_loads_no_cyclopts() -> None:
    """Looked up in `sys.modules` of a whole call."""
    words = (
        "import sys; from wedsync_tui.cli import run\n"
        "code = run(['--no-ui', '--dry-run', '-c', 'backup anna --from /a --wait'], {})\n"
        "print(code, sorted({'attr', 'cyclopts', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"
