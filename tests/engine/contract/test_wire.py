"""The words on the socket: what goes in comes out, and what is no word is an error."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base import errors
from engine.base.errors import UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract import wire
from engine.contract.catalog import CATALOG
from engine.contract.events import Event
from tests import samples

BYTES = st.binary(max_size=300)
TEXTS = st.binary(max_size=60).map(lambda data: data.decode("utf-8", "surrogateescape"))


def carried(message: wire.Reply) -> wire.Reply:
    """Through a frame and back."""
    (data,) = wire.Frames(wire.ANSWER_BYTES_MAX).feed(wire.frame(message))
    return wire.reply_from(data)


@given(st.lists(BYTES, max_size=6), st.integers(1, 7))
def test_frames_come_whole_however_the_stream_is_cut(bodies: list[bytes], step: int) -> None:
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    frames = wire.Frames(1000)
    found = [body for at in range(0, len(stream), step) for body in frames.feed(stream[at : at + step])]
    assert found == bodies


def test_a_frame_that_claims_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(wire.WireError, match="longer than one may be"):
        list(wire.Frames(1000).feed((1001).to_bytes(4, "big")))


@given(TEXTS, TEXTS)
def test_every_path_of_a_file_system_arrives_as_it_is(one: str, other: str) -> None:
    operation = ops.StartBackup(wedding="a", sources=(one, other), tags=("plain",))
    call = wire.Call(id=1, operation="start_backup", arguments=wire.arguments_raw(operation))
    (data,) = wire.Frames(wire.REQUEST_BYTES_MAX).feed(wire.frame(call))
    request = wire.request_from(data)
    assert isinstance(request, wire.Call)
    assert wire.operation_from(request) == operation


@given(TEXTS, TEXTS)
def test_messages_of_errors_and_events_may_speak_of_any_path(one: str, other: str) -> None:
    failure = wire.Failure(id=1, code="conflict", message=one, hint=other)
    assert carried(failure) == failure
    event = Event(seq=1, time_ns=2, kind="job-ended", message=one)
    news = wire.NewEvents(events=(event,), dropped=3)
    assert carried(news) == news


def test_a_text_that_is_no_text_is_a_usage_error_in_arguments_and_written_out_elsewhere() -> None:
    with pytest.raises(UsageError):
        wire.arguments_raw(ops.ListWeddings(match="\ud800"))
    failure = carried(wire.Failure(id=1, code="failed", message="\ud800!"))
    assert isinstance(failure, wire.Failure)
    assert failure.message == "\\ud800!"


def test_results_and_documents_arrive_whole() -> None:
    result = ops.StatusResult(document=samples.status(), warnings=("one",))
    answer = carried(wire.answer_to(9, result))
    assert isinstance(answer, wire.Answer)
    assert (answer.id, wire.result_from(answer)) == (9, result)
    pushed = carried(wire.NewStatus(document=wire.status_raw(samples.status(seq=4))))
    assert isinstance(pushed, wire.NewStatus)
    assert wire.status_from(pushed) == samples.status(seq=4)
    dated = ops.WeddingResult(wedding=msgspec.structs.replace(samples.wedding(), date=dt.date(2026, 6, 20)))
    answer = carried(wire.answer_to(1, dated))
    assert isinstance(answer, wire.Answer)
    assert wire.result_from(answer) == dated


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_error_arrives_as_what_it_was(kind: type[WedSyncError]) -> None:
    if not issubclass(kind, WedSyncError):
        return
    sent = carried(wire.failure_of(3, kind("what", "do")))
    assert isinstance(sent, wire.Failure)
    error = wire.error_from(sent)
    assert (type(error), error.line(), error.exit_code) == (kind, "what; do", kind.exit_code)


def test_an_error_of_a_kind_that_is_not_known_is_a_failure() -> None:
    assert type(wire.error_from(wire.Failure(id=1, code="novel", message="x"))) is WedSyncError


def test_every_operation_and_result_of_the_catalog_can_be_carried() -> None:
    assert all(wire.argument_decoder(spec.name) is not None for spec in CATALOG)
    assert wire.argument_decoder("none-such") is None
    assert set(wire.result_decoders()) == {kind.__name__ for spec in CATALOG for kind in spec.results}


@given(BYTES)
def test_noise_is_a_wire_error_and_nothing_else(data: bytes) -> None:
    for read in (wire.request_from, wire.reply_from):
        try:
            read(data)
        except wire.WireError:
            continue


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"type": "novel"}), b"\x91" * 5000 + b"\xc0", b"\xd4\x05a"],
)
def test_what_is_no_message_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.reply_from(data)


def test_a_field_that_a_newer_peer_added_is_no_reason_to_fail() -> None:
    hello = wire.request_from(msgspec.msgpack.encode({"type": "hello", "protocol": 1, "version": "2", "novel": [1]}))
    assert hello == wire.Hello(protocol=1, version="2")


def test_a_request_that_no_engine_would_take_is_not_sent() -> None:
    arguments = wire.arguments_raw(ops.StartBackup(wedding="a", sources=("x" * wire.REQUEST_BYTES_MAX,)))
    with pytest.raises(wire.WireError, match="more than a message holds"):
        wire.frame(wire.Call(id=1, operation="start_backup", arguments=arguments))
