"""URL → store. The one place that knows which kinds of store there are."""

from __future__ import annotations

import os
import threading
import urllib.parse
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.errors import NotFound, UsageError
from engine.storage.stores.local import LocalStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectStore
from engine.storage.stores.tape import TapeStore

_SUPPORTED = "use file:///an/absolute/path, s3://bucket/prefix, tape:///mount/point, or memory:// for a trial"
_SCHEMES = ("file", "memory", "s3", "tape")

_memory_mutex = threading.Lock()
_memory: dict[str, MemoryObjects] = {}  # by URL, for the life of the process; guarded by `_memory_mutex`


def open_store(url: str, *, create: bool) -> ObjectStore:
    """The store at `url`, made if it is missing and `create`.

    `file:///path` is a folder (percent-encoded; a plain path is no URL). `s3://bucket/prefix` is a bucket, which is
    never made (docs/stores.md). `tape:///mount/point?volume=NAME` is where LTFS mounts a cartridge, which need not be
    there yet. `memory://NAME` is shared in this process, `memory://` fresh each time. Raises UsageError for any other,
    NotFound, NotPermitted, LimitReached, Unavailable.
    """
    check_url(url)
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "s3":
        from engine.storage.stores.buckets import open_bucket  # its library is loaded only where it is needed

        return open_bucket(url, SystemClock())
    if scheme.lower() == "tape":
        place, _, query = rest.partition("?")
        return TapeStore(_folder(url, place), volume=_volume(url, query))
    if scheme.lower() == "file":
        return LocalStore(_folder(url, rest), create=create)
    return MemoryStore(_memory_objects(rest, create=create), url=f"memory://{rest}")


def check_url(url: str) -> None:
    """See that a URL names a store; nothing is asked or opened. Raises UsageError."""
    scheme, found, rest = url.partition("://")
    if scheme.lower() == "s3" and found:
        from engine.storage.stores.buckets import address_of  # its library is loaded only where it is needed

        address_of(url)
    elif scheme.lower() == "tape" and found:
        place, _, query = rest.partition("?")
        _folder(url, place)
        _volume(url, query)
    elif scheme.lower() not in _SCHEMES or not found:
        raise UsageError(f"{url!r} is not the URL of a store", _SUPPORTED)
    elif "?" in rest or "#" in rest:
        raise UsageError(f"the URL of a store has no ? and no #: {url!r}", "write them as %3F and %23")
    else:
        folder_of(url)


def folder_of(url: str) -> str | None:
    """The folder of a store on a disk; None for any other. Raises UsageError."""
    scheme, _, rest = url.partition("://")
    return str(_folder(url, rest)) if scheme.lower() == "file" else None


def _folder(url: str, rest: str) -> Path:
    host, slash, path = rest.partition("/")
    if not slash or host not in ("", "localhost"):
        raise UsageError(f"{url!r} does not name a folder of this machine from its root on", _SUPPORTED)
    raw = urllib.parse.unquote_to_bytes("/" + path)
    if b"\0" in raw or b".." in raw.split(b"/"):
        raise UsageError(f"{url!r} is not a plain path", "write it without .. and without %00")
    return Path(os.path.normpath(os.fsdecode(raw)))


def _volume(url: str, query: str) -> str:
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    volume = options.pop("volume", "")
    if options or "#" in query or not volume.isprintable():
        raise UsageError(
            f"the URL of a tape has no option but volume: {url!r}", "write tape:///mount/point?volume=NAME"
        )
    return volume


def _memory_objects(name: str, *, create: bool) -> MemoryObjects:
    with _memory_mutex:
        found = _memory.get(name)
        if found is None:
            if name and not create:
                raise NotFound(f"there is no store memory://{name}", "run init to make one")
            found = MemoryObjects()
            if name:
                _memory[name] = found
        return found
