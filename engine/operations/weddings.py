"""The register's handlers: list, add, edit, archive. The copy in `facts` is renewed with each change."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from engine.base.errors import Conflict, UsageError
from engine.base.units import format_time
from engine.contract import operations as ops
from engine.contract.settings import Settings
from engine.contract.weddings import Wedding, wedding_name_problem
from engine.jobs.priority import class_of, zone_problem
from engine.operations import safety, watching
from engine.operations.backups import checked_sources
from engine.operations.binding import check_kept
from engine.operations.context import Engine, Handler
from engine.operations.joblist import ROWS_A_TURN, sliced
from engine.operations.keeping import SourceDocument
from engine.repository import layout
from engine.repository.entry import path_text
from engine.repository.repository import Repository

_YEARS = (1900, 2200)


async def refresh(engine: Engine, repository: Repository) -> None:
    """Read what other engines have written to the register."""

    def read() -> tuple[Wedding, ...]:
        repository.refresh()
        return repository.register.all()

    weddings = await engine.offload.run("register", read)
    engine.facts.take_register(weddings, repository.register.problems)


async def list_weddings(engine: Engine, operation: ops.ListWeddings) -> ops.WeddingList:
    """See `ops.ListWeddings`. What is listed is counted first, where the look at the start has not come to it yet."""
    repository = await engine.opening.needed()
    await refresh(engine, repository)
    text = operation.match.casefold()
    found: list[Wedding] = []
    async for part in sliced(engine.facts.weddings):
        found += (
            wedding
            for wedding in part
            if (operation.archived or not wedding.archived)
            and (text in wedding.name.casefold() or text in wedding.venue.casefold())
        )
    await safety.count_unknown(engine, repository, [wedding.id for wedding in found])
    rows: list[ops.WeddingSummary] = []
    async for part in sliced(found, ROWS_A_TURN):
        rows += (_summary(engine, wedding) for wedding in part)
    warnings = (*engine.facts.register_problems, *engine.facts.damaged(found))
    return ops.WeddingList(weddings=tuple(rows), warnings=warnings)


async def add(engine: Engine, operation: ops.AddWedding) -> ops.WeddingResult:
    """See `ops.AddWedding`. Raises Conflict when the name is taken."""
    problem = wedding_name_problem(operation.name)
    if problem:
        raise UsageError(problem)
    latitude, longitude = position(operation.at)
    repository = await engine.opening.needed()
    wedding = Wedding(
        id=repository.new_wedding_id(),
        name=operation.name,
        date=sane_date(operation.date),
        timezone=known_zone(operation.timezone),
        venue=one_line(operation.venue),
        latitude=latitude,
        longitude=longitude,
        regions=known_regions(operation.regions, engine.settings),
        created_ns=engine.clock.now_ns(),
    )
    result = await _put(engine, wedding, "added")
    engine.facts.counted(wedding.id, ())  # its id was drawn this moment: nobody has backed it up
    return result


async def edit(engine: Engine, operation: ops.EditWedding) -> ops.WeddingResult:
    """See `ops.EditWedding`. Its jobs take on the class that the new date gives."""
    changes = _changes(operation, engine.settings)
    if operation.sources:
        wedding_id = engine.facts.find(operation.name).id
        sources = await engine.offload.run(wedding_id, lambda: checked_sources(operation.sources))
        await asyncio.wrap_future(engine.kept.sources.put(wedding_id, SourceDocument(sources)))
        if not changes:
            engine.events.announce("wedding-changed", f"{operation.name} has sources", wedding=operation.name)
            return ops.WeddingResult(wedding=engine.facts.find(operation.name))
    if not changes:
        raise UsageError("nothing to change", "give --date, --tz, --venue, --at, --region, --source or --rename")
    if operation.regions:
        await _check_kept(engine, operation.name, known_regions(operation.regions, engine.settings))
    result = await change(engine, operation.name, lambda _: changes, "changed")
    if operation.regions:
        engine.regional.compare_again(result.wedding.id)
    if operation.regions and engine.opening.stack is not None and engine.opening.stack.cache is not None:
        cache, folder = engine.opening.stack.cache, layout.wedding_folder(bytes.fromhex(result.wedding.id))
        await engine.offload.run(result.wedding.id, lambda: cache.forget(folder))
    return result


async def _check_kept(engine: Engine, name: str, regions: tuple[str, ...]) -> None:
    """See `binding.check_kept`."""
    await refresh(engine, await engine.opening.needed())
    wedding, stack = engine.facts.find(name), engine.opening.stack
    if stack is not None and regions:
        await engine.offload.run(wedding.id, lambda: check_kept(stack, wedding, regions))


async def archive(engine: Engine, operation: ops.ArchiveWedding) -> ops.WeddingResult:
    """See `ops.ArchiveWedding`."""
    word = "brought back" if operation.undo else "archived"
    result = await change(engine, operation.name, lambda _: {"archived": not operation.undo}, word)
    watching.follow(engine, result.wedding)
    return result


async def heal_register(engine: Engine, *, dry_run: bool) -> tuple[str, ...]:
    """Write the register whole where something of it cannot be read, as a repair does; what was done, in sentences."""
    repository = await engine.opening.needed()
    await refresh(engine, repository)
    problems = engine.facts.register_problems
    if not problems or dry_run:
        return (*problems, "repair would write the register whole") if problems else ()
    lost = await engine.offload.run("register", repository.register.heal)
    await refresh(engine, repository)
    told = ["the register was written whole: what could not be read of it no longer counts"]
    told += [f"{each.name} is wedding {each.id}, whose name is lost: wedding edit gives it one" for each in lost]
    return tuple(told)


HANDLERS: dict[str, Handler] = {
    "weddings": list_weddings,
    "wedding_add": add,
    "wedding_edit": edit,
    "wedding_archive": archive,
}


async def change(
    engine: Engine, name: str, changes: Callable[[Wedding], dict[str, object]], word: str
) -> ops.WeddingResult:
    """Change a wedding as it stands when that is written, so that nothing which another engine changed is undone."""
    repository = await engine.opening.needed()
    await refresh(engine, repository)
    wedding_id = engine.facts.find(name).id

    def write() -> Wedding:
        return repository.register.change(wedding_id, lambda before: replace(before, **changes(before)))

    return await _written(engine, repository, write, word)


async def _put(engine: Engine, wedding: Wedding, word: str) -> ops.WeddingResult:
    repository = await engine.opening.needed()

    def write() -> Wedding:
        repository.register.put(wedding)
        return wedding

    return await _written(engine, repository, write, word)


async def _written(
    engine: Engine, repository: Repository, write: Callable[[], Wedding], word: str
) -> ops.WeddingResult:
    def written() -> tuple[Wedding, tuple[Wedding, ...]]:
        try:
            return write(), repository.register.all()
        except Conflict as error:
            raise Conflict(error.message, error.hint or "choose another name") from None

    wedding, weddings = await engine.offload.run("register", written)
    engine.facts.take_register(weddings, repository.register.problems)
    engine.dispatcher.reclassify({wedding.id: class_of(wedding, engine.clock.now_ns())})
    engine.events.announce("wedding-changed", f"{wedding.name} was {word}", wedding=wedding.name)
    return ops.WeddingResult(wedding=wedding)


def _summary(engine: Engine, wedding: Wedding) -> ops.WeddingSummary:
    known = engine.facts.safety(wedding.id)
    return ops.WeddingSummary(
        wedding=wedding,
        priority=class_of(wedding, engine.clock.now_ns()),
        protected_since=None if known.protected_since_ns is None else format_time(known.protected_since_ns),
        snapshots=known.snapshots,
        sources=tuple(path_text(path.lstrip(b"/")) for path in engine.kept.sources_of(wedding.id)),
        watched=engine.kept.watches.get(wedding.id) is not None,
        held=wedding.holds[0].reason if wedding.holds else "",
    )


# --- what a person wrote, checked (pure) --------------------------------------------------------------


def _changes(operation: ops.EditWedding, settings: Settings) -> dict[str, object]:
    """What of a wedding's entry in the register is to be changed. Raises UsageError."""
    changes: dict[str, object] = {}
    if operation.rename is not None:
        problem = wedding_name_problem(operation.rename)
        if problem:
            raise UsageError(problem)
        changes["name"] = operation.rename
    if operation.date is not None:
        changes["date"] = sane_date(operation.date)
    if operation.timezone is not None:
        changes["timezone"] = known_zone(operation.timezone)
    if operation.venue is not None:
        changes["venue"] = one_line(operation.venue)
    if operation.at is not None:
        changes["latitude"], changes["longitude"] = position(operation.at)
    if operation.regions:
        changes["regions"] = known_regions(operation.regions, settings)
    return changes


