"""`LocalStore` against the shared suite, and what only a disk can do: links, foreign files, a medium that goes away."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import LimitReached, NotFound, NotPermitted, Unavailable, UsageError
from engine.base.invariants import BrokenInvariant
from engine.storage.stores import syscalls
from engine.storage.stores.descriptors import OPEN_MAX
from engine.storage.stores.local import LocalStore
from tests.engine.storage.stores.disks import fills_at, read_only_folder, small_disk
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, names_in, paged, pattern, publish


class _LocalSuite(ObjectStoreSuite):
    """A store in a folder of its own, opened as often as a test likes."""

    direct_io = True

    @pytest.fixture
    def open_engine(self, tmp_path: Path) -> Iterator[OpenEngine]:
        opened: list[LocalStore] = []

        def open_one() -> LocalStore:
            opened.append(LocalStore(tmp_path / "store", create=True, direct_io=self.direct_io))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()
        assert list((tmp_path / "store").glob("tmp/*")) == []


class TestLocalStore(_LocalSuite):
    """With direct I/O where the disk allows it."""


class TestLocalStoreBuffered(_LocalSuite):
    """Through the page cache only."""

    direct_io = False


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    """An open, empty store in `root`."""
    store = LocalStore(root, create=True)
    yield store
    store.close()


def files_under(root: Path) -> list[str]:
    """Every file below `root`, staged ones too; lock files are not counted."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() and path.name != "lock")


# --- opening ---


def test_a_missing_folder_is_made_with_its_parents_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no store"):
        LocalStore(tmp_path / "a" / "b", create=False)
    assert not (tmp_path / "a").exists()
    LocalStore(tmp_path / "a" / "b", create=True).close()
    LocalStore(tmp_path / "a" / "b", create=False).close()


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="not a folder"):
        LocalStore(tmp_path / "file", create=True)


def test_a_relative_folder_is_refused() -> None:
    with pytest.raises(BrokenInvariant):
        LocalStore(Path("store"), create=True)


def test_opening_and_reading_write_nothing(root: Path, store: LocalStore) -> None:
    store.put("a", b"x")
    store.close()
    (root / "tmp").rmdir()
    reader = LocalStore(root, create=False)
    assert reader.get("a", limit_bytes=1) == b"x"
    assert names_in(reader) == ["a"]
    reader.close()
    assert sorted(os.listdir(root)) == ["a"]


def test_the_url_leads_back_to_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 100%")
    store = LocalStore(folder, create=True)
    assert store.url.endswith("/caf%E9%20100%25")
    store.close()


def test_a_message_shows_a_path_that_is_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        LocalStore(tmp_path / os.fsdecode(b"caf\xe9"), create=False)
    assert "caf\\xe9" in caught.value.line()
    caught.value.line().encode()


# --- what lies on the disk ---


def test_objects_are_files_of_their_names(root: Path, store: LocalStore) -> None:
    store.put("weddings/0a/key/1", b"key")
    publish(store, "weddings/0a/packs/9f", pattern(4096))
    assert files_under(root) == ["weddings/0a/key/1", "weddings/0a/packs/9f"]
    assert (root / "weddings/0a/key/1").read_bytes() == b"key"
    assert (root / "weddings/0a/key/1").stat().st_nlink == 1
    assert (root / "weddings/0a/key/1").stat().st_mode & 0o777 == 0o600
    assert (root / "weddings/0a").stat().st_mode & 0o777 == 0o700


def test_what_is_no_object_is_neither_listed_nor_read(root: Path, store: LocalStore, tmp_path: Path) -> None:
    store.put("packs/real", b"x")
    (tmp_path / "secret").write_bytes(b"elsewhere")
    (root / "packs/link").symlink_to(tmp_path / "secret")
    (root / "linked").symlink_to(tmp_path)
    os.mkfifo(root / "packs/fifo")
    (root / "packs/.nfs0001").write_bytes(b"")
    (root / "lost+found").mkdir()
    (root / "lost+found/x").write_bytes(b"")
    assert names_in(store) == ["packs/real"]
    for name in ("packs/link", "packs/fifo", "packs"):
        with pytest.raises(NotFound):
            store.get(name, limit_bytes=100)
        with pytest.raises(NotFound):
            store.read_into(name, 0, memoryview(bytearray(1)))
        with pytest.raises(NotFound):
            store.stat(name)


