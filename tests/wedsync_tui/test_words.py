"""Lines to words: shlex's quoting, our comments and variables."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.base.errors import UsageError
from wedsync_tui.words import OpenQuote, split_words


def texts(line: str, **values: str) -> list[str]:
    """The words of `line`, variables filled."""
    return [word.filled(values) for word in split_words(line)]


@given(some.text(alphabet="ab '\"\\-=/é", max_size=20))
def test_quoting_agrees_with_shlex(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(OpenQuote):
            split_words(line)
    else:
        assert texts(line) == expected


@given(some.lists(some.text(max_size=12), max_size=5))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert texts(shlex.join(words)) == words


@given(some.text(alphabet="ab '\"\\$#", max_size=20))
def test_words_never_overlap_and_cover_all_but_blanks(line: str) -> None:
    try:
        words = split_words(line)
    except OpenQuote:
        return
    ends = [0, *(word.end for word in words)]
    for previous, word in zip(ends, words, strict=False):
        assert previous <= word.start < word.end
        assert line[previous : word.start].strip() == ""


def test_hash_starts_a_comment_only_at_the_beginning_of_a_word() -> None:
    assert texts("store a photo#1.jpg # the first") == ["store", "a", "photo#1.jpg"]
    assert texts("tag '#1'") == ["tag", "#1"]
    assert texts("# nothing") == []


def test_variables_are_filled_except_in_single_quotes() -> None:
    assert texts("a $X \"${X}y\" '$X' \\$X", X="1 2") == ["a", "1 2", "1 2y", "$X", "$X"]


def test_dollar_before_no_name_is_a_dollar() -> None:
    assert texts("$5 a$ ${} $") == ["$5", "a$", "${}", "$"]


def test_variable_without_value_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"\$JOB has no value"):
        texts("cancel $JOB")


def test_open_quotes_are_named() -> None:
    for line, sign in (("a 'b", "'"), ('a "b', '"'), ("a \\", "backslash")):
        with pytest.raises(OpenQuote) as caught:
            split_words(line)
        assert sign in caught.value.line()