def sane_date(date: dt.date) -> dt.date:
    """A date a wedding may have. Raises UsageError."""
    if not _YEARS[0] <= date.year < _YEARS[1]:
        raise UsageError(f"{date} is not the date of a wedding", f"years from {_YEARS[0]} to {_YEARS[1] - 1} are")
    return date


def known_zone(name: str) -> str:
    """A time zone this machine knows. Raises UsageError."""
    problem = zone_problem(name)
    if problem:
        raise UsageError(problem, "write it like Europe/London")
    return name


def position(text: str) -> tuple[float | None, float | None]:
    """`"51.38,-2.36"` → latitude and longitude in degrees; nothing for nothing. Raises UsageError."""
    if not text.strip():
        return None, None
    parts = text.split(",")
    try:
        latitude, longitude = (float(part) for part in parts)
    except ValueError:
        raise UsageError(f"{text!r} is not a position", "write latitude and longitude like 51.38,-2.36") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise UsageError(f"{text!r} is not on the Earth", "latitude is -90 to 90, longitude -180 to 180")
    return latitude, longitude


def known_regions(names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Regions that are set; none for `any`. Raises UsageError."""
    if tuple(names) == ("any",):
        return ()
    if "any" in names:
        raise UsageError("any lifts what binds a wedding to regions, so it stands alone", "say any, or name regions")
    known = [region.name for region in settings.regions]
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no region {name!r}", f"there are {', '.join(known) or 'none: config.toml names them'}"
            )
    return tuple(name for name in known if name in names)


def one_line(text: str) -> str:
    """A venue without line breaks and the like, and of a sane length. Raises UsageError."""
    joined = " ".join(text.split())
    if len(joined) > 200 or not joined.isprintable():
        raise UsageError("a venue is up to 200 printable characters")
    return joined
