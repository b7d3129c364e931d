"""recover --from: the stores of a lost machine's repository become this home's, and it is told what they lack.

One URL is the hot store. Several are those of regions, `NAME=URL` each, the first the home region; `warm=URL` and
`cold=URL` are further tiers. Before anything is written they are compared: stores of two repositories, taken for two
regions of one, would be healed from each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from engine.base.errors import NotFound, UsageError, WedSyncError
from engine.base.units import format_count
from engine.contract.recovery import Incomplete
from engine.contract.regions import RegionSettings
from engine.contract.settings import Settings
from engine.contract.weddings import Wedding
from engine.operations import copysurvey
from engine.operations.configuration import add_stores, change_setting
from engine.operations.context import Engine
from engine.operations.opening import stores_of
from engine.operations.tiering import copies_kept
from engine.repository import layout
from engine.storage.stores.open import open_store

LOOKED_AT_MAX = 200  # weddings that are compared with the stores when nothing is to be restored yet
_NAMED = re.compile(r"([a-z0-9][a-z0-9-]{0,30})=(.+)", re.DOTALL)
_TIERS = ("warm", "cold")
_CONFIG_BYTES_MAX = 1 << 20


class Sources(msgspec.Struct, frozen=True):
    """The stores of a repository."""

    hot: str  # where there is one
    regions: Mapping[str, str]  # by name, where there are several
    tiers: Mapping[str, str]


def parsed(sources: Sequence[str]) -> Sources:
    """What was given with `--from`. Raises UsageError."""
    hot: dict[str, str] = {}
    tiers: dict[str, str] = {}
    for source in sources:
        named = _NAMED.fullmatch(source)
        name, url = (named[1], named[2]) if named else ("", source)
        known = tiers if name in _TIERS else hot
        if name in known:
            hint = "name regions as --from london=URL --from paris=URL, the tiers as warm=URL, cold=URL"
            raise UsageError(f"--from names {name or 'a store without a name'} twice", hint)
        known[name] = url
    if not hot or ("" in hot and len(hot) > 1):
        raise UsageError("--from names no hot store, or some without a name", "give each of several as london=URL")
    if tiers and len(hot) > 1:
        raise UsageError("warm and cold of several regions go into config.toml", "see [[regions]] in docs/regions.md")
    return Sources(hot.get("", ""), {} if "" in hot else hot, tiers)


async def adopt(engine: Engine, given: Sequence[str]) -> None:
    """Make the repository in these stores this home's, durably. Raises what opening raises; then all is as it was."""
    sources = parsed(given)
    await engine.offload.run("repository", partial(_refuse_two, sources))
    settings = _with(engine.settings, sources)

    def keep() -> None:
        if sources.hot:
            change_setting(engine.home.settings, "storage.hot", sources.hot)
        if sources.regions or sources.tiers:
            add_stores(engine.home.settings, sources.regions, sources.tiers)

    stores = stores_of(engine.home, settings, engine.clock, engine.facts.whereabouts)
    repository = await engine.opening.adopt(stores, keep)
    engine.settings = settings
    engine.facts.take_register(repository.register.all(), repository.register.problems)


def _with(settings: Settings, sources: Sources) -> Settings:
    """The settings with these stores."""
    tiers = settings.tiers
    for tier, url in sources.tiers.items():
        tiers = msgspec.structs.replace(tiers, **{tier: msgspec.structs.replace(getattr(tiers, tier), url=url)})
    storage = msgspec.structs.replace(settings.storage, hot=sources.hot)
    regions = tuple(RegionSettings(name=name, hot=url) for name, url in sources.regions.items())
    return msgspec.structs.replace(settings, storage=storage, tiers=tiers, regions=regions)


def _refuse_two(sources: Sources) -> None:
    """Raise UsageError when the regions' stores are not all of one repository, NotFound where one has none. Blocks."""
    first: dict[str, bytes] | None = None
    for name, url in sources.regions.items():
        store = open_store(url, create=False)
        try:
            found = {
                info.name: store.get(info.name, limit_bytes=_CONFIG_BYTES_MAX) for info in store.list(layout.CONFIG)
            }
        finally:
            store.close()
        if not found:
            raise NotFound(f"there is no repository in the store of {name}", "check its URL, also its prefix")
        first = first or found
        if found != first:
            hint = "name only stores of one repository; one that is behind is healed once config.toml names it"
            raise UsageError(f"{name} holds another repository than {next(iter(sources.regions))}", hint)


# --- what is missing ------------------------------------------------------------------------------------


async def what_is_missing(engine: Engine, weddings: Sequence[Wedding]) -> tuple[Incomplete, ...]:
    """The weddings of which the stores do not hold every pack as often as they should."""
    repository = await engine.opening.needed()
    rows: list[Incomplete] = []
    for wedding in weddings:

        def look(each: Wedding = wedding) -> Incomplete | None:
            return None if repository.is_untouched(each.id) else _missing_of(engine, each)

        try:
            row = await engine.offload.run(wedding.id, look)
        except WedSyncError:  # it cannot be opened at all, which its own restore tells
            continue
        if row is not None:
            rows.append(row)
    return tuple(rows)


def _missing_of(engine: Engine, wedding: Wedding) -> Incomplete | None:
    held = copysurvey.survey(engine, wedding).held
    packs = copysurvey.packs_of(engine, wedding)
    regions = [
        {copy.place.partition("/")[2] for copy in held.get(name, {}).values() if copy.state == "good"} for name in packs
    ]
    missing = sum(not each for each in regions)
    short = sum(0 < len(each) < copies_kept(engine.settings, wedding) for each in regions)
    if not missing and not short:
        return None
    return Incomplete(name=wedding.name, packs=len(packs), packs_missing=missing, packs_short=short)


def warnings_of(engine: Engine, incomplete: Sequence[Incomplete], *, left: int) -> tuple[str, ...]:
    """The same as sentences, and which regions weddings may lie in that nobody named."""
    named = {region.name for region in engine.settings.regions}
    bound = sorted({name for wedding in engine.facts.weddings for name in wedding.regions} - named)
    lines = [f"weddings may lie in {name}, which is not named: --from {name}=URL" for name in bound]
    for row in incomplete:
        packs = format_count(row.packs, "pack")
        if row.packs_missing:
            lines.append(f"{row.name}: {row.packs_missing:,} of {packs} are in none of these stores; name the others")
        if row.packs_short:
            lines.append(f"{row.name}: {row.packs_short:,} of {packs} have fewer copies here than are kept")
    if left > 0 and lines:
        lines.append(f"{format_count(left, 'more wedding')} not looked at; recover --to DIR --dry-run looks at all")
    return tuple(lines)
