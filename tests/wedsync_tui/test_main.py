"""A signal while the program is still being imported: one line, and the exit code of what was interrupted.

Real processes. `sitecustomize`, which Python runs first of all, has the process send itself the signal at one import.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.wedsync_tui.processes import PROGRAM, ROOT

_STRIKES = """
import os, sys

class Striker:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Striker())
"""


def _struck(folder: Path, module: str, number: int, *before: str) -> subprocess.CompletedProcess[str]:
    """`wedsync-tui --version`, sent a signal when it imports `module`."""
    (folder / "sitecustomize.py").write_text(_STRIKES.format(module=module, number=int(number)))
    environment = os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"}
    return subprocess.run(
        [*before, *PROGRAM, "--version"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("module", ["wedsync_tui.cli", "msgspec", "wedsync_tui.script", "wedsync_tui.help"])
def test_a_signal_during_the_imports_is_one_line(tmp_path: Path, module: str, number: signal.Signals) -> None:
    """At the first import, in the midst of a library's, near the end, and at one that comes when it is needed."""
    process = _struck(tmp_path, module, number)
    assert (process.returncode, process.stdout, process.stderr) == (1, "", "wedsync-tui: interrupted\n")


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As after nohup."""
    process = _struck(tmp_path, "msgspec", signal.SIGHUP, "nohup")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("wedsync-tui ")
