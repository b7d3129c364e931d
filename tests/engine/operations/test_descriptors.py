"""Descriptors that are lent: never left open, never used twice."""

from __future__ import annotations

import os

import pytest

from engine.base.errors import NotFound
from engine.operations.descriptors import CallerStreams, Descriptor


def is_open(descriptor: int) -> bool:
    """Whether this process has it."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_descriptor_nobody_took_is_closed_with_its_holder() -> None:
    fd = os.dup(0)
    held = Descriptor(fd)
    assert held.fileno() == fd
    del held
    assert not is_open(fd)


def test_a_descriptor_that_was_taken_belongs_to_who_took_it() -> None:
    fd = os.dup(0)
    held = Descriptor(fd)
    assert held.take() == fd
    held.close()
    assert is_open(fd)
    with pytest.raises(NotFound, match="used up"):
        held.take()
    os.close(fd)


def test_a_job_keeps_its_duplicate_when_the_call_is_over() -> None:
    reading, writing = os.pipe()
    streams = CallerStreams(Descriptor(reading), Descriptor(os.dup(1)))
    kept = streams.input()
    streams.close()
    streams.close()
    assert not is_open(reading)
    os.write(writing, b"still there")
    with os.fdopen(kept.take(), "rb", buffering=0) as stream:
        assert stream.read(100) == b"still there"
    os.close(writing)


def test_a_caller_without_streams_has_none() -> None:
    with pytest.raises(NotFound, match="standard input"):
        CallerStreams().input()
    with pytest.raises(NotFound, match="standard output"):
        CallerStreams().output()


def test_those_of_the_process_are_taken_as_they_are_now() -> None:
    streams = CallerStreams.of_process()
    taken = streams.output()
    assert os.fstat(taken.fileno()).st_ino == os.fstat(1).st_ino
    taken.close()
    streams.close()
