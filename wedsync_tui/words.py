"""A line → words, by the shell's quoting rules, with where each word stands and which parts are variables.

As in a POSIX shell: blanks separate; '…' is literal; "…" and a bare backslash quote, and leave `$NAME` and
`${NAME}` to be replaced; `#` starts a comment only at the beginning of a word. Unlike a shell, nothing else is
special. `shlex` agrees on quoting, but ends a word at any `#` and forgets which dollar was quoted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from engine.base.errors import UsageError

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_BLANKS = " \t\r\n"


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a word: literal text, or the name of a variable."""

    text: str
    is_variable: bool = False


class Word(msgspec.Struct, frozen=True):
    """One word. `start` and `end` are places in the line, quotes included."""

    start: int
    end: int
    pieces: tuple[Piece, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables in it."""
        return tuple(piece.text for piece in self.pieces if piece.is_variable)

    def filled(self, values: Mapping[str, str]) -> str:
        """Its text with each variable replaced. Raises UsageError where one has no value."""
        missing = next((name for name in self.variables if name not in values), None)
        if missing is not None:
            raise UsageError(
                f"${missing} has no value", f"set it first with let {missing} = …; '$' in quotes is a dollar"
            )
        return "".join(values[piece.text] if piece.is_variable else piece.text for piece in self.pieces)


def split_words(line: str) -> tuple[Word, ...]:
    """The words of `line`. Raises UsageError on a quote that is not closed."""
    return _Reader(line).words()


class OpenQuote(UsageError):
    """The line ends inside quotes or after a lone backslash."""


class _Reader:
    """Walks a line once. One thread, one use."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0

    def words(self) -> tuple[Word, ...]:
        found: list[Word] = []
        while True:
            self._skip_blanks()
            if self._at >= len(self._line) or self._line[self._at] == "#":
                return tuple(found)
            found.append(self._word())

    def _skip_blanks(self) -> None:
        while self._at < len(self._line) and self._line[self._at] in _BLANKS:
            self._at += 1

    def _word(self) -> Word:
        start = self._at
        pieces: list[Piece] = []
        while self._at < len(self._line) and self._line[self._at] not in _BLANKS:
            mark = self._line[self._at]
            if mark == "'":
                pieces.append(Piece(self._single_quoted()))
            elif mark == '"':
                pieces += self._double_quoted()
            elif mark == "\\":
                pieces.append(Piece(self._escaped()))
            else:
                pieces.append(self._variable() or self._plain())
        return Word(start, self._at, _merged(pieces))

    def _single_quoted(self) -> str:
        end = self._line.find("'", self._at + 1)
        if end < 0:
            raise OpenQuote("a quote (') is not closed", "close it, or write \\' for an apostrophe")
        text = self._line[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double_quoted(self) -> list[Piece]:
        pieces: list[Piece] = [Piece("")]
        self._at += 1
        while self._at < len(self._line):
            mark = self._line[self._at]
            if mark == '"':
                self._at += 1
                return pieces
            if mark == "\\" and self._line[self._at + 1 : self._at + 2] in {'"', "\\", "$"}:
                pieces.append(Piece(self._escaped()))
            else:
                pieces.append(self._variable() or self._plain())
        raise OpenQuote('a quote (") is not closed', 'close it, or write \\" for the sign itself')

    def _escaped(self) -> str:
        if self._at + 1 >= len(self._line):
            raise OpenQuote("the line ends with a lone backslash", "write \\\\ for the sign itself")
        self._at += 2
        return self._line[self._at - 1]

    def _variable(self) -> Piece | None:
        match = _VARIABLE.match(self._line, self._at)
        if match is None:
            return None
        self._at = match.end()
        return Piece(match.group(1) or match.group(2), is_variable=True)

    def _plain(self) -> Piece:
        self._at += 1
        return Piece(self._line[self._at - 1])


def _merged(pieces: list[Piece]) -> tuple[Piece, ...]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and not piece.is_variable and not merged[-1].is_variable:
            merged[-1] = Piece(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    return tuple(merged)
