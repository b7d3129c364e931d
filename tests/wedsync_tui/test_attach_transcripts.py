"""Scripts of tests/scripts through the socket of an engine that runs: the same results, words and exit codes.

What is kept beside the scripts was said by an engine inside the program. Events are left out here: an engine that runs
already has others behind it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.local import LocalEngine
from tests.wedsync_tui import test_transcripts as kept
from wedsync_tui import cli

ANSWER_S = 60.0


@pytest.mark.parametrize("name", kept.NAMES)
def test_script_says_the_same_through_the_socket(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    kept._lay_out(tmp_path, monkeypatch)
    (tmp_path / f"{name}.wed").write_bytes((kept.SCRIPTS / f"{name}.wed").read_bytes())
    engine = LocalEngine.start(tmp_path / "home", kept.PASSPHRASE, streams=3)
    try:
        code = cli.run(["--no-ui", "--script", f"{name}.wed"], {"WEDSYNC_HOME": str(tmp_path / "home")})
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)
    printed = capsysbinary.readouterr()
    said = kept._transcript(code, printed.out.decode(), printed.err.decode(), tmp_path)
    assert _without_events(said) == _without_events((kept.SCRIPTS / f"{name}.txt").read_text())


def _without_events(transcript: str) -> list[str]:
    return [line for line in transcript.splitlines() if not line.startswith('{"type":"event"')]
