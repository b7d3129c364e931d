"""The small language of `expect`: paths into the last result and the status document, compared with values.

    expectation = any [ "within" SPAN ]        any = all { "or" all }        all = one { "and" one }
    one = "not" one | "(" any ")" | operand [ ( == != < <= > >= contains ) operand ]
    operand = PATH | NUMBER[unit] | "text" | 'text' | $NAME | true | false | none | word

A path begins with a known name (`last`, or a part of the status document) and goes on by `.field`, `[3]`,
or `[smith-jones]`, which finds the row of that name or id; lists know `.count`. On the right of a comparison a
word that is no path is text. Parsing raises UsageError; nothing is ever executed. Pure; any thread.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from engine.base import units
from engine.base.errors import UsageError, WedSyncError
from engine.contract.status import Status

ROOTS: tuple[str, ...] = ("last", *(row.encode_name for row in msgspec.structs.fields(Status)))
DEPTH_MAX = 50  # of parentheses and nots

_SPACE = re.compile(r"\s*")
_RUN = re.compile(r"""(?:\[(?:"[^"]*"|'[^']*'|[^\]]*)\]|[^\s()\[\]=!<>"'$])+""")
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_COMPARISON = re.compile(r"==|!=|<=|>=|<|>|contains\b")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([^\]]*)\]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*(?:\.[0-9]+)?")
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "none": None}
_KEYWORDS = frozenset({"and", "or", "not", "within", "contains"})


class Rows(list[object]):
    """A list of rows that also knows its counts by name, as `jobs.failed`: a document shows 50 rows of many."""

    def __init__(self, rows: Iterable[object], **counts: int) -> None:
        super().__init__(rows)
        self.counts = {"count": len(self), **counts}


class NotThere(WedSyncError):
    """A path leads nowhere in what there is now: it may yet."""


class Value(msgspec.Struct, frozen=True):
    """A value written in the expression. `text` is how it was written, where that was without quotes."""

    value: object
    text: str = ""

    def read(self, facts: Facts) -> object:
        """See `Path.read`."""
        return self.value

    def word(self, facts: Facts) -> str:
        """How it is written: what a text is compared with."""
        return self.text


class Variable(msgspec.Struct, frozen=True):
    """`$NAME`."""

    name: str

    def read(self, facts: Facts) -> object:
        """See `Path.read`; a number where the variable looks like one."""
        return _written(self.word(facts))

    def word(self, facts: Facts) -> str:
        """See `Value.word`."""
        if self.name not in facts.variables:
            raise UsageError(f"${self.name} has no value", f"set it first with let {self.name} = …")
        return facts.variables[self.name]


class Path(msgspec.Struct, frozen=True):
    """`jobs[0].state`: a root and the steps from it."""

    text: str
    root: str
    steps: tuple[str, ...]  # ".name" or "[key]"

    def read(self, facts: Facts) -> object:
        """What stands there. Raises NotThere."""
        if self.root not in facts.roots:
            raise NotThere("there is no result yet", f"{self.text} speaks of the command before")
        value = facts.roots[self.root]
        walked = self.root
        for step in self.steps:
            value = _step(value, step, walked)
            walked += step
        return value


Operand = Value | Variable | Path


class Facts(msgspec.Struct, frozen=True):
    """What an expression speaks of: plain values by root name, and the script's variables."""

    roots: Mapping[str, object]
    variables: Mapping[str, str] = {}


