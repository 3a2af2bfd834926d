"""A tiny message of four fields, and the ways to send it: this is where JSON is the faster body.

The ways are those of `graph`, which cites where they come from.
"""

import json
from typing import Final

import msgspec

from benchmarks.messages.encoding import IN_PLACE, MSGSPEC_JSON, PYCAPNP, SCHEMA, STDLIB_JSON, Encoding
from hootbus.frames import Buffer
from hootbus.schemas import read_capnp, write_struct


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a sensor says. As JSON, too: it has nothing that JSON could not say."""

    sensor: str
    unit: str
    at: int
    value: float


class Head(msgspec.Struct, frozen=True, gc=False):
    """Two fields of it."""

    sensor: str
    unit: str


def example() -> Reading:
    return Reading(sensor="greenhouse-7", unit="celsius", at=1_700_000_000_123, value=21.375)


# hootbus: docs/guide.md, "Reading in place".


def _write_in_place(reading: Reading) -> Buffer:
    body = write_struct(SCHEMA.Reading, sensor=reading.sensor, unit=reading.unit, at=reading.at, value=reading.value)
    return body.buffer


def _write_pycapnp(reading: Reading) -> Buffer:
    message = SCHEMA.Reading.new_message(sensor=reading.sensor, unit=reading.unit, at=reading.at, value=reading.value)
    written: bytes = message.to_bytes()
    return written


def _read_two_in_place(body: Buffer) -> tuple[object, object]:
    reader = read_capnp(body, SCHEMA.Reading)
    return reader.sensor, reader.unit


def _read_in_place(body: Buffer) -> Reading:
    reader = read_capnp(body, SCHEMA.Reading)
    return Reading(sensor=reader.sensor, unit=reader.unit, at=reader.at, value=reader.value)


def _read_two_pycapnp(body: Buffer) -> tuple[object, object]:
    with SCHEMA.Reading.from_bytes(body) as reader:
        return reader.sensor, reader.unit


def _read_pycapnp(body: Buffer) -> Reading:
    with SCHEMA.Reading.from_bytes(body) as reader:
        return Reading(sensor=reader.sensor, unit=reader.unit, at=reader.at, value=reader.value)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Reading)
_HEAD_DECODER: Final = msgspec.json.Decoder(Head)


def _write_msgspec(reading: Reading) -> Buffer:
    return _ENCODER.encode(reading)


def _read_two_msgspec(body: Buffer) -> tuple[object, object]:
    head = _HEAD_DECODER.decode(body)
    return head.sensor, head.unit


def _read_msgspec(body: Buffer) -> Reading:
    return _DECODER.decode(body)


def _write_json(reading: Reading) -> Buffer:
    value = {"sensor": reading.sensor, "unit": reading.unit, "at": reading.at, "value": reading.value}
    return json.dumps(value, separators=(",", ":")).encode()


def _read_two_json(body: Buffer) -> tuple[object, object]:
    read = json.loads(bytes(body))
    return read["sensor"], read["unit"]


def _read_json(body: Buffer) -> Reading:
    return Reading(**json.loads(bytes(body)))


ENCODINGS: Final = (
    Encoding(IN_PLACE, _write_in_place, _read_in_place, _read_two_in_place),
    Encoding(PYCAPNP, _write_pycapnp, _read_pycapnp, _read_two_pycapnp),
    Encoding(MSGSPEC_JSON, _write_msgspec, _read_msgspec, _read_two_msgspec),
    Encoding(STDLIB_JSON, _write_json, _read_json, _read_two_json),
)
