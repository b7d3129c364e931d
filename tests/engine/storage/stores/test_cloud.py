"""`CloudStore` on real services against the shared suite, and what is its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.exceptions import GenericError
from obstore.store import S3Store

from engine.base.clock import FakeClock
from engine.base.errors import Conflict, NotFound, NotPermitted, Unavailable, UsageError
from engine.storage.stores import breaker
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.buckets import open_bucket
from engine.storage.stores.cloud import CloudStore
from engine.storage.stores.congestion import Congestion
from engine.storage.stores.endpoints import Endpoint, Endpoints
from engine.storage.stores.open import open_store
from engine.storage.stores.replies import explain_reply
from engine.storage.stores.store import ObjectStore
from tests import s3_servers
from tests.s3_servers import S3Server
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, pattern, publish
from tests.trees import describe
from tests.vaults import Bench

pytestmark = pytest.mark.usefixtures("s3_keys")
_prefixes = (f"trial-{number}/store" for number in itertools.count())


def engines_on(server: S3Server) -> Iterator[OpenEngine]:
    """A way to open one fresh prefix of the service again and again."""
    url = server.url(next(_prefixes))
    opened: list[ObjectStore] = []

    def open_one() -> ObjectStore:
        opened.append(open_store(url, create=True))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def store_over(clock: FakeClock, *clients: S3Store) -> CloudStore:
    """A store whose endpoints are called 0, 1, …"""
    ways = [
        Endpoint(f"http://{number}", client, Breaker(clock), Congestion("http://127.0.0.1:9", "bbr", clock))
        for number, client in enumerate(clients)
    ]
    return CloudStore(Endpoints(ways, store_url="s3://weddings", clock=clock), url="s3://weddings")


class TestOnSeaweed(ObjectStoreSuite):
    """The promises every store makes."""

    has_folders = False

    @pytest.fixture
    def open_engine(self, weed: S3Server) -> Iterator[OpenEngine]:
        yield from engines_on(weed)


class TestOnMoto(ObjectStoreSuite):
    """The promises every store makes."""

    has_folders = False

    @pytest.fixture
    def open_engine(self, moto: S3Server) -> Iterator[OpenEngine]:
        yield from engines_on(moto)


# --- what a service or the line to it answers ---


def test_wrong_keys_are_not_permitted(weed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(NotPermitted, match="SignatureDoesNotMatch"):
        open_store(weed.url("x"), create=True)


def test_a_bucket_that_is_not_there_is_not_found(moto: S3Server) -> None:
    with pytest.raises(NotFound, match="bucket"):
        open_store(moto.url("x", bucket="nothing-here"), create=True)


def test_a_file_of_credentials_is_read(weed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in s3_servers.CREDENTIALS:
        monkeypatch.delenv(name)
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[studio]\naws_access_key_id = {s3_servers.KEY}\naws_secret_access_key = {s3_servers.SECRET}\n[other]\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    url = f"{weed.url(next(_prefixes))}&region=us-east-1"
    store = open_store(f"{url}&profile=studio", create=True)
    store.put("a", b"1")
    assert store.get("a", limit_bytes=1) == b"1"
    store.close()
    for profile in ("other", "none"):
        with pytest.raises(NotFound, match=profile):
            open_store(f"{url}&profile={profile}", create=True)


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hush@bucket/prefix", "s3://bucket?endpoint=https://key:hush@host", "s3://bucket?secret=hush",
        "s3://Bucket/x", "s3://b", "s3://bucket/../x", "s3://bucket/a b", "s3://bucket/x#y", "s3://bucket?endpoint=host",
        "s3://bucket?endpoint=https://host&congestion=warp",
    ],
)  # fmt: skip
def test_a_url_that_is_wrong_or_tells_a_secret_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_bucket(url, FakeClock())
    assert "hush" not in caught.value.line()


def test_missing_credentials_are_told_as_such() -> None:
    """Without any the machine's role is asked, whose refusal says nothing of the bucket."""
    asked = "Error performing PUT http://169.254.169.254/latest/api/token in 1ms - Server returned status code: 403"
    error = explain_reply(GenericError(asked), name="a", url="s3://b?endpoint=http://127.0.0.1:1")
    assert isinstance(error, NotPermitted)
    assert "no credentials for the store s3://b" in error.message
    assert "403" not in error.line()


