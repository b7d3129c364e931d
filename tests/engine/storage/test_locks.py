"""Object Lock on a real service: what is locked cannot be deleted, and the day is moved on before it comes."""

from __future__ import annotations

import datetime as dt
import itertools

import boto3
import pytest

from engine.base.clock import FakeClock
from engine.base.errors import NotPermitted
from engine.storage import locks
from engine.storage.locks import Locks
from engine.storage.stores.open import open_store
from tests.s3_servers import S3Server
from tests.suites.object_store import publish

pytestmark = pytest.mark.usefixtures("s3_keys")
DAYS = 30
_buckets = (f"locked-{number}" for number in itertools.count())


class Bucket:
    """A bucket with Object Lock, as an operator makes it."""

    def __init__(self, server: S3Server, *, default_days: int | None = DAYS) -> None:
        self.name = next(_buckets)
        self.url = server.url("store", bucket=self.name) + "&checksum=sha256"
        self.client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1")
        self.client.create_bucket(Bucket=self.name, ObjectLockEnabledForBucket=True)
        if default_days is not None:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": default_days}}
            configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            self.client.put_object_lock_configuration(Bucket=self.name, ObjectLockConfiguration=configuration)

    def until(self, name: str) -> dt.datetime:
        """The day that an object is kept to."""
        found = self.client.get_object_retention(Bucket=self.name, Key=f"store/{name}")
        assert found["Retention"]["Mode"] == "COMPLIANCE"
        until = found["Retention"]["RetainUntilDate"]
        assert isinstance(until, dt.datetime)
        return until


def test_the_day_of_every_object_is_moved_on_page_by_page(weed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PAGE", 2)
    bucket, clock = Bucket(weed), FakeClock()
    names = [f"snapshots/{number}" for number in range(3)] + ["packs/1"]
    store = open_store(bucket.url, create=False)
    for name in names[:3]:
        store.put(name, b"sealed")
    publish(store, names[3], bytes(4096))
    store.close()
    clock.advance(400 * 86_400)
    renewing = Locks(bucket.url, DAYS, clock)
    renewing.check()
    assert [renewing.renew(), renewing.renew()] == [False, True]
    renewing.close()
    wanted = dt.datetime.fromtimestamp(clock.now_ns() // 10**9, tz=dt.UTC) + dt.timedelta(days=DAYS)
    assert {bucket.until(name) for name in names} == {wanted}


def test_what_is_locked_cannot_be_deleted_for_good(weed: S3Server) -> None:
    bucket = Bucket(weed)
    store = open_store(bucket.url, create=False)
    store.put("snapshots/1", b"sealed")
    store.close()
    (version,) = bucket.client.list_object_versions(Bucket=bucket.name)["Versions"]
    with pytest.raises(bucket.client.exceptions.ClientError, match="AccessDenied"):
        bucket.client.delete_object(Bucket=bucket.name, Key="store/snapshots/1", VersionId=version["VersionId"])


@pytest.mark.parametrize("days", [None, DAYS - 1])
def test_a_bucket_that_does_not_lock_what_is_new_is_refused(weed: S3Server, days: int | None) -> None:
    renewing = Locks(Bucket(weed, default_days=days).url, DAYS, FakeClock())
    with pytest.raises(NotPermitted, match="does not lock what is new"):
        renewing.check()
    renewing.close()
