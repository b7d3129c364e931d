"""Whether all is ready for the weddings ahead: arguments and answer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, _words


class CheckReadiness(Operation, frozen=True, kw_only=True):
    """Is everything ready for the next weddings? Capacity, space, copies, drill, sources, alerts; go or no-go."""

    day: Annotated[
        str, _words("a day, as 2026-06-20 (default: the next with a wedding)", title="DATE", positional=True)
    ] = ""


class ReadinessRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One check."""

    check: str
    verdict: Literal["ok", "warning", "stop"]
    message: str


class ReadinessReport(Result, frozen=True, kw_only=True):
    """The checks, and one line."""

    day: str
    go: bool
    line: str
    frozen_until: str  # while prune and migration wait for the weddings to be over; empty while they do not
    checks: tuple[ReadinessRow, ...]
