"""What a bucket tells of an object that is not ours. Apart from who asks, since that loads a library."""

from __future__ import annotations

import msgspec


class FoundObject(msgspec.Struct, frozen=True):
    """One version of an object. `etag` is the service's word for its contents."""

    key: str
    size_bytes: int
    modified_ns: int
    etag: str
