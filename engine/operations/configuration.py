"""`config.toml` of the home: read, shown, changed. Each value is checked by `contract.settings` before it is saved.

Reading uses the standard library; changing uses tomlkit, imported only then, which keeps comments and order.
"""

from __future__ import annotations

import difflib
import functools
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import msgspec

from engine.base.atomic import replace_file
from engine.base.errors import LimitReached, NotFound, NotPermitted, UsageError
from engine.base.shapes import convert
from engine.base.units import format_count, parse_bytes, parse_span
from engine.contract.caching import check_cache
from engine.contract.cluster import check_cluster
from engine.contract.operations import SettingRow
from engine.contract.prices import check_prices
from engine.contract.regions import check_regions, urls_elsewhere
from engine.contract.scaling import check_scaling
from engine.contract.settings import TABLES, Settings
from engine.contract.tiers import check_tiers
from engine.jobs.priority import zone_problem
from engine.operations.rationing import check_limits
from engine.operations.scheduling import check_schedule
from engine.repository.retention import check_lines, parse_policy

SETTINGS_BYTES_MAX = 1 << 20
SPANS = (  # settings that are spans of time
    "classes.same_day_deadline", "classes.retrieval_deadline", "classes.next_day_deadline", "classes.standard_deadline",
    "watch.settle", "watch.busy", "watch.rescan", "watch.poll", "hooks.timeout", "drills.every", "calendar.stale_after",
)  # fmt: skip
MOVED = {"policy.critical_copies": "replication.copies"}
UNSET_WORDS = frozenset({"", "unset", "default"})


class Setting(msgspec.Struct, frozen=True):
    """One setting: its key as people write it, the type its value must have, what it is for."""

    key: str  # as engine.streams
    type: Any  # what msgspec checks against
    default: object
    help: str


def _settings(kind: type[msgspec.Struct] = Settings, above: str = "") -> Iterator[Setting]:
    """Every setting of a section and of the sections in it."""
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        hint, key = hints[field.name], above + field.name
        if key in TABLES:
            continue
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from _settings(hint, f"{key}.")
        else:
            yield Setting(key, hint, field.default, _help(hint))


