"""Shell patterns as git matches them (its wildmatch), translated to regular expressions over bytes. Pure.

A star is never tried again once the rest of its path component cannot use it (atomic groups), so a pattern
made to be slow is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SLASH = ord("/")
_STAR = b"[^/]*"
_ANY_PATH = b".*"  # a trailing or lonely "**"
_ANY_FOLDERS = b"(?:.*/)?"  # "**/"

_CLASSES: dict[bytes, bytes] = {
    b"alnum": rb"[0-9A-Za-z]", b"alpha": rb"[A-Za-z]", b"blank": rb"[ \t]", b"cntrl": rb"[\x00-\x1f\x7f]",
    b"digit": rb"[0-9]", b"graph": rb"[\x21-\x7e]", b"lower": rb"[a-z]", b"print": rb"[\x20-\x7e]",
    b"punct": rb"[!-/:-@\[-`{-~]", b"space": rb"[ \t\n\v\f\r]", b"upper": rb"[A-Z]", b"xdigit": rb"[0-9A-Fa-f]",
}  # fmt: skip


class _Malformed(Exception):
    """A pattern that matches nothing: an open bracket, a lone backslash at the end, an unknown class."""


def compile_glob(pattern: bytes) -> re.Pattern[bytes] | None:
    """`pattern` for `fullmatch` against a path or a name; None when it can match nothing."""
    try:
        components = _components(pattern)
    except _Malformed:
        return None
    return re.compile(b"".join(_joined(tokens) for tokens in components), re.DOTALL)


def _components(pattern: bytes) -> list[list[bytes]]:
    """The tokens of each path component in turn; slashes and "**" are components of their own."""
    components: list[list[bytes]] = [[]]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == ord("*"):
            end = at + len(pattern[at:]) - len(pattern[at:].lstrip(b"*"))
            alone = end - at > 1 and (at == 0 or pattern[at - 1] == _SLASH)
            if alone and end == len(pattern):
                components.append([_ANY_PATH])
            elif alone and pattern[end] == _SLASH:
                components.extend(([_ANY_FOLDERS], []))
                end += 1
            else:
                components[-1].append(_STAR)
            at = end
        elif char == _SLASH:
            components.extend(([b"/"], []))
            at += 1
        else:
            token, at = _one(pattern, at)
            components[-1].append(token)
    return components


def _one(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The token for one character at `at`, and where the next begins."""
    char = pattern[at : at + 1]
    if char == b"?":
        return b"[^/]", at + 1
    if char == b"[":
        return _bracket(pattern, at + 1)
    if char == b"\\":
        at += 1
        char = pattern[at : at + 1]
        if not char:
            raise _Malformed
    return re.escape(char), at + 1


def _joined(tokens: list[bytes]) -> bytes:
    """The expression of one component: every star but the last takes the first place that fits, for good."""
    runs: list[bytes] = [b""]
    for token in tokens:
        if token == _STAR:
            runs.append(b"")
        else:
            runs[-1] += token
    first, middle, last = runs[0], runs[1:-1], runs[-1]
    if len(runs) == 1:
        return first
    return first + b"".join(b"(?>[^/]*?" + run + b")" for run in middle if run) + _STAR + last


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The set of bytes of a bracket whose inside begins at `at`, never with a slash, and where it ends."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    for low, high, end in _ranges(pattern, at):
        at = end
        members.update(range(low, high + 1))
    if negated:
        members = set(range(256)) - members
    members.discard(_SLASH)
    if not members:
        raise _Malformed
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]", at + 1


def _ranges(pattern: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """(lowest, highest, end) of each member of a bracket, up to its closing `]`, which may stand first as itself."""
    previous = -1  # what a range would begin with; -1 after a range or a class
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        inside = _class_name(pattern, at)
        if inside is not None:
            at += len(inside) + 4
            if inside not in _CLASSES:
                raise _Malformed
            yield from ((m[0], m[0], at) for m in re.findall(_CLASSES[inside], bytes(range(256))))
            previous = -1
            continue
        dashed = previous > 0 and pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"]", b"")
        char, at = _plain(pattern, at + dashed)
        yield (previous, char, at) if dashed else (char, char, at)
        previous = -1 if dashed else char


def _plain(pattern: bytes, at: int) -> tuple[int, int]:
    """One character of a bracket, perhaps behind a backslash, and where the next begins."""
    at += pattern[at : at + 1] == b"\\"
    if at >= len(pattern):
        raise _Malformed
    return pattern[at], at + 1


def _class_name(pattern: bytes, at: int) -> bytes | None:
    """`alpha` for `[:alpha:]` at `at`; None when there is no class."""
    if pattern[at : at + 2] != b"[:":
        return None
    end = pattern.find(b"]", at + 2)
    if end < 0:
        raise _Malformed
    inside = pattern[at + 2 : end]
    return inside[:-1] if inside.endswith(b":") else None
