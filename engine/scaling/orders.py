"""What an engine and its nodes tell each other: ids, counters, the words of an operation; never a byte of a photograph,
never a key. Pure.

It all travels as JSON, through the scheduler. A node that is of another version, or opens another repository, says so
in its facts and is given nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.base import shapes
from engine.contract.cluster import NodeRow
from engine.contract.weddings import JobClass

End = Literal["done", "failed", "stopped"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One job for a node. `is_again`: it was begun before, here or elsewhere, and may have committed."""

    job_id: str
    operation: str  # by its name in the API
    arguments: str  # of the operation, as the journal keeps them
    wedding_id: str
    priority: JobClass
    is_again: bool = False


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is."""

    files_done: int = 0
    files_total: int | None = None
    bytes_read: int = 0
    bytes_total: int | None = None
    bytes_expected: int | None = None
    bytes_stored: int = 0
    bytes_reused: int = 0
    files_unchanged: int = 0
    warnings: int = 0
    units: int = 0
    has_sealed: bool = False  # its first byte is sealed


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended on a node. `failed`: `code`, `message` and `hint` are of the error. Warnings: in the snapshot."""

    end: End
    tally: Tally = Tally()
    code: str = ""
    message: str = ""
    hint: str = ""


class NodeWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself with each heartbeat. `row.state` is `draining` once it takes nothing new."""

    row: NodeRow
    version: str
    repository: str = ""  # its id; empty while it is not open
    tallies: dict[str, Tally] = {}  # of the jobs that it has at work, by id


def to_json(value: Order | Report | NodeWord) -> str:
    """As it travels."""
    return msgspec.json.encode(value).decode()


def order_of(text: str) -> Order:
    """What `to_json` made of an order."""
    return shapes.from_json(text.encode(), Order)


def report_of(text: str) -> Report:
    """What `to_json` made of a report."""
    return shapes.from_json(text.encode(), Report)


def word_of(text: str) -> NodeWord:
    """What `to_json` made of a node's word."""
    return shapes.from_json(text.encode(), NodeWord)
