"""A prefix of a bucket that other people upload to, on a real service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obstore.store import S3Store

from engine.base.clock import SystemClock
from engine.pipeline.objects import Origin
from engine.storage.stores.buckets import open_objects
from tests.s3_servers import BUCKET, KEY, SECRET, S3Server

if TYPE_CHECKING:
    from obstore.store import S3Config


class Place:
    """A prefix that somebody uploads to."""

    def __init__(self, server: S3Server, prefix: str) -> None:
        keys: S3Config = {"access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1"}
        self.client = S3Store(BUCKET, endpoint=server.endpoint, client_options={"allow_http": True}, config=keys)
        self.server = server
        self.prefix = prefix

    def put(self, key: str, data: bytes) -> None:
        """Upload."""
        self.client.put(f"{self.prefix}/{key}", data, use_multipart=False)

    def origin(self, below: str = "") -> Origin:
        """The prefix, or a part of it, as a source."""
        bucket, prefix = open_objects(self.server.url(f"{self.prefix}{below}"), SystemClock())
        return Origin(bucket, prefix)

    def contents(self) -> dict[str, bytes]:
        """What stands there: key below the prefix → bytes."""
        begins = f"{self.prefix}/"
        keys = [found["path"] for page in self.client.list(self.prefix) for found in page]
        return {key[len(begins) :]: bytes(self.client.get(key).bytes()) for key in keys if key.startswith(begins)}
