"""`node` and `scheduler` on the command line: what is asked for, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from wedsync_tui import cli

TLS = ["--tls-ca=/none/ca.pem", "--tls-certificate=/none/me.pem", "--tls-key=/none/me.key"]
LOOPBACK = "--scheduler=tcp://127.0.0.1:1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["node"], "a node needs its scheduler"),
        (["node", "--scheduler=tcp://10.0.0.1:8786"], "without TLS"),
        (["node", "--scheduler=tls://10.0.0.1:8786"], "three files"),
        (["node", "--scheduler=tls://10.0.0.1:8786", *TLS], "/none/ca.pem"),
        (["node", LOOPBACK, "--class=cheap"], "--class: cheap is none"),
        (["node", LOOPBACK, "--slots=9999"], "256 is the most"),
        (["node", LOOPBACK, "--source-root=photos"], "no absolute path"),
        (["node", LOOPBACK, "--name=a/b"], "no name of a node"),
        (["node", LOOPBACK, "--regoin=york"], "--region"),
        (["scheduler"], "a scheduler needs an address"),
        (["scheduler", "--listen=tcp://0.0.0.0:8786"], "without TLS"),
    ],
)
def test_a_mistake_is_one_line_and_begins_nothing(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert cli.run(["--home", str(home), *words], {"WEDSYNC_PASSPHRASE": "correct-horse"}) in (1, 2)
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert not home.exists()


@pytest.mark.parametrize(("verb", "flag"), [("node", "--source-root"), ("scheduler", "--listen")])
def test_help_lists_the_options(verb: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([verb, "--help"], {}) == 0
    assert flag in capsys.readouterr().out
