"""What every measurement with targets prints and returns: a line a figure, a file of them, exit code 1 on a miss."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Report:
    """Targets, what was measured, and whether all were met."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, target: float | None, measured: float, unit: str, *, at_least: bool = False) -> None:
        """One figure; without a target it is only told. `at_least`: less than the target misses it, else more."""
        met = target is None or (measured >= target if at_least else measured <= target)
        load = os.getloadavg()[0]
        row = {"name": name, "target": target, "measured": measured, "unit": unit, "met": met, "load": load}
        self.rows.append(row)
        wanted = "" if target is None else f"{'≥' if at_least else '≤'} {target:g} {unit}"
        verdict = "" if target is None else "met" if met else "MISSED"
        self.say(f"{name:<58} {wanted:>12} {measured:>12.2f} {unit:<6} {verdict:<6} load {load:.1f}")

    def say(self, sentence: str) -> None:
        """What is no figure."""
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    @property
    def is_met(self) -> bool:
        """Whether no target was missed."""
        return all(row["met"] for row in self.rows)


Measure = Callable[[Path, Report], None]


def at_share(values: Iterable[float], share: float) -> float:
    """A percentile of `values`."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def parser_of(
    program: str, document: str | None, *, short: str, measures: Iterable[str] = ()
) -> argparse.ArgumentParser:
    """The options that all have: the folder, --short, --json, and --only where there are several measures."""
    parser = argparse.ArgumentParser(prog=program, description=(document or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--short", action="store_true", help=short)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    if measures:
        parser.add_argument("--only", nargs="+", choices=list(measures), default=list(measures))
    return parser


def carry_out(options: argparse.Namespace, measures: Mapping[str, Measure]) -> int:
    """Carry out those that are wanted, each in a folder of its own that is removed; the exit code."""
    report, load = Report(), os.getloadavg()[0]
    report.say(f"{os.cpu_count()} cores, load {load:.1f} before the first measurement")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in getattr(options, "only", measures):
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=f"{name}-") as folder:
            measures[name](Path(folder).resolve(), report)
        if options.json:  # after each, so that a run that is stopped leaves what it has
            options.json.write_text(json.dumps({"load_before": load, "rows": report.rows}, indent=2) + "\n")
    return 0 if report.is_met else 1
