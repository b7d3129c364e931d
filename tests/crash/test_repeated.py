"""A command that is interrupted and then repeated, other arguments and all: the job that the journal goes on with and
the repeated one do not meet. Real processes; a limit makes the first one long enough to be stopped in the middle.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.units import MIB
from tests.engine.homes import PASSPHRASE
from tests.trees import build, describe, file
from tests.wedsync_tui.processes import begun, end_what_is_left, ended, eventually, furnished, run, watching

FILES, FILE_BYTES = 24, MIB


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """With two dozen photographs beside it that nothing can make smaller."""
    chance = random.Random(1)
    made = furnished(tmp_path)
    build(tmp_path / "cards", {b"%02d.raw" % at: file(chance.randbytes(FILE_BYTES)) for at in range(FILES)})
    yield made
    end_what_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_retrieval_that_is_repeated_meets_nothing_of_its_own(home: Path, number: signal.Signals) -> None:
    """No warning, and the tree is whole, the times of its folders too."""
    source, back = home.parent / "cards", home.parent / "back"
    assert run(home, "-c", f"backup smith-jones --from {source} --wait", WEDSYNC_PASSPHRASE=PASSPHRASE).code == 0
    retrieval = f"retrieve smith-jones --to {back} --strip-prefix {source}"
    process = begun(home, "-c", retrieval, WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert eventually(lambda: back.is_dir() and any(back.iterdir()))
    process.send_signal(number)
    assert ended(process).code == (1 if number == signal.SIGTERM else -number)
    assert describe(back) != describe(source)
    repeated = run(home, "-c", f"{retrieval} --overwrite changed", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert (repeated.code, repeated.results[0]["warnings"]) == (0, [])
    assert describe(back) == describe(source)


def test_a_backup_that_is_repeated_stores_nothing_again(home: Path) -> None:
    """Whatever else it is given: another class, a tag."""
    backup = f"backup smith-jones --from {home.parent}/cards --wait"
    process = begun(home, "-c", backup, WEDSYNC_PASSPHRASE=PASSPHRASE)
    with watching(home) as watch:
        watch.until_reading()
    process.send_signal(signal.SIGTERM)
    assert ended(process).code == 1
    repeated = run(home, "-c", f"{backup} --priority same-day --tag again", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert (repeated.code, repeated.results[0]["job"]["bytesStored"]) == (0, 0)
    stored = sum(path.stat().st_size for path in (home / "repository").rglob("*") if path.is_file())
    assert stored < FILES * FILE_BYTES * 1.1
