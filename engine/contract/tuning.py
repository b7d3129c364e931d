"""Tuning of this machine by measuring: arguments and answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.contract.operations import Operation, Result, _words


class Optimize(Operation, frozen=True, kw_only=True):
    """Try settings next to those in force on a sample, in turns, and keep what is better beyond noise.

    Streams, compression level, unit, pack size and read-ahead, one after the other. It takes minutes, and the disk and
    cores while it measures.
    """

    sources: Annotated[
        tuple[str, ...],
        _words("folders to take the sample of (default: sources of weddings)", title="PATH", flag="--from", path=True),
    ] = ()
    to: Annotated[
        str,
        _words("where the scratch folder is made (default: the home)", title="DIR", path=True),
    ] = ""
    size: Annotated[str, _words("how large the sample is", title="SIZE")] = "256MB"
    within: Annotated[str, _words("begin no trial after so long", title="SPAN")] = "10m"
    dry_run: Annotated[bool, _words("measure, and change nothing")] = False
    auto: Annotated[
        bool,
        _words("only while no job is at work, stop as soon as one comes, and take back what has become worse"),
    ] = False


class TrialRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One setting that was tried."""

    setting: str
    before: str
    after: str
    kept: bool
    before_s: float  # the middle run, seconds
    after_s: float
    message: str


class OptimizeReport(Result, frozen=True, kw_only=True):
    """What was tried and what it came to."""

    sample_bytes: int
    trials: tuple[TrialRow, ...]
    changed: int
    left_out: int  # candidates that there was no time for
