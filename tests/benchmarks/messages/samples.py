"""A million float32 and nothing else, and the ways to send them.

The ways are those of `graph`, which cites where they come from.
"""

import json
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.messages.encoding import (
    IN_PLACE,
    MSGSPEC_JSON,
    PYCAPNP,
    PYCAPNP_DATA,
    SCHEMA,
    STDLIB_JSON,
    Encoding,
)
from hootbus.frames import Buffer
from hootbus.schemas import array, write_struct

COUNT: Final = 1_000_000

# float32 of one dimension.
Samples = NDArray[Any]


def example() -> Samples:
    return np.random.default_rng(2024).standard_normal(COUNT, dtype=np.float32)


def _write_in_place(samples: Samples) -> Buffer:
    return write_struct(SCHEMA.Samples, samples=samples).buffer


def _read_in_place(body: Buffer) -> Samples:
    return array(body, SCHEMA.Samples, "samples")


def _write_pycapnp(samples: Samples) -> Buffer:
    written: bytes = SCHEMA.Samples.new_message(samples=samples.tolist()).to_bytes()
    return written


def _read_pycapnp(body: Buffer) -> Samples:
    # Every access is charged to pycapnp's traversal limit, of 8 Mi words by default: a million floats are within it.
    with SCHEMA.Samples.from_bytes(body) as reader:
        return np.fromiter(reader.samples, np.float32, len(reader.samples))


def _write_data(samples: Samples) -> Buffer:
    written: bytes = SCHEMA.PackedSamples.new_message(samples=samples.tobytes()).to_bytes()
    return written


def _read_data(body: Buffer) -> Samples:
    with SCHEMA.PackedSamples.from_bytes(body) as reader:
        return np.frombuffer(reader.samples, np.float32)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(list[float])


def _write_msgspec(samples: Samples) -> Buffer:
    return _ENCODER.encode(samples.tolist())


def _read_msgspec(body: Buffer) -> Samples:
    return np.array(_DECODER.decode(body), np.float32)


def _write_json(samples: Samples) -> Buffer:
    return json.dumps(samples.tolist(), separators=(",", ":")).encode()


def _read_json(body: Buffer) -> Samples:
    return np.array(json.loads(bytes(body)), np.float32)


ENCODINGS: Final = (
    Encoding(IN_PLACE, _write_in_place, _read_in_place),
    Encoding(PYCAPNP, _write_pycapnp, _read_pycapnp),
    Encoding(PYCAPNP_DATA, _write_data, _read_data),
    Encoding(MSGSPEC_JSON, _write_msgspec, _read_msgspec),
    Encoding(STDLIB_JSON, _write_json, _read_json),
)
