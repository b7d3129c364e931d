"""No two writers both believe that they created a name: every order of steps and failures, tried out."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from engine.storage import agreement
from engine.storage.agreement import Answer, Ask, Reply, Votes

WRITERS = (b"A", b"B", b"C")


class Voters:
    """Some regions' view of one name: each lets the first put through."""

    def __init__(self, count: int) -> None:
        self.held: list[bytes | None] = [None] * count

    def answer(self, ask: Ask, failure: str) -> Answer:
        """Carry out an ask; `failure`: "" for none, "before" or "after" the work was done."""
        if failure == "before":
            return Reply.FAILED
        held = self.held[ask.voter]
        if ask.data is None:
            answer: Answer = Reply.ABSENT if held is None else held
        elif held is None:
            self.held[ask.voter], answer = ask.data, Reply.CREATED
        else:
            answer = Reply.TAKEN
        return Reply.FAILED if failure == "after" else answer


class Writer:
    """One writer on its way."""

    def __init__(self, data: bytes, votes: Votes) -> None:
        self.data = data
        self.votes = votes
        self.ask: Ask | None = next(votes)
        self.outcome: bytes | Reply | None = None

    def step(self, voters: Voters, failure: str) -> None:
        assert self.ask is not None
        try:
            self.ask = self.votes.send(voters.answer(self.ask, failure))
        except StopIteration as ended:
            self.ask, self.outcome = None, ended.value


def check(voters: Voters, writers: list[Writer]) -> None:
    """Whatever anybody was told is the same, and a majority holds it."""
    count = len(voters.held)
    told = {writer.outcome for writer in writers if isinstance(writer.outcome, bytes)}
    assert len(told) <= 1
    for value in told:
        assert voters.held.count(value) >= agreement.majority_of(count)


@pytest.mark.parametrize("count", [1, 3])
def test_every_order_of_two_writers_without_failures_has_one_winner(count: int) -> None:
    for order in itertools.product((0, 1), repeat=8):
        voters = Voters(count)
        writers = [Writer(data, agreement.create(data, count)) for data in WRITERS[:2]]
        for at in (*order, *([0, 1] * 12)):
            if writers[at].ask is not None:
                writers[at].step(voters, "")
            check(voters, writers)
        assert all(writer.outcome is not None for writer in writers)
        assert sum(writer.outcome == writer.data for writer in writers) == 1


def test_no_order_and_no_failures_let_two_writers_believe_they_created_a_name() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(20_000):
        chance = random.Random(seed)
        voters = Voters(3)
        rate = chance.choice((0.0, 0.2, 0.5))
        gone = {chance.randrange(3) for _ in range(chance.randrange(3))}
        writers = [Writer(data, agreement.create(data, 3)) for data in WRITERS[: chance.choice((2, 3))]]
        cut_off = {id(writer): {at for at in gone if chance.random() < 0.7} for writer in writers}
        while under_way := [writer for writer in writers if writer.ask is not None]:
            writer = chance.choice(under_way)
            assert writer.ask is not None
            if chance.random() < 0.02:
                writer.ask = None  # killed where it stood
                continue
            if writer.ask.voter in cut_off[id(writer)] or chance.random() < rate:
                writer.step(voters, chance.choice(("before", "after")))
            else:
                writer.step(voters, "")
            check(voters, writers)
        winners = sum(writer.outcome == writer.data for writer in writers)
        outcomes[f"{winners} won, {len(writers) - winners} did not"] += 1
        assert winners <= 1
        survivor = Writer(b"later", agreement.create(b"later", 3))  # all is well again: whoever comes learns the same
        while survivor.ask is not None:
            survivor.step(voters, "")
        check(voters, [*writers, survivor])
        assert isinstance(survivor.outcome, bytes)
    assert len(outcomes) >= 3, outcomes


def test_a_writer_that_cannot_reach_a_majority_leaves_nothing_where_it_would_count_last() -> None:
    voters = Voters(3)
    writer = Writer(b"A", agreement.create(b"A", 3))
    while writer.ask is not None:
        writer.step(voters, "before" if writer.ask.voter < 2 else "")
    assert writer.outcome is None
    assert voters.held == [None, None, None]
