"""Services that bind and wait: how they are named, and a connection to one."""

import os

import pytest
import zmq

from hootbus.bus.dialout import DialOut, Line, parse_dial_out
from hootbus.bus.inputs import Input, Malformed, Received, ServiceConnected, ServiceDisconnected
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import Command, ContentType
from hootbus.frames.wire import SENT, UNREACHABLE

Context = zmq.Context[zmq.Socket[bytes]]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("text=tcp://127.0.0.1:7001", DialOut("text", "tcp://127.0.0.1:7001", 1)),
        ("a.b-c_1=ipc:///run/x.sock;slots=16", DialOut("a.b-c_1", "ipc:///run/x.sock", 16)),
        ("hoot=tcp://h:1", DialOut("hoot", "tcp://h:1", 1)),
        ("a=tcp://h:1?x=y;slots=99999", DialOut("a", "tcp://h:1?x=y", 99_999)),
    ],
)
def test_a_dial_out_names_service_endpoint_and_slots(text: str, named: DialOut) -> None:
    assert parse_dial_out(text) == named


@pytest.mark.parametrize(
    "text",
    ["", "text", "text=", "=tcp://h:1", "Text=tcp://h:1", "a/b=tcp://h:1", "a=tcp://h:1;slots=0", "a=tcp://h:1;slots=",
     "a=tcp://h:1;slots=100000", "a=tcp://h:1;x=1", "a=tcp://h:1;", "a=tcp://h:1\n"],
)  # fmt: skip
def test_what_names_none_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=ENDPOINT"):
        parse_dial_out(text)


def test_the_brokers_own_names_are_not_dialled() -> None:
    with pytest.raises(ValueError, match="the broker's own"):
        parse_dial_out("hoot.broker=tcp://h:1")


def read_until(line: Line, count: int) -> list[Input]:
    """What happens on the line, until so many things have."""
    happened: list[Input] = []
    poller = zmq.Poller()
    for each in line.sockets:
        poller.register(each, zmq.POLLIN)
    while len(happened) < count:
        assert poller.poll(10_000), happened
        happened += line.read()
    return happened


def test_a_line_tells_of_its_connection_its_messages_and_its_end(context: Context, folder: str) -> None:
    endpoint = f"ipc://{os.path.join(folder, 'service')}"
    service = context.socket(zmq.ROUTER)
    service.bind(endpoint)
    line = Line(context, DialOut("text", endpoint, 3))
    try:
        assert read_until(line, 1) == [ServiceConnected(line.identity, "text", 3)]
        asked = Message((line.identity,), Command.REQUEST, ContentType.JSON, b"i" * 16, b"text", b"", b"{}")
        assert line.send(asked) == SENT
        identity, *frames = service.recv_multipart()
        assert parse(frames) == Message((), Command.REQUEST, ContentType.JSON, b"i" * 16, b"text", b"", b"{}")
        answer = Message((identity,), Command.REPLY, ContentType.JSON, b"i" * 16)
        service.send_multipart(serialize(answer))
        service.send_multipart([identity, b"junk"])
        got, bad = read_until(line, 2)
        assert isinstance(got, Received)
        assert (got.message.route, got.message.command) == ((line.identity,), Command.REPLY)
        assert isinstance(bad, Malformed)
        service.close(0)
        assert read_until(line, 1) == [ServiceDisconnected(line.identity)]
        assert line.send(asked) == UNREACHABLE
    finally:
        line.close()


def test_who_is_not_there_yet_is_unreachable(context: Context, folder: str) -> None:
    line = Line(context, DialOut("text", f"ipc://{os.path.join(folder, 'nobody')}"))
    try:
        assert line.read() == []
        assert line.send(Message((line.identity,), Command.HEARTBEAT, ContentType.EMPTY, bytes(16))) == UNREACHABLE
    finally:
        line.close()


def test_two_lines_have_two_names_and_no_endpoint_leaves_no_socket(folder: str) -> None:
    context: Context = zmq.Context()
    lines = [Line(context, DialOut("text", f"ipc://{os.path.join(folder, 'x')}")) for _ in range(2)]
    assert lines[0].identity != lines[1].identity
    for line in lines:
        line.close()
    with pytest.raises(zmq.ZMQError) as raised:
        Line(context, DialOut("text", "nowhere"))
    # Would wait for ever for a socket that is still open; the exception is held, as a caller may.
    context.term()
    assert raised.value.errno == zmq.EINVAL
