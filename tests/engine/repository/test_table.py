"""The flat hash table, against a dict, and its bytes a row."""

from __future__ import annotations

import hashlib
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.repository.table import _NO_SLOTS, Table

KEYS = st.binary(min_size=8, max_size=8)


@given(st.lists(st.tuples(KEYS, st.binary(min_size=3, max_size=3)), max_size=200), st.lists(KEYS, max_size=20))
def test_a_table_answers_as_a_dict_does(rows: list[tuple[bytes, bytes]], others: list[bytes]) -> None:
    """The first value of a key stays; what was not put is not found."""
    table, model = Table(key_bytes=8, value_bytes=3), dict[bytes, bytes]()
    for key, value in rows:
        assert table.add(key, value) == (key not in model)
        model.setdefault(key, value)
    assert len(table) == len(model)
    for key in [*model, *others]:
        assert table.get(key) == model.get(key)
        assert (key in table) == (key in model)


def test_rows_survive_growing() -> None:
    """Several growths of one shard, with keys that collide in all but their last bytes."""
    table = Table(key_bytes=8, value_bytes=4)
    keys = [b"\x00same\x00" + number.to_bytes(2) for number in range(500)]
    for number, key in enumerate(keys):
        assert table.add(key, number.to_bytes(4))
    assert [table.get(key) for key in keys] == [number.to_bytes(4) for number in range(500)]


def test_a_chunk_costs_at_most_64_bytes_and_72_while_growing() -> None:
    """The index of a large wedding has to fit: bytes a row as the allocator counts them, at every thousand rows."""
    source = random.Random(7)
    keys = [source.randbytes(24) for _ in range(60_000)]
    value = bytes(20)
    tracemalloc.start()
    try:
        table = Table(key_bytes=24, value_bytes=20)
        begin = tracemalloc.get_traced_memory()[0]
        for number, key in enumerate(keys, 1):
            table.add(key, value)
            if number % 1000 == 0 and number >= 10_000:
                now, peak = (count - begin for count in tracemalloc.get_traced_memory())
                assert now <= 64 * number
                assert peak <= 72 * number
                tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [0, 1, 300, 20_000])
def test_a_table_knows_what_its_rows_and_slots_take(count: int) -> None:
    """Without looking at each shard: it is asked whenever a wedding is let go."""
    table = Table(key_bytes=24, value_bytes=20)
    for number in range(count):
        table.add(hashlib.sha256(number.to_bytes(8, "little")).digest()[:24], bytes(20))
    own = {id(slots): len(slots) * slots.itemsize for slots in table._slots if slots is not _NO_SLOTS}
    assert table.size_bytes == sum(own.values()) + sum(map(len, table._pages))
