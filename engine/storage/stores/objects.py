"""`Bucket`: other people's objects in a bucket, read as files of a backup and written by a retrieval.

Unlike a `CloudStore`'s, its keys are any that a person or a camera's upload made. What is read is always the version
that was listed (`If-Match`), so an object that changes in between is noticed, never mixed. Any thread but an event
loop's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from obstore import exceptions
from obstore.store import S3Store as Client

from engine.base.errors import Conflict, NotFound, Unavailable, UsageError
from engine.base.units import MIB
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.found import FoundObject
from engine.storage.stores.replies import explain_reply

if TYPE_CHECKING:
    import mmap

    from obstore import GetOptions, ObjectMeta, PutMode

MULTIPART_FROM_BYTES = 64 * MIB
_PART_BYTES = 16 * MIB
_PARTS_AT_ONCE = 4
_DIGEST = "wedsync-blake3"  # of what we wrote, in the object's own metadata


class Bucket:
    """One bucket. `url` is shown to people, so it carries no credentials."""

    def __init__(self, client: Client, *, name: str, url: str, breaker: Breaker) -> None:
        self.name = name
        self.url = url
        self._client = client
        self._breaker = breaker

    def folder(self, prefix: str) -> tuple[list[FoundObject], list[str]]:
        """The objects directly below a prefix, and the names of the folders there.

        Raises UsageError when one of the keys below it cannot be a path; NotFound (no bucket), NotPermitted,
        Unavailable.
        """
        with self._explained(prefix):
            listed = self._client.list_with_delimiter(prefix or None)
        begins = f"{prefix}/" if prefix else ""
        objects = [_found(each) for each in listed["objects"] if each["path"].startswith(begins)]
        return objects, [folder.rpartition("/")[2] for folder in listed["common_prefixes"]]

    def sizes(self, prefix: str) -> dict[str, int]:
        """The sizes of all objects below a prefix, by key. Raises as `folder` does."""
        begins = f"{prefix}/" if prefix else ""
        with self._explained(prefix):
            pages = self._client.list(prefix or None)
            return {each["path"]: each["size"] for page in pages for each in page if each["path"].startswith(begins)}

    def stat(self, key: str) -> FoundObject:
        """An object as it is now. Raises NotFound, NotPermitted, Unavailable."""
        with self._explained(key):
            return _found(self._client.head(key))

    def digest(self, key: str) -> str:
        """The hash that was written along with an object; empty for one that is not ours. Raises as `stat`."""
        with self._explained(key):
            return self._client.get(key, options={"head": True}).attributes.get(_DIGEST, "")

    def read_into(self, wanted: FoundObject, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset` of that version, which goes on as far. Raises Conflict when it is another now.

        NotFound when it is gone, NotPermitted, Unavailable.
        """
        if not buffer:
            return
        options: GetOptions = {"range": (offset, offset + len(buffer))}
        if wanted.etag:
            options["if_match"] = wanted.etag
        with self._explained(wanted.key):
            found = memoryview(self._client.get(wanted.key, options=options).bytes())
        if len(found) != len(buffer):
            raise Conflict(f"{wanted.key} is shorter now")
        buffer[:] = found

    def put(self, key: str, data: bytes | bytearray | mmap.mmap, *, digest: str, replace: bool) -> None:
        """Write an object, whole or not at all. Raises Conflict where one stands, unless `replace`.

        One in parts cannot be told to create only, so it is looked for first; NotPermitted, LimitReached, Unavailable.
        """
        attributes = {_DIGEST: digest}
        in_parts = len(data) >= MULTIPART_FROM_BYTES
        if in_parts and not replace:
            with suppress(NotFound):
                self.stat(key)
                raise Conflict(f"{key} is in the bucket already")
        with self._explained(key):
            if in_parts:
                self._client.put(
                    key, data, attributes=attributes, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )
            else:
                mode: PutMode = "overwrite" if replace else "create"
                self._client.put(key, data, attributes=attributes, mode=mode, use_multipart=False)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what the service or the network answers into our errors, and let the breaker know."""
        self._breaker.check(self.url)
        try:
            yield
        except exceptions.InvalidPathError:
            raise UsageError(f"a key below {key!r} cannot be a path: an empty part, or one that is . or ..") from None
        except (exceptions.BaseError, OSError) as error:
            explained = explain_reply(error, name=key, url=self.url)
            self._breaker.note(failed=isinstance(explained, Unavailable))
            raise explained from error
        self._breaker.note(failed=False)


def _found(entry: ObjectMeta) -> FoundObject:
    modified_ns = round(entry["last_modified"].timestamp() * 1e9)
    return FoundObject(entry["path"], entry["size"], modified_ns, entry["e_tag"] or "")