def _help(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.description:
                return meta.description
    return ""


SETTINGS: dict[str, Setting] = {setting.key: setting for setting in _settings()}


# --- the file -----------------------------------------------------------------------------------------


def read_settings(path: Path) -> Settings:
    """The settings in `path`; defaults when there is no file. Blocks. Raises UsageError, NotPermitted."""
    return parse_settings(_read_text(path), str(path))


def change_setting(path: Path, key: str, value: str) -> Settings:
    """Set `key` to what a person wrote, in the file at `path`; all settings as they now are. Blocks.

    `unset` takes the setting out of the file. Raises UsageError, NotFound, NotPermitted, LimitReached; then the
    file is as it was.
    """
    before = _read_text(path)
    parse_settings(before, str(path))  # what is wrong after this is the new value
    text = changed_text(before, find_setting(key), value)
    settings = parse_settings(text)
    _check_change(settings, key)
    _write_text(path, text)
    return settings


def _check_change(settings: Settings, key: str) -> None:
    """Refuse what never comes true with the regions there are; a file that says so is told by an alert. UsageError."""
    names = [region.name for region in settings.regions]
    if key == "cache.region" and settings.cache.region and settings.cache.region not in names:
        there = ", ".join(names) or "none: config.toml names them"
        raise UsageError(f"cache.region: there is no region {settings.cache.region!r}", f"there are {there}")
    copies, most = settings.replication.copies, len(names) or Settings().replication.copies
    if key == "replication.copies" and copies > most:
        where = format_count(len(names), "region") if names else "one store"
        raise UsageError(f"replication.copies: there cannot be {copies} copies in {where}", "name more regions first")


def add_stores(path: Path, regions: Mapping[str, str], tiers: Mapping[str, str]) -> Settings:
    """Name regions by the URLs of their hot stores, and tiers by theirs, in the file; all settings as they then are.

    Blocks. Raises UsageError, NotPermitted, LimitReached; then the file is as it was.
    """
    import tomlkit

    before = _read_text(path)
    parse_settings(before, str(path))
    document = tomlkit.parse(before)
    for tier, url in tiers.items():
        document.setdefault("tiers", tomlkit.table(is_super_table=True))[tier] = {"url": url}
    if regions:
        tables = tomlkit.aot()
        for name, url in regions.items():
            tables.append(tomlkit.item({"name": name, "hot": url}))
        document["regions"] = tables
    text = tomlkit.dumps(document)
    settings = parse_settings(text)
    _write_text(path, text)
    return settings


def _write_text(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode())
    except PermissionError:
        raise NotPermitted(f"{path} cannot be written") from None
    except OSError as error:
        raise LimitReached(f"{path} cannot be written: {error.strerror}") from None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(SETTINGS_BYTES_MAX + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise NotPermitted(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > SETTINGS_BYTES_MAX:
        raise UsageError(f"{path} is too large for settings")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8") from None


# --- pure ---------------------------------------------------------------------------------------------


def parse_settings(text: str, where: str = "") -> Settings:
    """The settings written in `text`. Raises UsageError that names `where`, if it is given, and what is wrong."""
    place = f"{where}: " if where else ""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{place}{error}") from None
    for key in _written_keys(document):
        if key not in SETTINGS:
            raise UsageError(f"{place}there is no setting {key!r}", _nearest(key))
    try:
        settings = convert(document, Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"{place}{error}", "config get shows what each setting is") from None
    try:
        _check(settings)
    except UsageError as error:
        raise UsageError(f"{place}{error.message}", error.hint) from None
    return settings


def find_setting(key: str) -> Setting:
    """The setting called `key`. Raises NotFound, naming the nearest."""
    setting = SETTINGS.get(key)
    if setting is None:
        raise NotFound(f"there is no setting {key!r}", _nearest(key))
    return setting


def changed_text(text: str, setting: Setting, value: str) -> str:
    """The file's text with one setting changed; comments and order stay. Raises UsageError."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    *sections, name = setting.key.split(".")
    unset = value in UNSET_WORDS and setting.default in (None, "", ())
    try:
        document = tomlkit.parse(text)
        section: Any = document
        for each in sections:
            if unset and each not in section:
                return text
            if each not in section:
                section[each] = tomlkit.table(is_super_table=each != sections[-1])
            section = section[each]
        if unset:
            section.pop(name, None)
        else:
            section[name] = parsed_value(setting, value)
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise UsageError(f"the settings file cannot be changed: {error}") from None


def parsed_value(setting: Setting, value: str) -> Any:
    """What a person wrote, as the value of its type. Raises UsageError."""
    word: object = value
    if isinstance(setting.default, tuple):
        return _parsed_list(setting, value)
    if isinstance(setting.default, bool):
        word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(value.lower(), value.lower())
    try:
        return convert(word, setting.type, strict=False)
    except msgspec.ValidationError:
        wanted = _wanted(msgspec.inspect.type_info(setting.type))
        raise UsageError(f"{setting.key} cannot be {value!r}: it is {wanted}", setting.help) from None


def _wanted(info: Any) -> str:
    """What a value of a type looks like, as the end of a sentence."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _wanted(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        return " or ".join("unset" if isinstance(one, msgspec.inspect.NoneType) else _wanted(one) for one in info.types)
    if isinstance(info, msgspec.inspect.BoolType):
        return "true or false"
    if isinstance(info, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        words = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
        if info.le is not None:
            return f"{words} from {info.ge} to {info.le}"
        return words if info.ge is None else f"{words}, {info.ge} or more"
    return "text"


def _parsed_list(setting: Setting, value: str) -> Any:
    """A list of words as JSON and TOML both write it. Raises UsageError."""
    try:
        return list(convert(json.loads(value), setting.type))
    except (ValueError, msgspec.ValidationError):
        raise UsageError(f"{setting.key} cannot be {value!r}", 'write a list like ["/usr/local/bin/hook"]') from None


def value_of(settings: Settings, key: str) -> object:
    """What a setting is now."""
    return functools.reduce(getattr, key.split("."), settings)


def with_value(settings: Settings, key: str, value: object) -> Settings:
    """The settings with one of them changed."""
    *sections, name = key.split(".")
    changed = value
    for depth in range(len(sections), -1, -1):
        holder: Any = functools.reduce(getattr, sections[:depth], settings)
        changed = msgspec.structs.replace(holder, **{name: changed})
        name = sections[depth - 1]
    return cast(Settings, changed)


def value_text(value: object) -> str:
    """A value as people write it; what is not set is `unset`."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return json.dumps(value) if value else "unset"
    return str(value)


def setting_rows(settings: Settings, key: str = "") -> tuple[SettingRow, ...]:
    """All settings in force, or the one called `key`, or those of the section called so. Raises NotFound."""
    wanted = [setting for setting in SETTINGS.values() if setting.key.startswith(f"{key}.")] if key else None
    chosen = list(SETTINGS.values()) if wanted is None else wanted or [find_setting(key)]
    return tuple(
        SettingRow(
            key=setting.key,
            value=value_text(value_of(settings, setting.key)),
            default=value_text(setting.default),
            help=setting.help,
        )
        for setting in chosen
    )


def _written_keys(document: Mapping[str, object], above: str = "") -> Iterator[str]:
    for name, contents in document.items():
        key = above + name
        if key in TABLES:
            continue
        if isinstance(contents, Mapping):
            yield from _written_keys(contents, f"{key}.")
        else:
            yield key


def _nearest(key: str) -> str:
    if key in MOVED:
        return f"it is {MOVED[key]} now"
    near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "config get lists them"


def _check(settings: Settings) -> None:
    """Refuse sizes, spans, limits, schedules and time zones that mean nothing. Raises UsageError."""
    key = "storage.capacity"
    try:
        if settings.storage.capacity:
            parse_bytes(settings.storage.capacity)
        for key in SPANS:
            if parse_span(str(value_of(settings, key))) <= 0:
                raise ValueError("it is more than nothing")
        key = "limits"
        check_limits(settings.limits)
    except ValueError as error:
        raise UsageError(f"{key}: {error}") from None
    try:
        check_tiers(settings.tiers, settings.policy, settings.storage.hot)
        check_cache(settings.cache)
        check_cluster(settings.cluster)
        check_scaling(settings.scaling)
        check_prices(settings.prices, settings.instances)
        elsewhere = urls_elsewhere(settings.storage.hot, settings.tiers)
        check_regions(settings.regions, settings.replication, settings.scrub, elsewhere)
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        parse_policy(settings.retention.keep)
        check_lines(settings.retention.weddings)
    except UsageError as error:
        raise UsageError(f"retention: {error.message}", error.hint) from None
    names = [schedule.name for schedule in settings.schedules]
    for schedule in settings.schedules:
        if names.count(schedule.name) > 1:
            raise UsageError(f"two schedules are called {schedule.name!r}", "give each a name of its own")
        try:
            check_schedule(schedule)
        except UsageError as error:
            raise UsageError(f"the schedule {schedule.name!r}: {error.message}", error.hint) from None
    for key in ("limits.timezone", "scaling.timezone"):
        problem = zone_problem(str(value_of(settings, key)))
        if problem:
            raise UsageError(f"{key}: {problem}", "write it like Europe/London")