def test_a_service_that_is_not_there_is_unavailable_and_soon_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    nobody = S3Store("weddings", endpoint="http://127.0.0.1:9", region="us-east-1", client_options={"allow_http": True},
                     retry_config={"max_retries": 0})  # fmt: skip
    store = store_over(clock, nobody)
    for _ in range(breaker.FAILURES):
        with pytest.raises(Unavailable, match="does not answer"):
            store.stat("a")
    with pytest.raises(Unavailable, match="5 times in a row"):
        store.stat("a")
    clock.advance(breaker.REST_S)
    with pytest.raises(Unavailable, match="does not answer"):
        store.stat("a")
    with pytest.raises(Unavailable, match="6 times in a row"):
        store.stat("a")
    store.close()


def test_one_answer_closes_the_breaker_again() -> None:
    clock = FakeClock()
    mine = Breaker(clock)
    for _ in range(breaker.FAILURES):
        mine.check("s3://x")
        mine.note(failed=True)
    assert mine.is_open
    clock.advance(breaker.REST_S)
    mine.check("s3://x")
    with pytest.raises(Unavailable):
        mine.check("s3://x")  # one tries, the others wait for its outcome
    mine.note(failed=False)
    mine.check("s3://x")
    assert not mine.is_open


def test_a_put_whose_answer_was_lost_is_no_conflict(weed: S3Server) -> None:
    store = open_store(weed.url(next(_prefixes)), create=True)
    store.put("leases/1", b"mine")
    store.put("leases/1", b"mine")  # as a retry sends it, after the first arrived and its answer did not
    with pytest.raises(Conflict):
        store.put("leases/1", b"other")
    store.close()


def test_a_large_object_goes_up_in_parts(weed: S3Server) -> None:
    store = open_store(weed.url(next(_prefixes)), create=True)
    data = pattern(65 * 1024 * 1024 // 4096 * 4096)
    publish(store, "packs/1", data)
    publish(store, "packs/1", data)
    buffer = bytearray(8192)
    store.read_into("packs/1", len(data) - 8192, memoryview(buffer))
    assert buffer == data[-8192:]
    with pytest.raises(Conflict, match=str(len(data))):
        publish(store, "packs/1", data[: 64 * 1024 * 1024])
    store.close()


def test_what_is_staged_while_the_store_is_closed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_over(FakeClock())
    lock = store._lock

    class ClosedMeanwhile:
        """Whoever takes the lock first finds that another thread has closed the store just before."""

        def __enter__(self) -> None:
            monkeypatch.setattr(store, "_lock", lock)
            store.close()
            lock.acquire()

        def __exit__(self, *error: object) -> None:
            lock.release()

    monkeypatch.setattr(store, "_lock", ClosedMeanwhile())
    with pytest.raises(Unavailable, match="closed"):
        store.stage()
    assert not store._staged


# --- a repository in a bucket ---


def test_a_wedding_is_backed_up_into_a_bucket_and_comes_back(weed: S3Server, tmp_path: Path) -> None:
    source = tmp_path / "card"
    source.mkdir()
    for number in range(40):
        (source / f"IMG_{number:04}.JPG").write_bytes(pattern(200_000 + number, seed=number))
    url = weed.url(next(_prefixes))
    with Bench(open_store(url, create=True)) as bench:
        bench.backup(source)
    with Bench(open_store(url, create=False)) as bench:
        assert bench.verify().problems == []
        bench.retrieve(tmp_path / "back")
    assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)
