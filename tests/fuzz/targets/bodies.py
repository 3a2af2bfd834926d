"""What is in a body: a worker's registration, any Cap'n Proto message, and JSON that is to become one, or was one."""

import itertools
from collections.abc import Iterator
from typing import Final

from bus_world.indexes import check
from conformance import capnp_bytes
from conformance.capnp.corpus import VALUES, every_message, struct_type
from conformance.capnp.probe import probe
from conformance.capnp_tool import framed
from fuzz.messages import IDS, hostile_bodies
from fuzz.targets.frames import as_data, frames_of
from hootbus.bus.core import Core
from hootbus.bus.effects import Judge, Send
from hootbus.bus.inputs import Judged, Received, Ticked, Undeliverable
from hootbus.bus.judgement import Finding, Verdict
from hootbus.frames.errors import BadFrame
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import BodyError, FieldError, read_registration, type_id, write_registration
from hootbus.workers.session import Body
from hootbus.workers.translation import as_json, message_of

_STRUCTS: Final = tuple(sorted({*VALUES, "Anything"}))
_OURS: Final = Options(flags=Flag.WORKER)


def ready_target(data: bytes) -> None:
    """Registrations, one after the other, from one peer: it is in, told why not, or asked; and all indexes agree."""
    ids = itertools.count(1)
    core = Core(instance=bytes(16), new_id=lambda: next(ids).to_bytes(16, "big"), now=0.0)
    for number, body in enumerate(frames_of(data)[:6]):
        try:
            registration = read_registration(body)
        except BodyError:
            registration = None
        if registration is not None:
            assert read_registration(write_registration(IDS[0], registration)) == registration
        kind = ContentType.CAPNPROTO
        ready = Message((b"peer",), Command.READY, kind, bytes([number]) * 16, b"up", body=body, options=_OURS)
        waiting = core.handle(Received(ready), number)
        assert waiting, "it is told something"
        while waiting:
            effect = waiting.pop(0)
            if isinstance(effect, Send):
                sent = effect.message
                assert sent.command in (Command.HEARTBEAT, Command.DISCONNECT, Command.REQUEST)
                assert parse(serialize(sent), 1) == sent
            elif isinstance(effect, Judge):
                waiting += core.handle(Judged(Verdict(Finding.UNSOUND, ("none",))), number)
        check(core)
    core.handle(Undeliverable(Message((b"peer",), Command.HEARTBEAT, ContentType.EMPTY, bytes(16)), True), 9.0)
    core.handle(Ticked(), 99.0)
    check(core)


def ready_corpus() -> Iterator[bytes]:
    plain = capnp_bytes.register(IDS[0], slots=3, methods=("say", "tell"))
    yield as_data([plain])
    yield as_data([plain, capnp_bytes.register(IDS[1], slots=1)])
    for body in itertools.islice((body for body in hostile_bodies().values() if len(body) < 2000), 0, None, 9):
        yield as_data([body])


def pointers_target(data: bytes) -> None:
    """Everything that a program may do with a peer's message: each step gives a value or a documented error."""
    if data:
        probe(data[1:], struct_type(_STRUCTS[data[0] % len(_STRUCTS)]))


def pointers_corpus() -> Iterator[bytes]:
    for name, message in every_message():
        if len(message) < 1500:
            yield bytes([_STRUCTS.index(name)]) + message


def json_target(data: bytes) -> None:
    """JSON as a message, and a message as JSON, as a worker whose method has a type translates them for others."""
    if not data:
        return
    of_type = struct_type(_STRUCTS[data[0] % len(_STRUCTS)])
    try:
        parts = message_of(data[1:], of_type)
    except BodyError:
        body = data[1:]
    else:
        (words,) = parts
        body = framed(bytes(words))
    try:
        found = as_json(Body(ContentType.CAPNPROTO, body, type_id(of_type)), of_type)
    except (BodyError, FieldError, BadFrame):
        return
    assert found.content_type is ContentType.JSON
    # What is written can be read; but for a limit on what JSON may nest, or a number that it cannot hold.
    bytes(found.buffer).decode()


def json_corpus() -> Iterator[bytes]:
    for name, message in every_message():
        index = bytes([_STRUCTS.index(name)])
        if len(message) < 800:
            yield index + message
            try:
                yield index + bytes(as_json(Body(ContentType.CAPNPROTO, message, 0), struct_type(name)).buffer)
            except (BodyError, FieldError, BadFrame):
                continue
