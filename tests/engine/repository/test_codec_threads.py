"""Decoding from several threads, from the first moment on."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: where this fails, it fails by SIGSEGV.
_FIRST_DECODINGS_AT_ONCE = """
import sys, threading, types, msgspec
from engine.repository import codec
sys.setswitchinterval(0.00001)
SHAPES = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct, frozen=True, array_like=True):
    number: int
    words: tuple[str, ...] = ()
class Outer(msgspec.Struct, frozen=True, array_like=True):
    one: Inner
    many: tuple[Inner, ...]
'''
for turn in range(60):
    shapes = types.ModuleType(f"shapes{turn}")
    sys.modules[shapes.__name__] = shapes
    exec(SHAPES, shapes.__dict__)
    value = shapes.Outer(shapes.Inner(1, ("a",)), (shapes.Inner(2),))
    payload = codec.encode(value)
    together = threading.Barrier(4)
    def decode():
        together.wait()
        assert codec.decode(payload, shapes.Outer, "a test") == value
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("whole")
"""


def test_first_decodings_of_one_shape_at_once_do_not_crash() -> None:
    done = subprocess.run([sys.executable, "-c", _FIRST_DECODINGS_AT_ONCE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "whole\n")
