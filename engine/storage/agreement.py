"""Who may say that a name is his, when several stores hold it: the rules by which regions agree on one object. Pure.

A name that is chosen (a snapshot, a number of the register) has *voters*: the first three regions of a fixed order,
or the first alone where there are fewer than three. Each voter lets only the first put through. A name is agreed once
more than half of its voters hold the same bytes, and nobody believes it before. A writer asks them in order and gives
up when so many are out of reach that no majority is left; so the first voter decides every race while it can be
reached, the second when it cannot. Whoever finds a name taken first helps what is there to its majority, so that
"taken" is agreed, too. With three voters and at most one passed over no three values can stand beside each other, so
one always wins.

The generators yield what is to be asked of which voter and are sent what came of it; who drives them has the stores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from enum import Enum

import msgspec

VOTERS_MAX = 3
_ROUNDS_MAX = 8  # of settling, while others delete and put beside us


class Ask(msgspec.Struct, frozen=True):
    """Put `data` at a voter if the name is free there, or (None) tell what it holds."""

    voter: int
    data: bytes | None = None


class Reply(Enum):
    """What a voter answers, where it is no bytes."""

    CREATED = "created"
    TAKEN = "taken"
    ABSENT = "absent"
    FAILED = "failed"  # it may have been done all the same


Answer = Reply | bytes
Votes = Generator[Ask, Answer, "bytes | Reply | None"]


def voters_of(count: int) -> int:
    """How many of `count` regions vote: an odd number, so that half of them is no majority."""
    return VOTERS_MAX if count >= VOTERS_MAX else 1


def majority_of(voters: int) -> int:
    """More than half."""
    return voters // 2 + 1


def agreed(answers: Sequence[Answer], voters: int) -> bytes | None:
    """The bytes that a majority holds, if one does."""
    held = Counter(answer for answer in answers if isinstance(answer, bytes))
    for data, count in held.items():
        if count >= majority_of(voters):
            return data
    return None


def create(data: bytes, voters: int) -> Votes:
    """Create a name; returns the bytes agreed on, `data` or another's.

    TAKEN: something else stands in its way, as a folder of that name. None: too few voters can be reached.
    """
    held = passed_over = 0
    for voter in range(voters):
        answer = yield Ask(voter, data)
        if answer is Reply.TAKEN:
            answer = yield Ask(voter)
            if answer is Reply.ABSENT:
                return Reply.TAKEN
            if isinstance(answer, bytes) and answer != data:
                return (yield from settle(voters))
        if answer is Reply.CREATED or answer == data:
            held += 1
        else:
            passed_over += 1
        if held == majority_of(voters):
            return data
        if passed_over > voters - majority_of(voters):
            return None
    return None


def settle(voters: int) -> Votes:
    """Help what is there to its majority; returns it. None: too few voters can be reached, or nothing is there."""
    for _ in range(_ROUNDS_MAX):
        answers: list[Answer] = []
        for voter in range(voters):
            answers.append((yield Ask(voter)))
        found = agreed(answers, voters)
        first = next((answer for answer in answers if isinstance(answer, bytes)), None)
        if found is not None or first is None:
            return found
        if answers.count(Reply.FAILED) > voters - majority_of(voters) or Reply.ABSENT not in answers:
            return None
        yield Ask(answers.index(Reply.ABSENT), first)
    return None
