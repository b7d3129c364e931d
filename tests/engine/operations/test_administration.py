"""init, keys, config, scale: running an engine from a door."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, UsageError, WrongPassphrase
from engine.contract import operations as ops
from engine.local import LocalEngine
from engine.operations.administration import read_passphrase
from engine.operations.streams import default_streams
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking


def test_a_second_repository_is_not_made(asking: Asking) -> None:
    with pytest.raises(Conflict, match="already"):
        asking.ask(ops.InitRepository(), ops.RepositoryInfo)


def test_the_document_comes_fresh(asking: Asking) -> None:
    first = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    second = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    assert second.seq > first.seq
    assert (second.status, len(second.storage.repository)) == ("ready", 32)


def test_another_key_opens_until_it_is_removed(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "new"
    file.write_text("second passphrase\n")
    engine = LocalEngine.start(home_with_repository(home), PASSPHRASE)
    made = Asking(engine, tmp_path)
    keys = made.ask(ops.AddKey(label="ann", passphrase_file=str(file)), ops.KeyList).keys
    assert [key.current for key in keys].count(True) == 1
    engine.close(drain_s=0.0).result(ANSWER_S)

    engine = LocalEngine.start(home, lambda: "second passphrase")
    made = Asking(engine, tmp_path)
    current = next(key for key in made.ask(ops.ListKeys(), ops.KeyList).keys if key.current)
    assert current.label == "ann"
    left = made.ask(ops.RemoveKey(key=current.id[:8]), ops.KeyList).keys
    with pytest.raises(Conflict, match="last"):
        made.ask(ops.RemoveKey(key=left[0].id), ops.KeyList)
    engine.close(drain_s=0.0).result(ANSWER_S)

    engine = LocalEngine.start(home, "second passphrase")
    with pytest.raises(WrongPassphrase):
        Asking(engine, tmp_path).ask(ops.ListKeys(), ops.KeyList)
    engine.close(drain_s=0.0).result(ANSWER_S)


def test_the_key_in_use_is_listed_first_and_the_others_by_id(tmp_path: Path) -> None:
    home = home_with_repository(tmp_path / "home")
    repository = tmp_path / "home" / "repository" / "keys"
    (in_use,) = repository.iterdir()
    for digit in "0f":  # one that comes before it by name, and one that comes after
        (repository / (digit * 32)).write_bytes(in_use.read_bytes())
    engine = LocalEngine.start(home, PASSPHRASE)
    keys = Asking(engine, tmp_path).ask(ops.ListKeys(), ops.KeyList).keys
    engine.close(drain_s=0.0).result(ANSWER_S)
    assert [key.id for key in keys] == [in_use.name, "0" * 32, "f" * 32]
    assert [key.current for key in keys] == [True, False, False]


def test_a_new_key_needs_a_passphrase_from_somewhere(asking: Asking, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no new passphrase"):
        asking.ask(ops.AddKey(), ops.KeyList)
    with pytest.raises(NotFound):
        asking.ask(ops.AddKey(passphrase_file=str(tmp_path / "nowhere")), ops.KeyList)
    (tmp_path / "empty").write_text("\nsecond line")
    with pytest.raises(UsageError, match="empty"):
        asking.ask(ops.AddKey(passphrase_file=str(tmp_path / "empty")), ops.KeyList)


def test_a_passphrase_is_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes("Käse und Brot \r\nmore".encode())
    assert read_passphrase(str(tmp_path / "p")) == "Käse und Brot "
    (tmp_path / "p").write_bytes(b"\xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        read_passphrase(str(tmp_path / "p"))


def test_a_setting_is_saved_and_applied_at_once_where_it_can_be(asking: Asking) -> None:
    changed = asking.ask(ops.Configure(key="engine.compression_level", value="7"), ops.ConfigureResult)
    assert (changed.before, changed.after, changed.applied) == ("1", "7", "now")
    (row,) = asking.ask(ops.ReadConfiguration(key="engine.compression_level"), ops.Configuration).settings
    assert row.value == "7"
    assert "compression_level = 7" in (asking.folder / "home" / "config.toml").read_text()


def test_a_setting_read_at_the_start_says_that_it_waits(asking: Asking) -> None:
    changed = asking.ask(ops.Configure(key="engine.jobs_queued_max", value="20000"), ops.ConfigureResult)
    assert changed.applied == "at the next start"
    (row,) = asking.ask(ops.ReadConfiguration(key="engine.jobs_queued_max"), ops.Configuration).settings
    assert row.value == "10000"  # in force


def test_a_store_url_that_would_not_open_is_not_saved(asking: Asking) -> None:
    with pytest.raises(UsageError, match="ftp"):
        asking.ask(ops.Configure(key="storage.hot", value="ftp://host/x"), ops.ConfigureResult)
    with pytest.raises(NotFound) as caught:
        asking.ask(ops.Configure(key="engine.stream", value="3"), ops.ConfigureResult)
    assert caught.value.hint == "did you mean engine.streams?"


def test_the_url_of_a_tier_is_looked_at_before_it_is_saved(asking: Asking) -> None:
    """Whether anything answers there is seen when it is first used."""
    for url in ("s3://bucket?congestion=warp", "ftp://host/x", "tape:///mnt?speed=2", "file:///a/../b", "/srv/warm"):
        with pytest.raises(UsageError):
            asking.ask(ops.Configure(key="tiers.warm.url", value=url), ops.ConfigureResult)
    (row,) = asking.ask(ops.ReadConfiguration(key="tiers.warm.url"), ops.Configuration).settings
    assert row.value == ""


def test_a_repository_is_made_while_a_warm_store_is_away(tmp_path: Path) -> None:
    home, warm = tmp_path / "home", f"file://{tmp_path}/warm"
    home.mkdir()
    (home / "config.toml").write_text(f'[tiers.warm]\nurl = "{warm}"\n')
    (home / "stores.json").write_text(f'{{"{warm}": "seen before"}}')
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    try:
        assert Asking(engine, tmp_path).ask(ops.InitRepository(), ops.RepositoryInfo).repository
        assert not (tmp_path / "warm").exists()
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_streams_are_scaled_by_hand_and_back(asking: Asking) -> None:
    before = asking.ask(ops.ReadStatus(), ops.StatusResult).document.auto_scaling.streams
    scaled = asking.ask(ops.ScaleInfrastructure(target="5"), ops.ScaleResult)
    assert (scaled.before, scaled.streams, scaled.mode) == (before, 5, "manual")
    shown = asking.ask(ops.ReadStatus(), ops.StatusResult).document.auto_scaling
    assert (shown.streams, shown.timeline[-1].reason) == (5, "scale 5")
    back = asking.ask(ops.ScaleInfrastructure(target="AUTO"), ops.ScaleResult)
    assert (back.streams, back.mode) == (default_streams(), "default")
    asking.ask(ops.Configure(key="engine.streams", value="2"), ops.ConfigureResult)
    assert asking.ask(ops.ReadStatus(), ops.StatusResult).document.auto_scaling.streams == 2


@pytest.mark.parametrize("target", ["0", "257", "many", "-1", "", "２"])
def test_what_is_no_number_of_streams_is_refused(asking: Asking, target: str) -> None:
    with pytest.raises(UsageError) as caught:
        asking.ask(ops.ScaleInfrastructure(target=target), ops.ScaleResult)
    assert caught.value.hint == "give 1 to 256, or auto"
