"""Where a passphrase comes from, and that it is seen nowhere."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from engine.base.errors import UsageError
from wedsync_tui.passphrase import Passphrase


def test_passphrase_of_the_environment_is_taken_out_of_it() -> None:
    environment = {"WEDSYNC_PASSPHRASE": "correct horse", "WEDSYNC_PASSPHRASE_FILE": "/x", "OTHER": "1"}
    passphrase = Passphrase(environment)
    assert passphrase() == "correct horse"
    assert environment == {"OTHER": "1"}


def test_first_line_of_a_file_is_the_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes("wörd \r\nsecond\n".encode())
    assert Passphrase({"WEDSYNC_PASSPHRASE_FILE": str(file)})() == "wörd "
    assert Passphrase({"WEDSYNC_PASSPHRASE": "other"}, file=file)() == "wörd "


def test_first_line_of_a_command_is_the_passphrase() -> None:
    command = shlex.join([sys.executable, "-c", "print('from a manager'); print('x')"])
    assert Passphrase({"WEDSYNC_PASSPHRASE_COMMAND": command})() == "from a manager"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WEDSYNC_PASSPHRASE_FILE": "/nowhere"}, "the passphrase file /nowhere cannot be read: No such file"),
        ({"WEDSYNC_PASSPHRASE_FILE": "/dev/null"}, "the file WEDSYNC_PASSPHRASE_FILE names gives no passphrase"),
        ({"WEDSYNC_PASSPHRASE_COMMAND": "false"}, "WEDSYNC_PASSPHRASE_COMMAND ended with code 1"),
        ({"WEDSYNC_PASSPHRASE_COMMAND": "/no/such/thing"}, "WEDSYNC_PASSPHRASE_COMMAND cannot be run"),
        ({"WEDSYNC_PASSPHRASE_COMMAND": "'open"}, "WEDSYNC_PASSPHRASE_COMMAND cannot be run: No closing quotation"),
    ],
)  # fmt: skip
def test_source_that_gives_nothing_is_a_usage_error(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Passphrase(environment)
    assert caught.value.message.startswith(message)


def test_passphrase_nobody_can_give_says_where_to_put_it() -> None:
    with pytest.raises(UsageError, match="passphrase is not known") as caught:
        Passphrase({})()
    assert "WEDSYNC_PASSPHRASE" in caught.value.hint


def test_passphrase_does_not_show_itself() -> None:
    assert "horse" not in repr(Passphrase({"WEDSYNC_PASSPHRASE": "horse"}))
