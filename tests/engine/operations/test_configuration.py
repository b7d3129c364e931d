"""Settings: read strictly, changed one at a time, comments kept, nothing saved that would not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract.settings import COLD_SETTINGS, Settings
from engine.operations.configuration import (
    SETTINGS,
    change_setting,
    changed_text,
    find_setting,
    parse_settings,
    read_settings,
    setting_rows,
    value_of,
    with_value,
)

COMMENTED = """\
# How we run it.
[engine]
streams = 4  # two more than before
compression_level = 5

[console]
theme = "wedsync-dark"
"""


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "config.toml") == Settings()


def test_every_setting_has_words_and_a_default_that_is_valid() -> None:
    for setting in SETTINGS.values():
        assert setting.help, setting.key
        assert value_of(Settings(), setting.key) == setting.default
    assert set(SETTINGS) >= COLD_SETTINGS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[engine]\nstreams = 0\n", "engine.streams"),
        ("[engine]\nstreams = 'many'\n", "engine.streams"),
        ("[engine]\nstream = 4\n", "did you mean engine.streams?"),
        ("[engnie]\nstreams = 4\n", "engnie.streams"),
        ("streams = 4\n", "no setting 'streams'"),
        ("[engine\n", "line 1"),
        ("[storage]\ncapacity = 'lots'\n", "storage.capacity"),
    ],
)
def test_a_file_with_a_mistake_names_it_and_the_file(text: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(text, "/home/ann/config.toml")
    assert named in caught.value.line()
    assert "/home/ann/config.toml" in caught.value.message


def test_a_change_keeps_comments_and_order(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    settings = change_setting(path, "engine.compression_level", "9")
    assert settings.engine.compression_level == 9
    assert path.read_text() == COMMENTED.replace("compression_level = 5", "compression_level = 9")


def test_a_new_section_is_made_and_unset_takes_a_setting_out(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    assert change_setting(path, "storage.capacity", "2TB").storage.capacity == "2TB"
    assert change_setting(path, "engine.streams", "unset").engine.streams is None
    assert "streams" not in path.read_text()
    assert read_settings(path).storage.capacity == "2TB"


@pytest.mark.parametrize(
    ("key", "value"),
    [("engine.streams", "0"), ("engine.streams", "x"), ("engine.compare_after_seal", "perhaps"),
     ("console.refresh_hz", "99"), ("storage.capacity", "lots")],
)  # fmt: skip
def test_a_value_that_will_not_do_changes_nothing(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(COMMENTED)
    with pytest.raises(UsageError, match=key):
        change_setting(path, key, value)
    assert path.read_text() == COMMENTED


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("engine.streams", "many", "engine.streams cannot be 'many': it is a whole number from 1 to 256 or unset"),
        ("engine.jobs_active_max", "0", "engine.jobs_active_max cannot be '0': it is a whole number, 1 or more"),
        ("console.refresh_hz", "99", "console.refresh_hz cannot be '99': it is a number from 0.5 to 10"),
        ("engine.compare_after_seal", "perhaps", "engine.compare_after_seal cannot be 'perhaps': it is true or false"),
        ("storage.capacity", "lots", "storage.capacity: 'lots' is not a size"),
        ("classes.same_day_deadline", "soon", "classes.same_day_deadline: 'soon' is not a span of time"),
        ("classes.same_day_deadline", "0s", "classes.same_day_deadline: it is more than nothing"),
        ("limits.standard", "50", "limits: '50' has no rate at its end"),
        ("limits.timezone", "Mars", "limits.timezone: 'Mars' is not a time zone"),
    ],
)
def test_a_value_that_will_not_do_is_told_in_the_persons_own_terms(
    tmp_path: Path, key: str, value: str, line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        change_setting(tmp_path / "config.toml", key, value)
    assert caught.value.line().startswith(line)


THREE = "".join(f'[[regions]]\nname = "{name}"\nhot = "memory://{name}"\n' for name in ("oslo", "paris", "rome"))


@pytest.mark.parametrize(
    ("regions", "key", "good", "bad"),
    [
        (THREE, "replication.copies", "3", "9"),
        ("", "replication.copies", "1", "9"),
        (THREE, "cache.region", "rome", "atlantis"),
    ],
)
def test_what_no_region_can_keep_is_not_taken(tmp_path: Path, regions: str, key: str, good: str, bad: str) -> None:
    """A file that says so is read all the same: an alert tells, and backups go on."""
    path = tmp_path / "config.toml"
    path.write_text(regions)
    change_setting(path, key, good)
    before = path.read_text()
    with pytest.raises(UsageError, match=key):
        change_setting(path, key, bad)
    assert path.read_text() == before
    assert parse_settings(THREE + "[replication]\ncopies = 9\n").replication.copies == 9


def test_a_setting_that_moved_says_where() -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings("[policy]\ncritical_copies = 2\n")
    assert caught.value.hint == "it is replication.copies now"


def test_a_file_with_a_mistake_is_named_before_anything_is_changed_in_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[limits]\ntimezone = "Mars"\n')
    with pytest.raises(UsageError, match=r"config\.toml: limits\.timezone"):
        change_setting(path, "engine.streams", "3")


@pytest.mark.parametrize(("word", "value"), [("yes", True), ("off", False), ("TRUE", True), ("false", False)])
def test_yes_and_no_may_be_written_as_people_do(word: str, value: bool) -> None:
    text = changed_text("", find_setting("engine.compare_after_seal"), word)
    assert parse_settings(text, "x").engine.compare_after_seal is value


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        find_setting("engine.stream")
    assert caught.value.hint == "did you mean engine.streams?"


def test_rows_show_one_setting_a_section_or_all() -> None:
    assert [row.key for row in setting_rows(Settings(), "engine.streams")] == ["engine.streams"]
    assert {row.key for row in setting_rows(Settings(), "console")} == {"console.refresh_hz", "console.theme"}
    assert len(setting_rows(Settings())) == len(SETTINGS)
    (row,) = setting_rows(Settings(), "engine.streams")
    assert (row.value, row.default) == ("unset", "unset")


TIERS_TEXT = """\
[tiers.cold]
url = "s3://archive/packs"  # far away
recall = "s3-restore"
retrieval_price_gb = 0.02

