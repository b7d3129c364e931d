"""Patterns of what is left out: what git says of them, and where they count."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pipeline.excludes import Excludes


def _left_out(patterns: Sequence[str], path: str, *, file: str = "") -> bool:
    """Is `path` (a folder if it ends in a slash) left out, it or a folder above it?"""
    excludes = Excludes(patterns)
    if file:
        excludes = excludes.with_ignore_file(os.fsencode(file))
    *above, last = path.rstrip("/").split("/")
    for name in map(os.fsencode, above):
        if excludes.excludes(name, is_folder=True):
            return True
        excludes = excludes.below(name)
    return excludes.excludes(os.fsencode(last), is_folder=path.endswith("/"))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.tmp", ["a.tmp", "d/e/.tmp", "x.tmp/"], ["a.tmp~", "tmp"]),
        ("cache/", ["cache/", "a/cache/x"], ["cache", "cached/"]),
        ("/top", ["top", "top/x"], ["a/top"]),
        ("a/b", ["a/b", "a/b/c"], ["x/a/b", "b"]),
        ("a/*/c", ["a/x/c"], ["a/c", "a/x/y/c"]),
        ("**/c", ["c", "a/c", "a/b/c/d"], ["cc"]),
        ("a/**", ["a/x", "a/x/y"], ["a", "a/", "b/a/x"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["a/zz", "z"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
        ("?.jpg", ["1.jpg"], ["12.jpg", ".jpg"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax"]),
        ("[]-]x", ["]x", "-x"], ["ax"]),
        ("[[:digit:]_]", ["7", "_"], ["a", ":"]),
        ("a[", [], ["a[", "a"]),
        ("[[:nonsense:]]", [], ["n"]),
        ("a\\", [], ["a", "a\\"]),
        ("\\*", ["*"], ["a"]),
        ("\\!x", ["!x"], ["x"]),
        ("\\#x", ["#x"], ["x"]),
        ("# note", [], ["# note"]),
        ("", [], ["a"]),
        ("/", [], ["a"]),
        ("spaces  ", ["spaces"], ["spaces  "]),
        ("kept\\ ", ["kept "], ["kept"]),
        ("two words", ["two words"], ["two"]),
        ("[/]", [], ["/", "a"]),
    ],
)  # fmt: skip
def test_a_pattern_means_what_it_means_to_git(pattern: str, inside: list[str], outside: list[str]) -> None:
    """One pattern at a time, each with what it takes and what it leaves."""
    assert [path for path in inside if not _left_out([pattern], path)] == []
    assert [path for path in outside if _left_out([pattern], path)] == []


def test_the_last_pattern_that_matches_decides() -> None:
    """A later `!` takes something back, a later pattern takes that back."""
    assert not _left_out(["*.log", "!keep.log"], "a/keep.log")
    assert _left_out(["*.log", "!keep.log", "a/keep.log"], "a/keep.log")


def test_nothing_below_a_folder_that_is_left_out_can_be_taken_back() -> None:
    """It is never entered."""
    assert _left_out(["cache/", "!cache/keep"], "cache/keep")


def test_any_bytes_of_a_name_are_matched_as_bytes() -> None:
    """Also what is not UTF-8, and a newline."""
    assert Excludes(["*.jpg"]).excludes(b"\xff\n.jpg", is_folder=False)
    assert Excludes([os.fsdecode(b"\xff?")]).excludes(b"\xff\xfe", is_folder=False)


def test_an_ignore_file_is_read_line_by_line() -> None:
    """A byte order mark, carriage returns and comments are not patterns."""
    excludes = Excludes().with_ignore_file(b"\xef\xbb\xbfa\r\n# b\r\n\r\nc")
    assert [excludes.excludes(name, is_folder=False) for name in (b"a", b"b", b"c", b"\r")] == [
        True,
        False,
        True,
        False,
    ]


def test_a_pattern_made_to_be_slow_is_not() -> None:
    """Stars do not multiply."""
    assert not _left_out(["*a" * 30 + "b"], "a" * 250)
    assert not _left_out(["x/" + "*a*b" * 20 + "c"], "x/" + "ab" * 120)


_pieces = st.sampled_from(
    [
        "a", "b", "ab", "*", "?", "**", "/", "/", "[ab]", "[!a]", "[a-b]", "\\*", "\\a", ".", " ", "[]a]", "[^-a]",
        "[[:alpha:]]",
    ]
)  # fmt: skip
_patterns = st.lists(_pieces, min_size=1, max_size=6).map("".join)
_lines = st.tuples(st.sampled_from(["", "", "!", "/"]), _patterns, st.sampled_from(["", "", "/"])).map("".join)
_names = st.sampled_from(["a", "b", "ab", "ba", "*", "a b", ".a", "-", "]"])
_trees = st.lists(st.lists(_names, min_size=1, max_size=4), min_size=1, max_size=6)


def _follows_its_own_documentation(line: str) -> bool:
    """Git takes `x**` for `**` behind a literal beginning, against its own documentation; so that is not drawn."""
    stars = line.split("**")
    return all(part == "" or part.endswith("/") for part in stars[:-1])


if shutil.which("git"):

    @given(lines=st.lists(_lines.filter(_follows_its_own_documentation), min_size=1, max_size=4), tree=_trees)
    def test_whatever_git_leaves_out_is_left_out_and_nothing_else(lines: list[str], tree: list[list[str]]) -> None:
        """The same ignore file, the same tree, asked of `git check-ignore`."""
        with tempfile.TemporaryDirectory() as made:
            root = Path(made)
            for parts in tree:
                root.joinpath(*parts).mkdir(parents=True, exist_ok=True)
            paths = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
            text = "\n".join(lines)
            (root / ".gitignore").write_text(text)
            environment = {"PATH": os.environ["PATH"], "HOME": made, "GIT_CONFIG_NOSYSTEM": "1"}
            subprocess.run(["git", "init", "-q", "."], cwd=root, env=environment, check=True)
            ran = subprocess.run(
                ["git", "check-ignore", "--no-index", "-z", "--stdin"],
                cwd=root, env=environment, input="\0".join(paths).encode(), capture_output=True, check=False,
            )  # fmt: skip
            ignored = {path for path in ran.stdout.decode().split("\0") if path}
            assert {path for path in paths if _left_out([], path + "/", file=text)} == ignored, (lines, paths)
