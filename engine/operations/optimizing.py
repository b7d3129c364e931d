"""optimize: settings of this machine, tried in turns on a sample, kept where they are better beyond noise.

Engine loop; each run on the executor, one at a time, in a scratch folder that is gone afterwards. What was changed is
remembered, and with `--auto` tried again first, and taken back if it has become worse.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import get_args

import msgspec

from engine.base.errors import UsageError
from engine.base.units import format_count, parse_bytes, parse_span
from engine.contract import operations as ops
from engine.contract.settings import EngineSettings
from engine.contract.tuning import Optimize, OptimizeReport, TrialRow
from engine.operations.administration import configure
from engine.operations.context import Engine, Handler
from engine.operations.keeping import TuningDocument
from engine.operations.streams import default_streams
from engine.pipeline.trial import Trial, run_trial, take_sample
from engine.scaling.tuning import PAIRS, Knob, Run, Verdict, candidates, is_hopeless, judged

KNOBS: tuple[Knob, ...] = get_args(Knob)
_RESTORES: frozenset[Knob] = frozenset({"engine.read_ahead"})  # measured by the restore; the others by the backup


async def optimize(engine: Engine, operation: Optimize) -> OptimizeReport:
    """See `tuning.Optimize`. Raises UsageError, LimitReached; then nothing was changed."""
    try:
        size_bytes, within_s = parse_bytes(operation.size), parse_span(operation.within)
    except ValueError as error:
        raise UsageError(str(error)) from None
    sources = tuple(map(os.fsencode, operation.sources)) or _known_sources(engine)
    if not sources:
        raise UsageError("no wedding has a source to take a sample of", "give --from a folder with photographs")
    above = Path(operation.to) if operation.to else engine.home.path
    root = above / f"optimize-{engine.entropy.token(8).hex()}"
    tuner = _Tuner(engine, operation, root)
    if tuner.is_disturbed():
        words = f"{format_count(engine.dispatcher.running_count, 'job')} at work: nothing was measured"
        return OptimizeReport(sample_bytes=0, trials=(), changed=0, left_out=0, warnings=(words,))
    chance = random.Random(int.from_bytes(engine.entropy.token(8), "big"))
    try:
        taken = await engine.offload.run(
            "optimize", lambda: take_sample(sources, root / "sample", size_bytes=size_bytes, chance=chance)
        )
        await tuner.run(until_s=engine.clock.monotonic_s() + within_s)
    finally:
        await engine.offload.run("optimize", lambda: shutil.rmtree(root, ignore_errors=True))
    return OptimizeReport(
        sample_bytes=taken,
        trials=tuple(tuner.rows),
        changed=sum(row.kept for row in tuner.rows),
        left_out=tuner.left_out,
        warnings=("a job came, so the rest was not measured",) if tuner.was_disturbed else (),
    )


class _Tuner:
    """Goes through the settings."""

    def __init__(self, engine: Engine, operation: Optimize, root: Path) -> None:
        self._engine = engine
        self._operation = operation
        self._root = root
        self._settings = msgspec.structs.replace(
            engine.settings.engine, streams=engine.settings.engine.streams or default_streams()
        )
        self.rows: list[TrialRow] = []
        self.left_out = 0
        self.was_disturbed = False

    async def run(self, *, until_s: float) -> None:
        """Try what there is to try, as long as there is time."""
        await self._measured(self._settings)  # the first run of all is never like the others
        if self._operation.auto:
            for knob, document in self._engine.kept.tunings.items():
                if knob in KNOBS and self._value(knob) == document.after and self._has_time(until_s):
                    await self._take_back(knob, document)
        for knob in KNOBS:
            for value in candidates(knob, self._value(knob), len(os.sched_getaffinity(0))):
                if not self._has_time(until_s):
                    self.left_out += 1
                elif await self._try(knob, value):
                    break

    def is_disturbed(self) -> bool:
        """Whether jobs are at work, where that is a reason to leave it."""
        return self._operation.auto and self._engine.dispatcher.running_count > 0

    def _has_time(self, until_s: float) -> bool:
        self.was_disturbed = self.was_disturbed or self.is_disturbed()
        return not self.was_disturbed and self._engine.clock.monotonic_s() < until_s

    async def _try(self, knob: Knob, value: str) -> bool:
        """Measure `value` against what is set; whether it was kept."""
        before = self._value(knob)
        pairs = await self._pairs(knob, value)
        verdict = judged(pairs)
        self._note(knob, (before, value), pairs, verdict)
        if not verdict.is_better or self._operation.dry_run:
            return False
        await self._set(knob, value)
        document = TuningDocument(before, value, verdict.gain, self._engine.clock.now_ns())
        self._engine.kept.tunings.put(knob, document)
        return True

    async def _take_back(self, knob: Knob, document: TuningDocument) -> None:
        """Measure an earlier change again: against what it took the place of."""
        pairs = await self._pairs(knob, document.before)
        verdict = judged(pairs)
        self._note(knob, (document.after, document.before), pairs, verdict)
        if verdict.is_better and not self._operation.dry_run:
            await self._set(knob, document.before)
            self._engine.kept.tunings.remove(knob)

    async def _pairs(self, knob: Knob, value: str) -> list[tuple[Run, Run]]:
        """Runs in turns, with what is set and with `value`; no more of them once it cannot be better."""
        changed = _with(self._settings, knob, value)
        pairs: list[tuple[Run, Run]] = []
        while len(pairs) < PAIRS and not is_hopeless(pairs) and not self.is_disturbed():
            before = _run_of(knob, await self._measured(self._settings))
            pairs.append((before, _run_of(knob, await self._measured(changed))))
        return pairs

    async def _measured(self, settings: EngineSettings) -> Trial:
        engine = self._engine
        return await engine.offload.run(
            "optimize",
            lambda: run_trial(self._root / "sample", self._root, settings, clock=engine.clock, entropy=engine.entropy),
        )

    async def _set(self, knob: Knob, value: str) -> None:
        self._settings = _with(self._settings, knob, value)
        await configure(self._engine, ops.Configure(key=knob, value=value))

    def _note(self, knob: Knob, change: tuple[str, str], pairs: Iterable[tuple[Run, Run]], verdict: Verdict) -> None:
        before, after = zip(*pairs, strict=True)
        row = TrialRow(
            setting=knob,
            before=change[0],
            after=change[1],
            kept=verdict.is_better and not self._operation.dry_run,
            before_s=median(run.seconds for run in before),
            after_s=median(run.seconds for run in after),
            message=verdict.words,
        )
        self.rows.append(row)
        self._engine.events.announce("settings-tried", f"{knob} {change[0]} → {change[1]}: {verdict.words}")

    def _value(self, knob: Knob) -> str:
        return str(getattr(self._settings, knob.removeprefix("engine.")))


# --- pure ---------------------------------------------------------------------------------------------


def _with(settings: EngineSettings, knob: Knob, value: str) -> EngineSettings:
    name = knob.removeprefix("engine.")
    changed: object = int(value) if name in ("streams", "compression_level") else value
    return msgspec.structs.replace(settings, **{name: changed})


def _run_of(knob: Knob, trial: Trial) -> Run:
    return Run(trial.restore_s if knob in _RESTORES else trial.backup_s, trial.stored_bytes)


def _known_sources(engine: Engine) -> tuple[bytes, ...]:
    return tuple(path for wedding in engine.facts.weddings[:50] for path in engine.kept.sources_of(wedding.id))


HANDLERS: dict[str, Handler] = {"optimize": optimize}