[policy]
season = "may-sep"
"""


def test_settings_of_tiers_are_read_shown_and_changed_by_their_three_words(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(TIERS_TEXT)
    settings = change_setting(path, "tiers.cold.minimum_days", "90")
    assert (settings.tiers.cold.minimum_days, settings.tiers.cold.url) == (90, "s3://archive/packs")
    assert "# far away" in path.read_text()
    assert change_setting(path, "tiers.warm.url", "file:///warm").tiers.warm.url == "file:///warm"
    assert change_setting(path, "tiers.warm.url", "unset").tiers.warm.url == ""
    assert change_setting(path, "tiers.hot.url", "unset").tiers.hot.url == ""
    assert {row.key: row.value for row in setting_rows(settings, "tiers.cold")}["tiers.cold.recall"] == "s3-restore"
    assert with_value(settings, "tiers.cold.minimum_days", 7).tiers.cold.minimum_days == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[tiers.cold]\nrecall = 'command'\n", "tiers.cold.recall"),
        ("[tiers.warm]\nrecall = 's3-restore'\nurl = 'file:///warm'\n", "tiers.warm.recall"),
        ("[tiers.hot]\nrecall = 'command'\nrecall_command = ['x']\n", "tiers.hot.recall"),
        ("[tiers.warm]\ncapacity = 'lots'\n", "tiers.warm.capacity"),
        ("[tiers.warm]\nprice_gb_month = -1\n", "tiers.warm.price_gb_month"),
        ("[tiers.tepid]\nurl = ''\n", "tiers.tepid.url"),
        ("[policy]\nseason = 'maybe'\n", "policy.season"),
        ("[policy]\ncold_after_days = 3\n", "policy.cold_after_days"),
        ("[storage]\nhot = 'file:///a'\n[tiers.hot]\nurl = 'file:///b'\n", "tiers.hot.url"),
    ],
)
def test_a_mistake_in_tiers_is_named(text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_settings(text)
