"""What a backup leaves out: patterns as in .gitignore, from the request and from `.wedsyncignore` files.

Patterns of the request count below each source and win over those of files; the ignore file of a folder counts
below it and wins over those above; in one list the last pattern that matches decides. Names are bytes. Pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

import msgspec

from engine.pipeline.globs import compile_glob

IGNORE_FILE = b".wedsyncignore"
IGNORE_FILE_BYTES_MAX = 1 << 20


class _Rule(msgspec.Struct, frozen=True):
    """One pattern, compiled."""

    expression: re.Pattern[bytes]
    excluding: bool  # False: it begins with "!"
    folders_only: bool  # it ends with "/"
    by_path: bool  # it has a "/" before that: matched from the folder of its list, else against the name alone


class _RuleList(msgspec.Struct, frozen=True):
    """The rules of one origin, and the way from its folder to the present one (empty, or ending in "/")."""

    rules: tuple[_Rule, ...]
    way: bytes

    def verdict(self, name: bytes, is_folder: bool) -> bool | None:
        """True: left out; False: kept by a "!"; None: no rule says anything."""
        for rule in reversed(self.rules):
            if (is_folder or not rule.folders_only) and rule.expression.fullmatch(
                self.way + name if rule.by_path else name
            ):
                return rule.excluding
        return None


class Excludes:
    """The patterns in force inside one folder; made for a source, then handed down. Immutable."""

    __slots__ = ("_files", "_request")

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """The patterns of a request, inside a source folder. An invalid pattern matches nothing, as in git."""
        self._request = _RuleList(_rules(map(os.fsencode, patterns)), b"")
        self._files: tuple[_RuleList, ...] = ()  # the deepest folder's first

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left out."""
        return not self._request.rules and not self._files

    def excludes(self, name: bytes, *, is_folder: bool) -> bool:
        """Is `name` in this folder left out?"""
        for rules in (self._request, *self._files):
            verdict = rules.verdict(name, is_folder)
            if verdict is not None:
                return verdict
        return False

    def below(self, name: bytes) -> Excludes:
        """What is in force inside the folder `name`, before its own ignore file."""
        if self.is_empty:
            return self
        return self._with(
            _RuleList(self._request.rules, self._request.way + name + b"/"),
            tuple(_RuleList(rules.rules, rules.way + name + b"/") for rules in self._files),
        )

    def with_ignore_file(self, text: bytes) -> Excludes:
        """The same folder, with the contents of its ignore file."""
        rules = _rules(text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n"))
        return self._with(self._request, (_RuleList(rules, b""), *self._files)) if rules else self

    def _with(self, request: _RuleList, files: tuple[_RuleList, ...]) -> Excludes:
        made = Excludes()
        made._request = request
        made._files = files
        return made


def _rules(lines: Iterable[bytes]) -> tuple[_Rule, ...]:
    return tuple(rule for line in lines if (rule := _rule(line)) is not None)


def _rule(line: bytes) -> _Rule | None:
    """One line of a list; None for a comment, and for what can match nothing."""
    pattern = _without_trailing_spaces(line)
    if not pattern or pattern.startswith(b"#"):
        return None
    excluding = not pattern.startswith(b"!")
    pattern = pattern if excluding else pattern[1:]
    folders_only = pattern.endswith(b"/")
    pattern = pattern[:-1] if folders_only else pattern
    by_path = b"/" in pattern
    expression = compile_glob(pattern.removeprefix(b"/"))
    return None if expression is None else _Rule(expression, excluding, folders_only, by_path)


def _without_trailing_spaces(line: bytes) -> bytes:
    """Spaces at the end do not count, unless a backslash stands before them."""
    stripped = line.rstrip(b" ")
    backslashes = len(stripped) - len(stripped.rstrip(b"\\"))
    return stripped + b" " if backslashes % 2 and len(stripped) < len(line) else stripped
