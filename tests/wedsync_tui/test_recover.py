"""A machine is lost with its home: the program begins on an empty one and brings everything back, byte for byte.

Real processes; the repository lies beside the home, as on another machine.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.local import LocalEngine
from tests import s3_servers
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.trees import describe
from tests.wedsync_tui.processes import WAIT_S, run

DAYS = {"smith-jones": dt.date(2026, 6, 20), "lee-kim": dt.date(2030, 1, 5), "ng-roy": dt.date(2026, 8, 1)}


def _lost_machine(folder: Path, url: str = "") -> str:
    """A repository with three weddings whose home is gone; the URL of its store."""
    url = url or f"file://{folder / 'store'}"
    home = home_with_repository(folder / "lost", url=url)
    engine = LocalEngine.start(home, PASSPHRASE, streams=2)
    try:
        for name, date in DAYS.items():
            source = folder / "cards" / name
            (source / "DCIM").mkdir(parents=True)
            for number in range(4):
                (source / "DCIM" / f"{number}.jpg").write_bytes(f"{name} {number}".encode() * 40_000)
            (source / "empty").touch()
            engine.call(ops.AddWedding(name=name, date=date, venue="Bath")).result(WAIT_S)
            engine.call(ops.StartBackup(wedding=name, sources=(str(source),), wait=True)).result(WAIT_S)
        engine.call(ops.AddWedding(name="nobody-yet", date=dt.date(2031, 1, 1))).result(WAIT_S)
    finally:
        engine.close(drain_s=0.0).result(WAIT_S)
    shutil.rmtree(home)
    return url


def test_an_empty_machine_gets_everything_back(tmp_path: Path) -> None:
    """Register, snapshots and files, with the URL and the passphrase alone; the nearest days come first."""
    url = _lost_machine(tmp_path)
    home, back = tmp_path / "home", tmp_path / "back"
    done = run(home, "recover", "--from", url, "--to", str(back), WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert done.code == 0, done.words
    (result,) = done.results
    assert [row["name"] for row in result["restored"]] == ["lee-kim", "nobody-yet", "ng-roy", "smith-jones"]
    assert [row["state"] for row in result["restored"]] == ["done", "", "done", "done"]
    assert result["weddings"] == 4
    assert any("config.toml" in what for what in result["setAgain"])
    assert "cannot tell whether the repository was set back" in done.words
    assert sorted(path.name for path in back.iterdir()) == ["lee-kim", "ng-roy", "smith-jones"]
    for name in DAYS:
        cards = tmp_path / "cards" / name
        assert describe(back / name / str(cards).lstrip("/")) == describe(cards)

    again = run(home, "-c", "weddings", "-c", "verify smith-jones --all", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert again.code == 0, again.words  # the home knows its repository from now on
    assert len(again.results[0]["weddings"]) == 4


def test_a_recovery_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    """What is restored stays, also what was changed since; what is missing comes back."""
    url = _lost_machine(tmp_path)
    home, back = tmp_path / "home", tmp_path / "back"
    assert run(home, "recover", "--from", url, WEDSYNC_PASSPHRASE=PASSPHRASE).code == 0
    line = f"recover --to {back} --wedding lee-kim"
    dry = run(home, "-c", f"{line} --dry-run", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert dry.code == 0
    assert not back.exists()
    (row,) = dry.results[0]["restored"]
    assert (row["files"], row["job"]) == (5, "")
    assert row["packs"] > 0
    assert dry.results[0]["bytesFetched"] > 0
    assert run(home, "-c", line, WEDSYNC_PASSPHRASE=PASSPHRASE).code == 0
    cards = back / "lee-kim" / str(tmp_path / "cards" / "lee-kim").lstrip("/") / "DCIM"
    (cards / "0.jpg").unlink()
    (cards / "1.jpg").write_bytes(b"edited since")
    assert run(home, "-c", line, WEDSYNC_PASSPHRASE=PASSPHRASE).code == 0
    assert (cards / "0.jpg").read_bytes() == b"lee-kim 0" * 40_000
    assert (cards / "1.jpg").read_bytes() == b"edited since"


def test_the_key_on_paper_is_enough(tmp_path: Path) -> None:
    """The passphrase went with the people: the page from the safe opens the repository on an empty machine."""
    url = _lost_machine(tmp_path)
    (tmp_path / "one" / "config.toml").parent.mkdir()
    (tmp_path / "one" / "config.toml").write_text(f'[storage]\nhot = "{url}"\n')
    printed = run(tmp_path / "one", "key", "paper", "--out", "page.txt", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert printed.code == 0, printed.words
    page = tmp_path / "page.txt"
    assert page.stat().st_mode & 0o777 == 0o600
    key = page.read_text().splitlines()[2].strip()
    assert key not in printed.words
    assert key not in str(printed.lines)
    assert run(tmp_path / "one", "key", "paper", "--out", "page.txt", WEDSYNC_PASSPHRASE=PASSPHRASE).code == 1
    nowhere = run(tmp_path / "one", "key", "paper", "--out", "none/page.txt", WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert "none/page.txt: its folder is not there; make the folder first" in nowhere.words
    shutil.rmtree(tmp_path / "one")

    slip = "8" if key[12] != "8" else "7"
    wrong = run(tmp_path / "home", "recover", "--from", url, WEDSYNC_PASSPHRASE=key[:12] + slip + key[13:])
    assert wrong.code == 4
    assert "group 3 of the key on paper" in wrong.words
    found = run(tmp_path / "home", "recover", "--from", url, WEDSYNC_PASSPHRASE=key.lower().replace("-", " "))
    assert found.code == 0, found.words
    assert found.results[0]["weddings"] == 4


def test_a_repository_in_a_bucket_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the credentials in the environment: a real service that checks them."""
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "weed").mkdir()
    with s3_servers.seaweed(tmp_path / "weed") as server:
        url = _lost_machine(tmp_path, server.url("lost/hot"))
        keys = s3_servers.CREDENTIALS | {"WEDSYNC_PASSPHRASE": PASSPHRASE}
        done = run(tmp_path / "home", "recover", "--from", url, "--to", str(tmp_path / "back"), **keys)
        assert done.code == 0, done.words
        wrong = keys | {"AWS_SECRET_ACCESS_KEY": "another"}
        refused = run(tmp_path / "other", "recover", "--from", url, **wrong)
        assert (refused.code, "another" in str(refused)) == (4, False)
    for name in DAYS:
        cards = tmp_path / "cards" / name
        assert describe(tmp_path / "back" / name / str(cards).lstrip("/")) == describe(cards)
    assert "another" not in (tmp_path / "home" / "config.toml").read_text()


def test_what_recovery_refuses(tmp_path: Path) -> None:
    """A home that has a repository, a store without one, a wrong passphrase; then all is as it was."""
    url = _lost_machine(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    home = tmp_path / "home"
    for source, passphrase, code, words in (
        (f"file://{empty}", PASSPHRASE, 1, "there is no repository in this store"),
        (f"file://{tmp_path}/nowhere", PASSPHRASE, 1, "there is no repository in this store"),
        (url, "wrong", 4, "opens no key slot"),
        ("nonsense", PASSPHRASE, 2, "is not the URL of a store"),
    ):
        done = run(home, "recover", "--from", source, WEDSYNC_PASSPHRASE=passphrase)
        assert (done.code, words in done.words) == (code, True), done.words
    assert not (home / "config.toml").exists()
    assert run(home, "recover", "--from", url, WEDSYNC_PASSPHRASE=PASSPHRASE).code == 0
    twice = run(home, "recover", "--from", url, WEDSYNC_PASSPHRASE=PASSPHRASE)
    assert (twice.code, "has a repository already" in twice.words) == (1, True)