class Comparison(msgspec.Struct, frozen=True):
    """`left == right`; without `sign`, whether `left` is anything."""

    left: Operand
    sign: str = ""
    right: Operand = Value(None)

    def holds(self, facts: Facts) -> bool:
        """Whether it is so. Raises NotThere, and UsageError where the two cannot be compared."""
        left = self.left.read(facts)
        if not self.sign:
            return bool(left)
        right = self.right.read(facts)
        if self.sign in {"==", "!="}:
            if isinstance(left, str) and not isinstance(self.right, Path):
                right = self.right.word(facts) or right  # beside a text, an id of digits is no number
            return _same(left, right) == (self.sign == "==")
        try:
            return _ORDER[self.sign](left, right)
        except TypeError:
            raise UsageError(f"{shown(left)} and {shown(right)} cannot be compared with {self.sign}") from None

    def found(self, facts: Facts) -> str:
        """What stands at the paths, for the message of a failure."""
        paths = [one for one in (self.left, self.right) if isinstance(one, Path)]
        return ", ".join(f"{path.text} is {shown(path.read(facts))}" for path in paths)


class Chain(msgspec.Struct, frozen=True):
    """`all` or `any` of several, or `not` one."""

    word: str  # and | or | not
    members: tuple[Condition, ...]

    def holds(self, facts: Facts) -> bool:
        """See `Comparison.holds`."""
        if self.word == "not":
            return not self.members[0].holds(facts)
        return (all if self.word == "and" else any)(member.holds(facts) for member in self.members)

    def found(self, facts: Facts) -> str:
        """See `Comparison.found`."""
        return ", ".join(filter(None, (member.found(facts) for member in self.members)))


Condition = Comparison | Chain


class Expectation(msgspec.Struct, frozen=True):
    """A parsed `expect` line. `within_s` is how long it may take to come true; 0: it must hold now."""

    text: str
    condition: Condition
    within_s: float = 0.0


def parse_expectation(text: str) -> Expectation:
    """Read the words after `expect`. Raises UsageError."""
    return _Parser(text).expectation()


def parse_operand(text: str) -> Operand:
    """Read one operand and nothing else: the right side of `let`. Raises UsageError."""
    return _Parser(text).only_operand()


