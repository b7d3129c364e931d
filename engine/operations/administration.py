"""init, status, keys, config, shutdown: running the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os

from engine.base.errors import Conflict, NotFound, NotPermitted, UsageError
from engine.contract import operations as ops
from engine.contract.settings import COLD_SETTINGS, Settings
from engine.operations import status
from engine.operations.capacity import resize
from engine.operations.configuration import (
    UNSET_WORDS,
    change_setting,
    find_setting,
    setting_rows,
    value_of,
    value_text,
    with_value,
)
from engine.operations.context import Engine, Handler, StreamHandler
from engine.operations.descriptors import CallerStreams, Descriptor
from engine.operations.queue import span
from engine.operations.streams import Mode, default_streams
from engine.repository.repository import Repository
from engine.storage.stores.open import check_url, open_store

_PASSPHRASE_BYTES_MAX = 4096


async def init_repository(engine: Engine, _: ops.InitRepository) -> ops.RepositoryInfo:
    """See `ops.InitRepository`. Raises Conflict when there is one."""
    if engine.stopping:
        raise Conflict("the engine is stopping", "start it again")
    repository = await engine.opening.create(label=os.uname().nodename)
    return ops.RepositoryInfo(repository=repository.id, url=repository.store.url)


async def read_status(engine: Engine, _: ops.ReadStatus) -> ops.StatusResult:
    """See `ops.ReadStatus`."""
    return ops.StatusResult(document=status.build(engine))


async def list_keys(engine: Engine, _: ops.ListKeys) -> ops.KeyList:
    """See `ops.ListKeys`."""
    return await _keys(engine, await engine.opening.needed())


async def add_key(engine: Engine, operation: ops.AddKey, streams: CallerStreams | None = None) -> ops.KeyList:
    """See `ops.AddKey`. Raises UsageError when no passphrase was given."""
    if not operation.passphrase_file:
        raise UsageError("no new passphrase was given", "give --passphrase-file FILE; - is standard input")
    repository = await engine.opening.needed()
    given = (streams or CallerStreams()).input() if operation.passphrase_file == "-" else None

    def add() -> str:
        return repository.add_slot(read_passphrase(operation.passphrase_file, given), operation.label).id

    added = await engine.offload.run("keys", add)
    engine.events.announce("key-changed", f"key {added[:8]} was added")
    return await _keys(engine, repository)


async def remove_key(engine: Engine, operation: ops.RemoveKey) -> ops.KeyList:
    """See `ops.RemoveKey`. Raises NotFound; Conflict for the last one."""
    repository = await engine.opening.needed()
    await engine.offload.run("keys", lambda: repository.remove_slot(operation.key))
    engine.events.announce("key-changed", f"key {operation.key[:8]} was removed", level="warning")
    return await _keys(engine, repository)


async def _keys(engine: Engine, repository: Repository) -> ops.KeyList:
    slots = sorted(await engine.offload.run("keys", repository.slots), key=lambda slot: (not slot.current, slot.id))
    return ops.KeyList(
        keys=tuple(ops.KeySlotRow(id=slot.id, label=slot.label, kdf=slot.kdf, current=slot.current) for slot in slots),
        receipt_key=repository.receipt_key.public,
    )


def read_passphrase(file: str, given: Descriptor | None = None) -> str:
    """The first line of `file`, or of the stream `given`. Blocks. Raises NotFound, NotPermitted, UsageError."""
    try:
        fd = given.take() if given else os.open(os.path.expanduser(file), os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as opened:
            line = opened.readline(_PASSPHRASE_BYTES_MAX).rstrip(b"\r\n")
    except PermissionError:
        raise NotPermitted(f"{file} may not be read") from None
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from None
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise UsageError(f"the passphrase in {file} is not UTF-8") from None


async def read_configuration(engine: Engine, operation: ops.ReadConfiguration) -> ops.Configuration:
    """See `ops.ReadConfiguration`. Raises NotFound."""
    return ops.Configuration(settings=setting_rows(engine.settings, operation.key))


async def configure(engine: Engine, operation: ops.Configure) -> ops.ConfigureResult:
    """See `ops.Configure`. What is read only at the start is saved, and said to wait."""
    setting = find_setting(operation.key)
    path = engine.home.settings

    def change() -> Settings:
        if operation.key == "storage.hot" and operation.value not in UNSET_WORDS:
            with contextlib.suppress(NotFound):  # it may be mounted by then
                open_store(operation.value, create=False).close()
        elif operation.key.endswith(".url") and operation.value not in UNSET_WORDS:
            check_url(operation.value)
        return change_setting(path, operation.key, operation.value)

    changed = await engine.offload.run("settings", change)
    cold = operation.key in COLD_SETTINGS
    before = value_of(engine.settings, operation.key)
    after = value_of(changed, operation.key)
    if not cold:
        engine.settings = with_value(engine.settings, operation.key, after)
        if operation.key == "engine.streams":
            _apply_streams(engine)
        if operation.key == "engine.compression_level":
            engine.pool.compression_level = engine.settings.engine.compression_level
        engine.rationing.apply(engine.settings, engine.clock.now_ns())
    engine.events.announce("settings-changed", f"{setting.key} is {value_text(after)}, it was {value_text(before)}")
    return ops.ConfigureResult(
        key=setting.key,
        before=value_text(before),
        after=value_text(after),
        applied="at the next start" if cold else "now",
    )


def _apply_streams(engine: Engine) -> None:
    wanted = engine.settings.engine.streams
    if engine.settings.scaling.mode == "manual":  # else it is where the next engine begins
        mode: Mode = "default" if wanted is None else "manual"
        resize(engine, wanted or default_streams(), mode=mode, reason="engine.streams was set")


async def shutdown(engine: Engine, operation: ops.Shutdown) -> ops.Empty:
    """See `ops.Shutdown`. Comes back at once; the engine is gone when the status document says `stopped`."""
    engine.stop(span(operation.drain))
    await asyncio.sleep(0)
    return ops.Empty()


HANDLERS: dict[str, Handler] = {
    "init_repository": init_repository,
    "status": read_status,
    "keys": list_keys,
    "key_add": add_key,
    "key_remove": remove_key,
    "configuration": read_configuration,
    "configure": configure,
    "shutdown": shutdown,
}
STREAM_HANDLERS: dict[str, StreamHandler] = {"key_add": add_key}
