"""Reading shapes from several threads, from the first moment on."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, cast

import msgspec
import pytest

from engine.base.shapes import convert, from_json, msgpack_decoder


class Photo(msgspec.Struct, frozen=True):
    """A shape of its own."""

    name: str
    size: Annotated[int, msgspec.Meta(ge=0)] = 0


def test_values_are_read_by_their_shape() -> None:
    assert convert({"name": "a"}, Photo) == Photo("a")
    assert convert({"name": "a", "size": "7"}, Photo, strict=False) == Photo("a", 7)
    assert msgpack_decoder(Photo).decode(msgspec.msgpack.encode(Photo("b", 1))) == Photo("b", 1)
    assert from_json(b'{"a":1}', dict[str, int]) == {"a": 1}
    assert msgpack_decoder(cast("type[Photo | None]", Photo | None)).decode(b"\xc0") is None


def test_what_has_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        convert({"name": "a", "size": -1}, Photo)
    with pytest.raises(msgspec.ValidationError):
        convert(0, cast("type[int]", Annotated[int, msgspec.Meta(ge=1)]))


# In a process of its own: where this fails, it fails by SIGSEGV.
_FIRST_READINGS_AT_ONCE = """
import sys, threading, types, msgspec
from engine.base import shapes
sys.setswitchinterval(0.00001)
SHAPES = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct, frozen=True):
    number: int
    words: tuple[str, ...] = ()
class Outer(msgspec.Struct, frozen=True):
    one: Inner
    many: tuple[Inner, ...]
'''
for turn in range(60):
    made = types.ModuleType(f"made{turn}")
    sys.modules[made.__name__] = made
    exec(SHAPES, made.__dict__)
    value = made.Outer(made.Inner(1, ("a",)), (made.Inner(2),))
    plain, packed, text = msgspec.to_builtins(value), msgspec.msgpack.encode(value), msgspec.json.encode(value)
    readings = [
        lambda: shapes.convert(plain, made.Outer) == value,
        lambda: shapes.convert(plain["one"], made.Inner) == value.one,
        lambda: shapes.msgpack_decoder(made.Outer).decode(packed) == value,
        lambda: shapes.from_json(text, made.Outer) == value,
    ]
    together = threading.Barrier(len(readings))
    def read(reading):
        together.wait()
        assert reading()
    threads = [threading.Thread(target=read, args=(reading,)) for reading in readings]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("whole")
"""


def test_first_readings_of_one_shape_at_once_do_not_crash() -> None:
    done = subprocess.run([sys.executable, "-c", _FIRST_READINGS_AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "whole\n")
