"""Settings are tried on a real scratch repository; what is said to be kept is set, and nothing is left behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.base.errors import NotFound, UsageError
from engine.contract import operations as ops
from engine.contract.settings import EngineSettings
from engine.contract.tuning import Optimize, OptimizeReport
from engine.local import LocalEngine
from engine.operations import optimizing
from engine.operations.keeping import TuningDocument
from engine.pipeline.trial import Trial, run_trial
from tests.engine.homes import PASSPHRASE
from tests.engine.operations.conftest import ANSWER_S


def photographs(folder: Path, count: int = 20) -> Path:
    """A megabyte each, of noise."""
    folder.mkdir()
    chance = random.Random(7)
    for number in range(count):
        (folder / f"{number}.raw").write_bytes(chance.randbytes(1_000_000))
    return folder


@pytest.mark.parametrize("settings", [{}, {"unit": "4MiB", "pack": "16MiB", "read_ahead": "32MiB"}])
def test_a_trial_stores_and_restores_the_sample_whole_with_any_setting(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    sample = photographs(tmp_path / "sample")
    tried = EngineSettings(streams=2, **settings)  # type: ignore[arg-type]
    found = run_trial(sample, tmp_path, tried, clock=SystemClock(), entropy=SystemEntropy())
    assert 20_000_000 <= found.stored_bytes < 20_300_000
    assert min(found.backup_s, found.restore_s) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_what_is_kept_is_set_and_the_scratch_folder_is_gone(tmp_path: Path) -> None:
    source = photographs(tmp_path / "photos")
    engine = LocalEngine.start(tmp_path / "home", PASSPHRASE)
    try:
        found = engine.call(Optimize(sources=(str(source),), within="1ms")).result(ANSWER_S)
        assert isinstance(found, OptimizeReport)
        assert (found.trials, found.changed) == ((), 0)
        assert found.left_out >= 6
        found = engine.call(Optimize(sources=(str(source),), within="1s", auto=True)).result(ANSWER_S)
        assert isinstance(found, OptimizeReport)
        assert found.trials
        rows = engine.call(ops.ReadConfiguration(key="engine.streams")).result(ANSWER_S)
        assert isinstance(rows, ops.Configuration)
        kept = [row.after for row in found.trials if row.kept and row.setting == "engine.streams"]
        assert rows.settings[0].value == (kept[-1] if kept else "unset")
        assert not [path for path in (tmp_path / "home").iterdir() if path.name.startswith("optimize")]
        with pytest.raises(UsageError, match="too little to measure with"):
            engine.call(Optimize(sources=(str(tmp_path / "home" / "logs"),))).result(ANSWER_S)
        with pytest.raises(NotFound, match="gone is no folder"):
            engine.call(Optimize(sources=(str(tmp_path / "gone"),))).result(ANSWER_S)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_in_idle_windows_a_change_that_has_become_worse_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, slow = photographs(tmp_path / "photos"), {"engine.pack": "64MiB"}

    def trial(*arguments: object, **_: object) -> Trial:
        settings = next(each for each in arguments if isinstance(each, EngineSettings))
        return Trial(2.0 if settings.pack == slow["engine.pack"] else 1.0, 1.0, 100)

    monkeypatch.setattr(optimizing, "run_trial", trial)
    engine = LocalEngine.start(tmp_path / "home", PASSPHRASE)
    try:
        engine.call(ops.Configure(key="engine.pack", value="64MiB")).result(ANSWER_S)
        tunings = engine._life._engine.kept.tunings
        tunings.put("engine.pack", TuningDocument("32MiB", "64MiB", 1.2, 1))
        found = engine.call(Optimize(sources=(str(source),), auto=True)).result(ANSWER_S)
        assert isinstance(found, OptimizeReport)
        assert [(row.setting, row.before, row.after) for row in found.trials if row.kept] == [
            ("engine.pack", "64MiB", "32MiB")
        ]
        assert engine.call(ops.ReadConfiguration(key="engine.pack")).result(ANSWER_S).settings[0].value == "32MiB"  # type: ignore[attr-defined]
        assert tunings.get("engine.pack") is None
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)
