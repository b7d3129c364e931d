"""Object Lock: what lies in a bucket that only takes additions cannot be deleted before a day that is moved on again.

In: a bucket, and for how long. Out: every object under retention in COMPLIANCE mode, which nobody can shorten, not
even with the account's own keys (Amazon S3 user guide, "Using Object Lock"). New objects are locked by the bucket's
default retention; renewing moves on the day of all of them. Blocks; one thread.
"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

from engine.base.clock import Clock
from engine.base.errors import NotPermitted, Unavailable, WedSyncError
from engine.storage.recall.s3 import client_of, code_of
from engine.storage.stores.buckets import address_of

PAGE = 500  # objects renewed at once
AT_ONCE = 8
_DAY_NS = 86_400 * 10**9


class Locks:
    """The locks of one region's objects."""

    def __init__(self, url: str, days: int, clock: Clock) -> None:
        """`url` as of the region's store. Raises UsageError when it is no bucket, or the library is missing."""
        address = address_of(url)
        self._bucket, self._prefix = address.bucket, f"{address.prefix}/" if address.prefix else ""
        self._url = address.shown
        self._days = days
        self._clock = clock
        self._client = client_of(address.options, address.ways[0])
        self._after = ""  # where the next page begins

    def check(self) -> None:
        """Raise NotPermitted unless the bucket locks what is new in it for at least as long; Unavailable."""
        try:
            found = self._client.get_object_lock_configuration(Bucket=self._bucket)["ObjectLockConfiguration"]
        except Exception as error:
            if code_of(error) == "ObjectLockConfigurationNotFoundError":
                raise self._without_lock() from error
            raise self._explained(error) from error
        default = found.get("Rule", {}).get("DefaultRetention", {})
        days = default.get("Days", 0) + 365 * default.get("Years", 0)
        if found.get("ObjectLockEnabled") != "Enabled" or default.get("Mode") != "COMPLIANCE" or days < self._days:
            raise self._without_lock()

    def renew(self) -> bool:
        """Move the day on for the next page of objects; whether that was the last. Raises NotPermitted, Unavailable."""
        until = dt.datetime.fromtimestamp((self._clock.now_ns() + self._days * _DAY_NS) // 10**9, tz=dt.UTC)
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
        try:
            page = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix, StartAfter=self._after, MaxKeys=PAGE
            )
            keys = [entry["Key"] for entry in page.get("Contents", ())]
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wedsync-locks") as pool:
                for _ in pool.map(lambda key: self._retain(key, retention), keys):
                    pass
        except Exception as error:
            raise self._explained(error) from error
        is_last = not page.get("IsTruncated", False)
        self._after = "" if is_last or not keys else keys[-1]
        return is_last

    def _retain(self, key: str, retention: dict[str, object]) -> None:
        self._client.put_object_retention(Bucket=self._bucket, Key=key, Retention=retention)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _without_lock(self) -> WedSyncError:
        return NotPermitted(
            f"the bucket of {self._url} does not lock what is new in it for {self._days} days",
            "make it with Object Lock, and a default retention in COMPLIANCE mode of at least as long",
        )

    def _explained(self, error: Exception) -> WedSyncError:
        if isinstance(error, WedSyncError):
            return error
        code = code_of(error)
        if code in ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
            return NotPermitted(f"{self._url} refuses to lock objects ({code})", "check the key and what it may do")
        return Unavailable(f"{self._url} does not lock objects ({code or error})", "check it and the line to it")