def shown(value: object) -> str:
    """A value in a message: short, on one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a record ({', '.join(map(str, value))})"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


# --- reading values -----------------------------------------------------------------------------------


def _step(value: object, step: str, walked: str) -> object:
    key = step[1:] if step[0] == "." else step[1:-1].strip("\"'")
    if isinstance(value, list | tuple):
        return _row(value, step, key, walked)
    if isinstance(value, dict):
        for name in (key, _camel(key)):
            if name in value:
                return value[name]
        near = difflib.get_close_matches(key, [str(name) for name in value], n=1)
        raise NotThere(f"{walked} has no {key}", f"did you mean {near[0]}?" if near else f"it has {', '.join(value)}")
    raise NotThere(f"{walked} is {shown(value)} and has no {key}")


def _row(rows: Sequence[object], step: str, key: str, walked: str) -> object:
    counts = rows.counts if isinstance(rows, Rows) else {"count": len(rows)}
    if step[0] == ".":
        if key in counts:
            return counts[key]
        raise NotThere(f"{walked} has no {key}", f"write {walked}[0].{key}, or one of {', '.join(counts)}")
    if re.fullmatch(r"-?[0-9]{1,9}", key):
        index = int(key)
        if -len(rows) <= index < len(rows):
            return rows[index]
        raise NotThere(f"{walked} has {len(rows)} rows, and so no {step}")
    for row in rows:
        if isinstance(row, dict) and (row.get("name") == key or str(row.get("id", "")).startswith(key)):
            return row
    raise NotThere(f"{walked} has no row named {key}")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _same(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool) or not isinstance(left, int | float):
        return type(left) is type(right) and left == right
    return isinstance(right, int | float) and left == right


def _contains(left: object, right: object) -> bool:
    if isinstance(left, str):
        return str(right) in left
    if isinstance(left, list | tuple):
        return any(_same(member, right) for member in left)
    raise TypeError


_ORDER: dict[str, Callable[..., bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "contains": _contains,
}


def _written(word: str) -> object:
    """A bare word as the value it looks like: a number with its unit, a constant, or text."""
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    number = _NUMBER.match(word)
    if number is None:
        return word
    unit = word[number.end() :]
    plain = number.group().replace("_", "")
    if unit in {"", "%"}:
        value = float(plain) if "." in plain or unit else int(plain)
        return value / 100 if unit else value
    for parse in (units.parse_span, units.parse_bytes):
        try:
            return parse(plain + unit)
        except ValueError:
            continue
    return word


# --- parsing ------------------------------------------------------------------------------------------


class _Parser:
    """Recursive descent over one line. One use."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._at = 0
        self._depth = 0

    def expectation(self) -> Expectation:
        condition = self._chain("or")
        within = 0.0
        if self._word("within"):
            within = self._span()
        self._end()
        return Expectation(self._text, condition, within)

    def only_operand(self) -> Operand:
        operand = self._operand(on_the_right=False)
        self._end()
        return operand

    def _chain(self, word: str) -> Condition:
        members = [self._below(word)]
        while self._word(word):
            members.append(self._below(word))
        return members[0] if len(members) == 1 else Chain(word, tuple(members))

    def _below(self, word: str) -> Condition:
        return self._chain("and") if word == "or" else self._one()

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise UsageError("the expression is nested too deeply")
        try:
            if self._word("not"):
                return Chain("not", (self._one(),))
            if self._take("("):
                inside = self._chain("or")
                if not self._take(")"):
                    raise UsageError(f"a ) is missing{self._place()}")
                return inside
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Comparison:
        left = self._operand(on_the_right=False)
        sign = self._match(_COMPARISON)
        if sign is None:
            return Comparison(left)
        return Comparison(left, sign.group(), self._operand(on_the_right=True))

    def _operand(self, *, on_the_right: bool) -> Operand:
        string = self._match(_STRING)
        if string is not None:
            return Value(string.group()[1:-1])
        variable = self._match(_VARIABLE)
        if variable is not None:
            return Variable(variable.group(1))
        run = self._match(_RUN)
        if run is None or run.group() in _KEYWORDS:
            raise UsageError(f"a value is missing{self._place()}", 'as in expect last.job.state == "done"')
        return self._meant(run.group(), on_the_right=on_the_right)

    def _meant(self, run: str, *, on_the_right: bool) -> Operand:
        root = re.split(r"[.\[]", run, maxsplit=1)[0]
        if root in ROOTS and (run != root or not on_the_right):
            return self._path(run, root)
        value = _written(run)
        if on_the_right or not isinstance(value, str):
            return Value(value, run)
        near = difflib.get_close_matches(root, ROOTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"a path begins with one of {', '.join(ROOTS)}"
        raise UsageError(f'unknown name "{root}"', hint)

    def _path(self, run: str, root: str) -> Path:
        steps: list[str] = []
        at = len(root)
        while at < len(run):
            step = _STEP.match(run, at)
            if step is None:
                raise UsageError(f'"{run}" is not a path', "write it like jobs[0].state or weddings[smith-jones].date")
            steps.append(step.group())
            at = step.end()
        return Path(run, root, tuple(steps))

    def _span(self) -> float:
        run = self._match(_RUN)
        try:
            return units.parse_span(run.group() if run else "")
        except ValueError as problem:
            raise UsageError(f"within: {problem}") from None

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        space = _SPACE.match(self._text, self._at)
        start = space.end() if space else self._at
        match = pattern.match(self._text, start)
        if match is not None:
            self._at = match.end()
        return match

    def _word(self, word: str) -> bool:
        return self._match(re.compile(rf"{word}(?![\w.\[])")) is not None

    def _take(self, sign: str) -> bool:
        return self._match(re.compile(re.escape(sign))) is not None

    def _end(self) -> None:
        if self._text[self._at :].strip():
            raise UsageError(f"this is not understood{self._place()}", "join comparisons with and, or, not")

    def _place(self) -> str:
        rest = self._text[self._at :].strip()
        return f' at "{rest[:40]}"' if rest else " at the end"
