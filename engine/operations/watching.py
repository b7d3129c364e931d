"""watch, unwatch, watches; and what carries changes into backups. Engine loop only.

A watch's job is a backup like any other: of all its paths, tagged `watch`, told what has changed. The journal keeps
it without that: after a restart everything is looked at, since nobody heard the kernel meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import stat
from concurrent.futures import Future
from urllib.parse import unquote_to_bytes

from engine.base.errors import NotFound, UsageError
from engine.base.units import parse_span
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.paths import is_url
from engine.contract.settings import WatchSettings
from engine.contract.status import WeddingWatch
from engine.contract.weddings import PRIORITY_CLASSES, Wedding
from engine.jobs.offload import Means
from engine.jobs.priority import class_of
from engine.jobs.settling import Batch, Pace, Settling
from engine.jobs.watcher import Times, Watch, Watcher
from engine.operations.accepting import accept
from engine.operations.backups import backup_spec, is_inside
from engine.operations.context import Engine, Handler
from engine.operations.joblist import ROWS_A_TURN, sliced
from engine.operations.keeping import WatchDocument
from engine.repository.entry import path_text

TAG = "watch"
PATHS_MAX = 64
_DONE = ("done", "warnings")


def make_watcher(engine: Engine, means: Means) -> Watcher:
    """The watcher of an engine; it watches nothing yet."""
    times = _TimesOf(engine)

    def skip() -> frozenset[tuple[int, int]]:
        store = engine.opening.store
        own = [os.fsencode(engine.home.path)]
        if store is not None and store.url.startswith("file://"):
            own.append(unquote_to_bytes(store.url.removeprefix("file://")))
        return frozenset((found.st_dev, found.st_ino) for found in map(os.stat, filter(os.path.exists, own)))

    async def start(watch: Watch, batch: Batch) -> bool:
        return await _back_up(engine, watch, batch)

    return Watcher(means, times=times.now, start=start, skip=skip)


class _TimesOf:
    """The settings of watches as seconds, worked out when they change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings: WatchSettings | None = None
        self._times = Times(Pace())

    def now(self) -> Times:
        """As they are now."""
        settings = self._engine.settings.watch
        if settings is not self._settings:
            self._settings = settings
            pace = Pace(parse_span(settings.settle), parse_span(settings.busy))
            self._times = Times(pace, parse_span(settings.rescan), parse_span(settings.poll))
        return self._times


def begin(engine: Engine) -> None:
    """Watch what was watched before, of today first; called when the repository is open and the register known."""
    found = ((engine.facts.by_id(wedding_id), document) for wedding_id, document in engine.kept.watches.items())
    known = [(wedding, document) for wedding, document in found if wedding is not None and not wedding.archived]
    known.sort(key=lambda row: _rank(engine, row[0]))
    for wedding, document in known:
        _begin_watch(engine, wedding, document)


def follow(engine: Engine, wedding: Wedding) -> None:
    """A wedding was archived, or brought back: watch it no longer, or again."""
    document, watcher = engine.kept.watches.get(wedding.id), engine.kept.watcher
    if document is None or watcher is None:
        return
    if wedding.archived:
        watcher.unwatch(wedding.id)
    else:
        _begin_watch(engine, wedding, document)


def _begin_watch(engine: Engine, wedding: Wedding, document: WatchDocument) -> None:
    watcher = engine.kept.watcher
    assert watcher is not None
    settling = Settling(engine.clock.monotonic_s())
    watcher.watch(Watch(wedding.id, document.paths, document.exclude, settling, _rank(engine, wedding)))


def _rank(engine: Engine, wedding: Wedding) -> int:
    return PRIORITY_CLASSES.index(class_of(wedding, engine.clock.now_ns()))


async def _back_up(engine: Engine, watch: Watch, batch: Batch) -> bool:
    """Carry out one backup of a watch's changes; whether it protects them."""
    wedding = engine.facts.by_id(watch.id)
    if wedding is None or engine.opening.repository is None:
        raise NotFound("the wedding is not in the register any more")
    watch.rank = _rank(engine, wedding)
    operation = ops.StartBackup(
        wedding=wedding.name, sources=tuple(map(os.fsdecode, watch.present)), tags=(TAG,), exclude=watch.exclude
    )
    changed = () if batch.everything else batch.paths
    job = await accept(engine, backup_spec(engine, operation, wedding, changed))
    job.reported = True  # nobody asked for it, so nobody waits to be told
    await engine.dispatcher.ended(job)
    return job.state in _DONE


# --- operations ---------------------------------------------------------------------------------------


