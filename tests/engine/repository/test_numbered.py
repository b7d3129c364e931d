"""Objects that change: the highest number that authenticates, and a home that remembers what it saw."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.base.atomic import replace_file
from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.repository import crypto
from engine.repository.numbered import MasterSealed
from engine.repository.seen import SeenNumbers
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import ENTROPY, damage, sealed_store
from tests.golden import world

FOLDER = "config/"


def _write(sealed: MasterSealed, *numbers: int) -> None:
    for number in numbers:
        sealed.create(FOLDER, number, crypto.CONFIG, b"payload %d" % number)


def _newest(sealed: MasterSealed) -> tuple[int, bytes, list[str]]:
    return sealed.newest(FOLDER, crypto.CONFIG)


def test_the_highest_number_is_in_force() -> None:
    """By number, not by name: 10 comes after 9."""
    sealed = sealed_store()
    _write(sealed, 2, 9, 10)
    assert sealed.numbers(FOLDER) == [2, 9, 10]
    assert _newest(sealed) == (10, b"payload 10", [])


def test_what_is_no_number_is_passed_over() -> None:
    """Leading zeros, zero, words, folders."""
    sealed = sealed_store()
    for name in ("0", "01", "x", "1x", "12/3", "1" * 19):
        sealed.store.put(FOLDER + name, b"")
    assert sealed.numbers(FOLDER) == []
    with pytest.raises(NotFound):
        _newest(sealed)


def test_a_number_that_does_not_authenticate_is_passed_over_and_told_of() -> None:
    """Whoever can write to the store cannot put a setting in force."""
    sealed = sealed_store()
    _write(sealed, 1, 2)
    sealed.store.put("config/3", b"not sealed at all")
    sealed.store.put("config/4", sealed.store.get("config/1", limit_bytes=999))
    number, payload, problems = _newest(sealed)
    assert (number, payload) == (2, b"payload 2")
    assert len(problems) == 2


def test_when_none_authenticates_that_is_an_integrity_error() -> None:
    """Not the same as an empty folder."""
    sealed = sealed_store()
    _write(sealed, 1)
    damage(sealed.store, "config/1")
    with pytest.raises(IntegrityError):
        _newest(sealed)


def test_an_object_that_claims_a_key_epoch_is_named() -> None:
    """Epochs belong to the keys of weddings; whoever reads of it must know which object to look at."""
    sealed = sealed_store()
    binding = crypto.Binding.named(crypto.CONFIG, "config/1", crypto.NO_WEDDING)
    data = crypto.seal_object(b"payload", binding, secret=sealed.master, epoch=7, entropy=ENTROPY)
    sealed.store.put("config/1", data)
    with pytest.raises(IntegrityError, match=r"^config/1: .* key epoch 7$"):
        _newest(sealed)


def test_two_creators_never_share_a_number() -> None:
    """One of them is told."""
    objects = MemoryObjects()
    first, second = sealed_store(MemoryStore(objects)), sealed_store(MemoryStore(objects))
    _write(first, 1)
    with pytest.raises(Conflict):
        _write(second, 1)
    _write(second, 2)
    assert _newest(first)[0] == 2


def test_concurrent_creators_take_each_number_once() -> None:
    """Whichever thread comes first; the others are told."""
    objects = MemoryObjects()
    won: list[int] = []
    start = threading.Barrier(4)

    def create() -> None:
        sealed = sealed_store(MemoryStore(objects))
        start.wait()
        for number in range(1, 11):
            try:
                _write(sealed, number)
            except Conflict:
                continue
            won.append(number)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 11))


def test_an_object_of_another_wedding_does_not_count() -> None:
    """Its place is bound to it."""
    sealed = sealed_store()
    sealed.create("weddings/x/key/", 1, crypto.WEDDING_KEY, b"secret", world.WEDDING)
    assert sealed.newest("weddings/x/key/", crypto.WEDDING_KEY, world.WEDDING)[1] == b"secret"
    with pytest.raises(IntegrityError):
        sealed.newest("weddings/x/key/", crypto.WEDDING_KEY, world.OTHER_WEDDING)


# --- homes ------------------------------------------------------------------------------------------


def test_a_home_refuses_less_than_it_has_seen(tmp_path: Path) -> None:
    """A repository that was set back to an older state shows lower numbers."""
    sealed = sealed_store(seen=SeenNumbers(tmp_path / "seen.json"))
    _write(sealed, 1, 2)
    sealed.store.delete("config/2")
    with pytest.raises(IntegrityError, match="config/2"):
        _newest(sealed)
    again = sealed_store(sealed.store, SeenNumbers(tmp_path / "seen.json"))
    with pytest.raises(IntegrityError):
        _newest(again)
    assert _newest(sealed_store(sealed.store))[0] == 1  # a fresh home cannot know


def test_a_home_remembers_what_others_wrote(tmp_path: Path) -> None:
    """Reading counts as seeing."""
    sealed = sealed_store()
    _write(sealed, 1, 2)
    reader = sealed_store(sealed.store, SeenNumbers(tmp_path / "seen.json"))
    _newest(reader)
    sealed.store.delete("config/2")
    with pytest.raises(IntegrityError):
        _newest(reader)


def test_a_number_that_never_authenticated_was_not_seen() -> None:
    """Or anybody who can write to the store could make every home refuse it for good."""
    sealed = sealed_store()
    _write(sealed, 1)
    sealed.store.put("config/999", b"noise")
    _newest(sealed)
    sealed.store.delete("config/999")
    assert _newest(sealed)[0] == 1


def test_numbers_of_another_repository_do_not_count(tmp_path: Path) -> None:
    """A home may be pointed at another repository, or its own be made anew."""
    seen = SeenNumbers(tmp_path / "seen.json")
    _write(sealed_store(seen=seen), 1, 2, 3)
    other = MasterSealed(MemoryStore(), ENTROPY.token(32), ENTROPY, seen)
    _write(other, 1)
    assert _newest(other)[0] == 1


def test_a_damaged_memory_is_refused(tmp_path: Path) -> None:
    """It guards against being set back; whoever removes it does so knowingly."""
    path = tmp_path / "seen.json"
    path.write_bytes(b"{")
    with pytest.raises(IntegrityError, match=r"seen\.json"):
        SeenNumbers(path)


def test_a_memory_that_cannot_be_written_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was seen counts all the same, is told of once, and is written down as soon as that is possible."""
    path = tmp_path / "missing" / "seen.json"
    seen = SeenNumbers(path)
    seen.check("r", FOLDER, 1)
    seen.check("r", FOLDER, 2)
    (line,) = caplog.messages
    assert "seen.json cannot be written" in line
    with pytest.raises(IntegrityError):
        seen.check("r", FOLDER, 1)
    path.parent.mkdir()
    seen.check("r", FOLDER, 2)  # nothing new, and yet
    with pytest.raises(IntegrityError):
        SeenNumbers(path).check("r", FOLDER, 1)


