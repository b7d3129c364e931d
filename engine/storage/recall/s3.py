"""Archive classes of S3: RestoreObject, and what HEAD says of it (Amazon S3 API reference, "RestoreObject").

boto3 is used for this and for locks (`engine.storage.locks`), as no other library has the calls. A pack is readable
when HEAD says that no restore is going on any more; that a GET happens to work before says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engine.base.errors import NotFound, NotPermitted, Unavailable, UsageError, WedSyncError
from engine.storage.recall.driver import Offer, Standing
from engine.storage.stores.buckets import address_of

AT_ONCE = 16
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_HOUR_S = 3600.0
# How long a restore takes at most (Amazon S3 user guide, "Archive retrieval options").
_OFFERS = {
    "GLACIER": (
        Offer("bulk", 12 * _HOUR_S), Offer("standard", 5 * _HOUR_S), Offer("expedited", 300.0, expedited=True)
    ),
    "DEEP_ARCHIVE": (Offer("bulk", 48 * _HOUR_S), Offer("standard", 12 * _HOUR_S)),
}  # fmt: skip
_ONGOING = re.compile(r'ongoing-request="(true|false)"')


class S3Restore:
    """Recalls from one bucket."""

    def __init__(self, url: str, archive_class: str) -> None:
        """`url` as of the tier's store; `archive_class` empty: the bucket's own rules archive. Raises UsageError."""
        address = address_of(url)
        self._bucket, self._prefix = address.bucket, f"{address.prefix}/" if address.prefix else ""
        self._url = address.shown
        self._archive_class = archive_class
        self._client = client_of(address.options, address.ways[0])
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wedsync-recall")

    @property
    def offers(self) -> tuple[Offer, ...]:
        """See `RecallDriver.offers`. Without a class of ours: as if it were the faster one."""
        return _OFFERS[self._archive_class or "GLACIER"]

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """See `RecallDriver.request`."""
        wanted = {"Days": days, "GlacierJobParameters": {"Tier": speed.capitalize()}}

        def ask(name: str) -> None:
            try:
                self._client.restore_object(Bucket=self._bucket, Key=self._prefix + name, RestoreRequest=wanted)
            except Exception as error:
                if code_of(error) not in ("RestoreAlreadyInProgress", "InvalidObjectState"):  # or it is not archived
                    raise self._explained(error, name) from error

        for _ in self._pool.map(ask, names):
            pass

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """See `RecallDriver.standing`."""

        def look(name: str) -> Standing | None:
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
            except Exception as error:
                explained = self._explained(error, name)
                if isinstance(explained, NotFound):
                    return None
                raise explained from error
            return standing_of(found)

        return {name: found for name, found in zip(names, self._pool.map(look, names), strict=True) if found}

    def archive(self, name: str) -> None:
        """See `RecallDriver.archive`: the object is copied onto itself in its class."""
        if not self._archive_class:
            return
        key = self._prefix + name
        try:
            if self._client.head_object(Bucket=self._bucket, Key=key).get("StorageClass") not in ARCHIVES:
                source = {"Bucket": self._bucket, "Key": key}
                self._client.copy_object(
                    Bucket=self._bucket, Key=key, CopySource=source, StorageClass=self._archive_class
                )
        except Exception as error:
            raise self._explained(error, name) from error

    def close(self) -> None:
        """See `RecallDriver.close`."""
        self._pool.shutdown()
        self._client.close()

    def _explained(self, error: Exception, name: str) -> WedSyncError:
        code = code_of(error)
        if code in ("404", "NoSuchKey", "NotFound"):
            return NotFound(f"{name} is not in the store")
        if code in ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
            return NotPermitted(f"{self._url} refuses a recall ({code})", "check the key and what it may do")
        if code == "GlacierExpeditedRetrievalNotAvailable":
            return Unavailable(f"{self._url} has no room for expedited recalls now", "try --speed standard, or later")
        return Unavailable(f"{self._url} does not answer a recall ({code or error})", "check it and the line to it")


def standing_of(head: Mapping[str, Any]) -> Standing:
    """What a HEAD of an object says. Pure."""
    if head.get("StorageClass") not in ARCHIVES:
        return Standing("readable", 0.0)
    ongoing = _ONGOING.search(str(head.get("Restore", "")))
    if ongoing is None:
        return Standing("archived")
    return Standing("coming") if ongoing[1] == "true" else Standing("readable", 0.0)


def code_of(error: Exception) -> str:
    """The service's word for what went wrong; empty where it said nothing."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, Mapping) else ""


def client_of(options: Mapping[str, str], endpoint: str) -> Any:
    """What talks to a service in boto3's way. Raises UsageError where that is not installed."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise UsageError("recalls and locks need boto3", "install wedsync-tui with its extra: archive") from None
    session = boto3.session.Session(profile_name=options.get("profile"), region_name=options.get("region"))
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"max_attempts": 6, "mode": "standard"},
        max_pool_connections=AT_ONCE,
    )
    return session.client("s3", endpoint_url=endpoint or None, config=config)
