"""The program's own options."""

from __future__ import annotations

import pytest

from engine.base.errors import UsageError
from wedsync_tui.options import Options, read_options


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ([], Options()),
        (["--no-ui"], Options(no_ui=True)),
        (["-c", "init", "-c", "weddings --match -x"], Options(commands=("init", "weddings --match -x"))),
        (["--command=init", "--home", "/w"], Options(commands=("init",), home="/w")),
        (["weddings", "--match", "a b"], Options(commands=("weddings --match 'a b'",))),
        (["--no-ui", "find", "a", "-c", "--help"], Options(no_ui=True, commands=("find a -c --help",))),
        (["--", "weddings"], Options(commands=("weddings",))),
        (["--script", "tour.wed", "--dry-run"], Options(script="tour.wed", dry_run=True)),
        (["--script", "-"], Options(script="-")),
        (["--demo", "--streams", "4", "--drain", "1m"], Options(demo=True, streams=4, drain_s=60.0)),
        (["-h"], Options(help=True)),
        (["--version"], Options(version=True)),
        (["help", "backup"], Options(commands=("help backup",))),
        (["-c", "--help"], Options(commands=("--help",))),
    ],
)  # fmt: skip
def test_options_are_read(argv: list[str], options: Options) -> None:
    assert read_options(argv) == options


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--hmoe", "/w"], 'the program has no option "--hmoe"; did you mean --home?'),
        (["--home"], "--home needs a value; write --home DIR"),
        (["-x"], 'the program has no option "-x"; wedsync-tui --help lists its options'),
        (["--no-ui=3"], "--no-ui takes no value; write --no-ui alone"),
        (["--streams", "many"], "--streams: 'many' is not a whole number; write it like 100"),
        (["--streams", "0"], "--streams: 0 is too small; 1 is the least"),
        (["--streams", "999"], "--streams: 999 is too many; 256 is the most"),
        (["--drain", "soon"], "--drain: 'soon' is not a span of time; write it like 90s, 5m, 1h30m or 2d"),
        (["-c", "init", "keys"], '"keys" stands beside -c; give each command by its own -c, or one command alone'),
        (
            ["--script", "a", "-c", "b"],
            "commands and a script cannot be given at once; put the commands into the script",
        ),
        (["--home", "/a", "--home", "/b"], "--home is given twice; give it once"),
    ],
)  # fmt: skip
def test_mistake_is_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_options(argv)
    assert caught.value.line() == message