def test_a_store_that_went_away_is_not_an_empty_one(root: Path, store: LocalStore) -> None:
    store.put("a", b"x")
    root.rename(root.with_name("moved"))
    with pytest.raises(Unavailable):
        list(store.list(""))
    with pytest.raises(Unavailable):
        list(store.list("snapshots/"))
    root.mkdir()  # an empty mount point, so to speak
    with pytest.raises(Unavailable):
        list(store.list("snapshots/"))


def test_few_descriptors_stay_open(store: LocalStore) -> None:
    for number in range(OPEN_MAX + 20):
        store.put(f"packs/{number}", b"x")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(OPEN_MAX + 20):
        store.read_into(f"packs/{number}", 0, memoryview(bytearray(1)))
    assert len(os.listdir("/proc/self/fd")) <= before + OPEN_MAX
    store.close()
    assert len(os.listdir("/proc/self/fd")) < before + 5


def test_a_deleted_object_does_not_keep_its_room(store: LocalStore) -> None:
    store.put("packs/1", b"x")
    before = len(os.listdir("/proc/self/fd"))
    store.read_into("packs/1", 0, memoryview(bytearray(1)))
    store.delete("packs/1")
    assert len(os.listdir("/proc/self/fd")) == before


def test_every_descriptor_is_given_back(root: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        store = LocalStore(root, create=True)
        staged = store.stage()
        staged.append(paged(pattern(4096)))
        publish(store, "packs/1", pattern(8192))
        store.get("packs/1", limit_bytes=8192)
        store.read_into("packs/1", 0, memoryview(bytearray(1)))
        store.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- direct I/O ---


def test_large_read_takes_what_the_page_cache_holds_and_adds_nothing_to_it(root: Path, store: LocalStore) -> None:
    size = 4 * 1024 * 1024
    contents = pattern(size)
    publish(store, "packs/1", contents)
    path = root / "packs" / "1"

    def read() -> None:
        buffer = memoryview(mmap.mmap(-1, size))
        store.read_into("packs/1", 0, buffer)
        assert bytes(buffer) == contents

    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        room = memoryview(bytearray(size))
        cached = syscalls.read_cached_at(file.fileno(), room[-4096:], size - 4096)  # none, but on a disk in memory
        read()
        assert syscalls.read_cached_at(file.fileno(), room[-(1 << 20) : -4096], size - (1 << 20)) <= cached
        path.read_bytes()
        assert syscalls.read_cached_at(file.fileno(), room, 0) == size
        read()


def test_large_read_of_a_cached_object_never_opens_it_for_direct_io(
    root: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "packs/1", pattern(1 << 20))
    (root / "packs" / "1").read_bytes()
    opened: list[bool] = []
    open_for_reading = syscalls.open_for_reading

    def noted(path: str, *, direct: bool = False) -> int:
        opened.append(direct)
        return open_for_reading(path, direct=direct)

    monkeypatch.setattr(syscalls, "open_for_reading", noted)
    store.read_into("packs/1", 0, memoryview(mmap.mmap(-1, 1 << 20)))
    assert opened == [False]


def test_direct_io_is_given_up_where_files_cannot_be_opened_for_it(
    root: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    create_file = syscalls.create_file

    def refuse_direct(path: str, *, direct: bool) -> int:
        asked.append(direct)
        if direct:
            os.close(create_file(path, direct=False))  # as kernels do that refuse only after making the file
            raise OSError(errno.EINVAL, "no direct I/O here")
        return create_file(path, direct=False)

    monkeypatch.setattr(syscalls, "create_file", refuse_direct)
    publish(store, "packs/1", pattern(8192))
    publish(store, "packs/2", pattern(4096))
    assert asked == [True, False, False]
    assert store.get("packs/1", limit_bytes=8192) == pattern(8192)
    assert files_under(root) == ["packs/1", "packs/2"]


def test_direct_io_is_given_up_for_a_file_whose_write_is_refused(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_file, write_at, set_buffered = syscalls.create_file, syscalls.write_at, syscalls.set_buffered
    directs: set[int] = set()

    def create(path: str, *, direct: bool) -> int:
        fd = create_file(path, direct=False)
        if direct:
            directs.add(fd)
        return fd

    def write(fd: int, data: memoryview, offset: int) -> int:
        if fd in directs and offset >= 4096:
            raise OSError(errno.EINVAL, "unaligned")
        return write_at(fd, data, offset)

    def buffered(fd: int) -> None:
        directs.remove(fd)
        set_buffered(fd)

    monkeypatch.setattr(syscalls, "create_file", create)
    monkeypatch.setattr(syscalls, "write_at", write)
    monkeypatch.setattr(syscalls, "set_buffered", buffered)
    staged = store.stage()
    for _ in range(3):
        staged.append(paged(pattern(4096)))
    staged.publish("packs/1").result()
    assert store.get("packs/1", limit_bytes=3 * 4096) == pattern(4096) * 3
    assert directs == set()


def test_short_writes_are_continued(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write_at = syscalls.write_at
    monkeypatch.setattr(syscalls, "write_at", lambda fd, data, offset: write_at(fd, data[:1000], offset))
    publish(store, "packs/1", pattern(2 * 1024 * 1024))
    store.put("config/1", pattern(3333))
    assert store.get("packs/1", limit_bytes=2**21) == pattern(2**21)
    assert store.get("config/1", limit_bytes=3333) == pattern(3333)


def test_a_disk_that_takes_no_byte_is_an_error_and_no_endless_loop(
    root: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "write_at", lambda fd, data, offset: 0)
    with pytest.raises(Unavailable):
        store.put("a", b"x")
    assert files_under(root) == []


# --- a full disk, a read-only one ---


def test_a_full_disk_is_a_limit_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size_bytes=2 * 1024 * 1024) as disk:
        store = LocalStore(disk / "store", create=True)
        publish(store, "packs/kept", pattern(512 * 1024))
        staged = store.stage()
        with pytest.raises(LimitReached) as caught:
            staged.append(paged(pattern(3 * 1024 * 1024)))
        assert str(disk) in caught.value.line()
        with pytest.raises(BrokenInvariant):
            staged.publish("packs/half")
        with pytest.raises(LimitReached):
            store.put("manifests/large", pattern(3 * 1024 * 1024))
        assert files_under(disk / "store") == ["packs/kept"]
        publish(store, "packs/after", pattern(512 * 1024))
        assert store.get("packs/kept", limit_bytes=2**20) == pattern(512 * 1024)
        store.close()


def test_a_file_over_the_size_limit_is_a_limit_and_leaves_nothing_behind(root: Path, store: LocalStore) -> None:
    with fills_at(64 * 1024):
        staged = store.stage()
        staged.append(paged(pattern(60 * 1024)))
        with pytest.raises(LimitReached):
            staged.append(paged(pattern(8192)))
        with pytest.raises(LimitReached):
            store.put("a", pattern(70_000))
    assert files_under(root) == []


def test_a_read_only_store_can_be_read_and_is_not_permitted_to_change(
    root: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("packs/1", b"x")
    store.close()
    with read_only_folder(root, monkeypatch):
        reader = LocalStore(root, create=True)
        assert names_in(reader) == ["packs/1"]
        buffer = bytearray(1)
        reader.read_into("packs/1", 0, memoryview(buffer))
        assert buffer == b"x"
        with pytest.raises(NotPermitted) as caught:
            reader.put("packs/2", b"y")
        assert str(root) in caught.value.line()
        with pytest.raises(NotPermitted):
            reader.stage()
        with pytest.raises(NotPermitted):
            reader.delete("packs/1")
        with pytest.raises(NotPermitted):
            LocalStore(root / "new", create=True)
        reader.close()
    assert files_under(root) == ["packs/1"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, LimitReached),
        (errno.EDQUOT, LimitReached),
        (errno.EFBIG, LimitReached),
        (errno.EACCES, NotPermitted),
        (errno.EPERM, NotPermitted),
        (errno.EROFS, NotPermitted),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.EMFILE, Unavailable),
    ],
)
def test_what_the_system_refuses_is_one_line_with_the_path_and_a_hint(
    root: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(syscalls, "write_at", refuse)
    with pytest.raises(kind) as caught:
        store.put("a", b"x")
    error = caught.value
    assert str(root) in error.message  # type: ignore[attr-defined]
    assert error.hint  # type: ignore[attr-defined]
    assert files_under(root) == []


def test_a_store_that_was_unmounted_since_is_not_begun_anew(root: Path, store: LocalStore, tmp_path: Path) -> None:
    """What is missing may be in it all the same, and nothing is written where it was."""
    root.rename(tmp_path / "disk")
    root.mkdir()
    with pytest.raises(Unavailable):
        store.put("packs/1", b"x")
    with pytest.raises(Unavailable):
        store.stage()
    with pytest.raises(Unavailable):
        store.stat("packs/1")
    assert list(root.iterdir()) == []
