"""URLs of stores: which are taken, which refused, and with what words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.storage.stores.local import LocalStore
from engine.storage.stores.memory import MemoryStore
from engine.storage.stores.open import open_store


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/a/b/", create=True)
    assert isinstance(store, LocalStore)
    assert store.url == f"file://{tmp_path}/a/b"
    store.put("x", b"")
    assert (tmp_path / "a/b/x").exists()
    store.close()


@pytest.mark.parametrize(
    ("encoded", "name"),
    [("with%20space", b"with space"), ("caf%E9", b"caf\xe9"), ("a%3Fb%23c", b"a?b#c"), ("100%25", b"100%"), ("ü", "ü")],
)
def test_a_file_url_is_percent_decoded(tmp_path: Path, encoded: str, name: bytes | str) -> None:
    store = open_store(f"file://{tmp_path}/{encoded}", create=True)
    assert (tmp_path / os.fsdecode(name)).is_dir()
    again = open_store(store.url, create=False)
    assert again.url == store.url
    again.close()
    store.close()


def test_localhost_is_this_machine(tmp_path: Path) -> None:
    open_store(f"file://localhost{tmp_path}", create=False).close()


@pytest.mark.parametrize(
    "url",
    [
        "", "/srv/store", "store", "file:", "file:/srv/store", "file://", "file://srv/store", "file://./store",
        "file:///srv/../etc", "file:///srv/%2e%2e/etc", "file:///a%00b", "file:///a?b=c", "file:///a#b",
        "s3://", "gs://bucket/prefix", "http://example.org/", "memory", "C:\\store",
    ],
)  # fmt: skip
def test_any_other_url_is_a_usage_error_that_says_what_to_write(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url, create=True)
    assert caught.value.hint


def test_a_missing_store_is_not_found_unless_it_is_to_be_made(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}/none", "memory://test-none"):
        with pytest.raises(NotFound):
            open_store(url, create=False)


def test_a_named_memory_store_is_shared_and_a_nameless_one_is_fresh() -> None:
    first = open_store("memory://test-shared", create=True)
    assert isinstance(first, MemoryStore)
    first.put("a", b"x")
    first.close()
    assert open_store("memory://test-shared", create=False).get("a", limit_bytes=1) == b"x"
    open_store("memory://", create=True).put("a", b"x")
    assert list(open_store("memory://", create=False).list("")) == []