async def watch(engine: Engine, operation: steering.WatchWedding) -> steering.WatchList:
    """See `steering.WatchWedding`. Raises NotFound, UsageError for what is no folder."""
    wedding = engine.facts.find(operation.wedding)
    before = engine.kept.watches.get(wedding.id)
    named = tuple(map(os.fsencode, operation.paths)) or engine.kept.sources_of(wedding.id)
    if not named:
        raise UsageError("nothing to watch", "name the folders: watch WEDDING PATH…")
    paths = await engine.offload.run("watch", lambda: checked_folders({*named, *(before.paths if before else ())}))
    exclude = operation.exclude or (before.exclude if before else ())
    document = WatchDocument(paths, exclude, engine.clock.now_ns())
    await _written(engine.kept.watches.put(wedding.id, document))
    _begin_watch(engine, wedding, document)
    engine.events.announce("wedding-changed", f"{wedding.name} is watched", wedding=wedding.name)
    return await _listed(engine, wedding.id)


async def unwatch(engine: Engine, operation: steering.UnwatchWedding) -> steering.WatchList:
    """See `steering.UnwatchWedding`. Raises NotFound for what is not watched."""
    wedding = engine.facts.find(operation.wedding)
    before = engine.kept.watches.get(wedding.id)
    if before is None or engine.kept.watcher is None:
        raise NotFound(f"nothing is watched for {wedding.name}", "watches lists what is")
    gone = set(map(os.fsencode, operation.paths)) or set(before.paths)
    missing = gone.difference(before.paths)
    if missing:
        raise NotFound(f"{os.fsdecode(min(missing))} is not watched for {wedding.name}", "watches lists what is")
    left = tuple(path for path in before.paths if path not in gone)
    if left:
        document = WatchDocument(left, before.exclude, before.created_ns)
        await _written(engine.kept.watches.put(wedding.id, document))
        _begin_watch(engine, wedding, document)
    else:
        await _written(engine.kept.watches.remove(wedding.id))
        engine.kept.watcher.unwatch(wedding.id)
    engine.events.announce("wedding-changed", f"{wedding.name} is watched no longer", wedding=wedding.name)
    return await _listed(engine, wedding.id)


async def list_watches(engine: Engine, operation: steering.ListWatches) -> steering.WatchList:
    """See `steering.ListWatches`."""
    return await _listed(engine, engine.facts.find(operation.wedding).id if operation.wedding else "")


HANDLERS: dict[str, Handler] = {"watch": watch, "unwatch": unwatch, "watches": list_watches}


async def _written(future: Future[None]) -> None:
    await asyncio.wrap_future(future)


async def _listed(engine: Engine, wedding_id: str) -> steering.WatchList:
    watcher = engine.kept.watcher
    rows: list[steering.WatchRow] = []
    async for part in sliced([wedding_id] if wedding_id else list(watcher.watches if watcher else ()), ROWS_A_TURN):
        rows += (row for key in part if (row := _row(engine, key)) is not None)
    return steering.WatchList(watches=tuple(sorted(rows, key=lambda row: row.wedding)))


def _row(engine: Engine, key: str) -> steering.WatchRow | None:
    """One watch as it is listed; None when it is gone meanwhile."""
    watcher, found, wedding = engine.kept.watcher, engine.kept.watch_of(key), engine.facts.by_id(key)
    if found is None or wedding is None or watcher is None:
        return None
    return steering.WatchRow(
        wedding=wedding.name,
        paths=tuple(path_text(path.lstrip(b"/")) for path in found.paths),
        exclude=found.exclude,
        state=found.state,
        folders=watcher.folders(key),
        changes_waiting=found.settling.waiting,
        lag_s=found.lag_s,
        problem=found.problem,
    )


def shown(engine: Engine, wedding_id: str) -> WeddingWatch | None:
    """How far behind a wedding's watch is, for the status document; None when it is not watched."""
    found = engine.kept.watch_of(wedding_id)
    if found is None:
        return None
    return WeddingWatch(
        state=found.state,
        changes_waiting=found.settling.waiting,
        unprotected_since_ns=found.settling.unprotected_since_ns,
        protected_ns=found.protected_ns,
        lag_s=found.lag_s,
        problem=found.problem,
    )


def checked_folders(paths: set[bytes]) -> tuple[bytes, ...]:
    """Folders that can be watched, those inside another left out. Blocks. Raises NotFound, UsageError."""
    if len(paths) > PATHS_MAX:
        raise UsageError(f"a wedding has up to {PATHS_MAX} watched folders", "watch the folder above them")
    found = []
    for path in paths:
        shown_path = os.fsdecode(path)
        if is_url(shown_path):
            raise UsageError(f"{shown_path} cannot be watched: a bucket tells of no change", "schedule a backup of it")
        try:
            mode = os.lstat(path).st_mode
        except OSError as error:
            raise NotFound(f"{shown_path}: {error.strerror}", "name a folder that is there") from None
        if not stat.S_ISDIR(mode):
            raise UsageError(f"{shown_path} is not a folder itself", "name the folder, by its real path")
        found.append(os.path.normpath(path))
    return tuple(sorted(path for path in found if not any(is_inside(path, other) for other in found)))
