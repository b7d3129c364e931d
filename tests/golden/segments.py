"""Vectors of manifest segments: entries that a manifest may hold, and those it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from blake3 import blake3

from engine.repository import codec
from engine.repository.entry import (
    ALL_HOLE,
    CHARACTER_DEVICE,
    FIFO,
    FILE,
    FOLDER,
    SOCKET,
    SYMLINK,
    TIME_NS_MAX,
    TIME_NS_MIN,
    Entry,
)
from tests.golden import world
from tests.golden.vector import Vector

_ID = world.salt("chunk 1")
_HASH = world.salt("file hash")


def _entry(path: bytes, kind: int = FILE, **more: Any) -> Entry:
    if kind == FILE:
        more = {"size": 600, "chunks": _ID, "hash": _HASH, **more}
    return Entry(path, kind, more.pop("mode", 0o644), 1000, 1000, more.pop("mtime_ns", world.NOW_NS), **more)


def _vector(title: str, data: bytes, comment: str, *, expect: str = "integrity", layer: str = "payload") -> Vector:
    payload = blake3(data).hexdigest() if expect == "ok" else ""
    return Vector(f"segment-{title}", data, expect, "segment", comment, "" if payload else layer, payload=payload)


def _good() -> list[Entry]:
    return [
        _entry(b"srv", FOLDER, mode=0o2775, inode=2**63 + 1),
        _entry(b"srv/\xff\n", xattrs=((b"user.a", b""), (b"user.b", b"\0")), ctime_ns=world.NOW_NS, inode=7),
        _entry(b"srv/a", FOLDER, mode=0o1777),
        _entry(b"srv/a/all-hole", size=1 << 40, extents=ALL_HOLE, chunks=b"", hash=blake3().digest()),
        _entry(b"srv/a/device", CHARACTER_DEVICE, device=0x103),
        _entry(b"srv/a/empty", size=0, chunks=b"", hash=blake3().digest()),
        _entry(b"srv/a/link", SYMLINK, target=b"/nowhere\xff", mtime_ns=TIME_NS_MIN),
        _entry(b"srv/a/many", chunks=b"", chunk_lists=_ID, mtime_ns=TIME_NS_MAX),
        _entry(b"srv/a/name-1", link_group=2**63 - 1),
        _entry(b"srv/a/name-2", link_group=2**63 - 1),
        _entry(b"srv/a/pipe", FIFO, mtime_ns=-1),
        _entry(b"srv/a/socket", SOCKET),
        _entry(b"srv/a/sparse", size=1 << 20, extents=((4096, 500), (1048376, 100))),
        _entry(b"srv/a/unfinished", size=200 << 20, hash=b"\0" + _HASH + _HASH),
        _entry(b"srv/a b"),  # behind all of srv/a, though a space comes before a slash
        _entry(b"srv/..."),
    ]


def vectors() -> Iterator[Vector]:
    """All of this module."""
    good = sorted(_good(), key=lambda entry: entry.components)
    yield _vector("ok", codec.encode(good), "every kind of entry", expect="ok")
    yield _vector(
        "empty", b"\x90", "no entry; a reader of a manifest asks for the number its snapshot tells", expect="ok"
    )
    yield from _forms()
    for title, path in (
        ("path-dotdot", b"srv/../etc"),
        ("path-dot", b"srv/./a"),
        ("path-only-dotdot", b".."),
        ("path-absolute", b"/srv"),
        ("path-double-slash", b"srv//a"),
        ("path-trailing-slash", b"srv/"),
        ("path-empty", b""),
        ("path-nul", b"srv/a\0b"),
    ):
        yield _vector(title, codec.encode([_entry(path)]), f"the path {path!r}")
    for title, paths, comment in (
        ("order-swapped", (b"b", b"a"), "b before a"),
        ("order-same", (b"a", b"a"), "the same path twice"),
        ("order-bytewise", (b"a", b"a-b", b"a/b"), "in order by bytes, not by components"),
        ("order-child-first", (b"a/b", b"a"), "what a folder holds before the folder"),
    ):
        folders = [_entry(path, FOLDER) for path in paths]
        yield _vector(title, codec.encode(folders), comment)
    below = [_entry(b"a", SYMLINK, target=b"/etc"), _entry(b"a/passwd")]
    yield _vector("below-symlink", codec.encode(below), "a file below a symlink")
    yield _vector("below-file", codec.encode([_entry(b"a"), _entry(b"a/b")]), "a file below a file")
    for title, entry, comment in _fields():
        yield _vector(title, codec.encode([entry]), comment)


def _forms() -> Iterator[Vector]:
    """Not the encoding that format 1 has."""
    one = codec.encode([_entry(b"a", FOLDER)])
    fields: list[Any] = msgspec.msgpack.decode(one)[0]
    encode = msgspec.msgpack.encode
    yield _vector("trailing", one + b"\xc0", "a nil behind the entries", layer="seal")
    yield _vector("long-array", b"\xdc\x00\x01" + one[1:], "an array of 16-bit length for one entry", layer="seal")
    yield _vector("long-int", one.replace(b"\xcd\x03\xe8", b"\xce\x00\x00\x03\xe8", 1), "1000 in 32 bits", layer="seal")
    yield _vector("text-path", one.replace(b"\xc4\x01a", b"\xa1a"), "a path as text")
    yield _vector("truncated", one[:-1], "the last byte is missing", layer="seal")
    yield _vector("missing-field", encode([fields[:-1]]), "an entry without its last field")
    yield _vector("extra-field", encode([[*fields, 0]]), "an entry with a field too many")
    yield _vector("nested", b"\x91" * 2000, "2,000 arrays in each other", layer="seal")


def _fields() -> Iterator[tuple[str, Entry, str]]:
    yield "unknown-kind", _entry(b"a", 7), "kind 7"
    yield "mode", _entry(b"a", mode=0o100644), "a mode of more than twelve bits"
    yield "negative-size", _entry(b"a", size=-1), "a size under 0"
    yield "size-over-bound", _entry(b"a", size=1 << 63), "a size of 2^63"
    yield "folder-size", _entry(b"a", FOLDER, size=4096), "a folder with a size"
    yield "folder-chunks", _entry(b"a", FOLDER, chunks=_ID), "a folder with contents"
    yield "fifo-device", _entry(b"a", FIFO, device=1), "a device number of a FIFO"
    yield "file-target", _entry(b"a", target=b"b"), "a link target of a file"
    yield "no-target", _entry(b"a", SYMLINK), "a symlink without a target"
    yield "target-nul", _entry(b"a", SYMLINK, target=b"a\0b"), "a link target with a NUL"
    yield "chunks-cut", _entry(b"a", chunks=_ID[:-1]), "a chunk id of 31 bytes"
    yield "lists-cut", _entry(b"a", chunks=b"", chunk_lists=_ID + b"x"), "33 bytes of chunk lists"
    yield "chunks-and-lists", _entry(b"a", chunk_lists=_ID), "chunks and chunk lists"
    yield "no-hash", _entry(b"a", hash=b""), "a file without its hash"
    yield "hash-cut", _entry(b"a", hash=_HASH[:-1]), "a hash of 31 bytes"
    yield "hash-unfinished", _entry(b"a", hash=b"\x01" + _HASH), "33 bytes of hash that do not begin with 0"
    for title, extents in (
        ("swapped", ((300, 100), (0, 100))),
        ("overlap", ((0, 200), (100, 200))),
        ("empty", ((0, 100), (200, 0))),
        ("outside", ((500, 101),)),
        ("negative", ((-1, 10),)),
        ("hole-and-data", ((0, 0), (10, 10))),
    ):
        yield f"extents-{title}", _entry(b"a", extents=extents), f"extents {[list(each) for each in extents]}"
