"""Buckets named as sources: checked, and opened for the length of a job. What blocks runs on the executor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from engine.base.clock import Clock, SystemClock
from engine.base.errors import UsageError
from engine.contract.paths import is_url
from engine.pipeline.objects import Origin


@contextmanager
def opened_origins(sources: Sequence[str], clock: Clock) -> Iterator[tuple[Origin, ...]]:
    """The buckets that these sources name, open inside the block; none where they are paths. Raises UsageError."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(closing(_origin(source, clock))) for source in sources if is_url(source))


def paths_of(origins: Sequence[Origin]) -> tuple[bytes, ...]:
    """What snapshots call them, sorted."""
    return tuple(sorted(origin.path for origin in origins))


def checked_urls(sources: Sequence[str]) -> tuple[bytes, ...]:
    """The sources if they are URLs of buckets, none if they are paths. Whether anything is there the job finds out.

    Raises UsageError for both in one backup, for one inside another, and for what is no URL of a bucket.
    """
    urls = [source for source in sources if is_url(source)]
    if urls and len(urls) < len(sources):
        raise UsageError("a backup reads from buckets or from paths, not from both", "make two backups of it")
    places: dict[bytes, str] = {}
    for url in urls:
        with closing(_origin(url, SystemClock())) as origin:
            path = origin.path
        near = next((other for other in places if _is_inside(path, other) or _is_inside(other, path)), None)
        if near is not None and places[near] != url:
            raise UsageError(f"{url} and {places[near]} name the same objects", "name the outer one alone")
        places[path] = url
    return tuple(os.fsencode(url) for url in dict.fromkeys(urls))


def _is_inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")


def _origin(url: str, clock: Clock) -> Origin:
    from engine.storage.stores.buckets import open_objects  # its library is loaded only where it is needed

    bucket, prefix = open_objects(url, clock)
    return Origin(bucket, prefix)