def test_numbers_that_come_while_others_are_written_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty new weddings at once cost two or three writes, and each comes back when its number is on the disk."""
    path, began, go_on = tmp_path / "seen.json", threading.Event(), threading.Event()
    written: list[bytes] = []

    def slow(path: Path, data: bytes) -> None:
        began.set()
        assert go_on.wait(60)
        replace_file(path, data)
        written.append(data)

    monkeypatch.setattr("engine.repository.seen.replace_file", slow)
    seen = SeenNumbers(path)

    def remember(number: int) -> bool:
        seen.remember("r", f"weddings/{number}/", 1)
        return f"weddings/{number}/".encode() in path.read_bytes()

    with ThreadPoolExecutor(20) as threads:
        first = threads.submit(remember, 0)
        assert began.wait(60)
        others = [threads.submit(remember, number) for number in range(1, 20)]
        while len(seen._unwritten) < 19:
            time.sleep(0)
        go_on.set()
        assert all(each.result(60) for each in [first, *others])
    assert len(written) == 2


def test_a_number_raised_while_it_is_written_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write does not count for it."""
    path, seen = tmp_path / "seen.json", SeenNumbers(tmp_path / "seen.json")
    inner: list[threading.Thread] = []

    def meanwhile(path: Path, data: bytes) -> None:
        if not inner:
            inner.append(threading.Thread(target=seen.remember, args=("r", FOLDER, 2)))
            inner[0].start()
            while not seen._unwritten:
                time.sleep(0)
        replace_file(path, data)

    monkeypatch.setattr("engine.repository.seen.replace_file", meanwhile)
    seen.remember("r", FOLDER, 1)
    inner[0].join(60)
    with pytest.raises(IntegrityError):
        SeenNumbers(path).check("r", FOLDER, 1)
