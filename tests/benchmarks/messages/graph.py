"""The graph of 200 nodes and 600 edges, and the ways to send it.

Each way is the fastest that its library's own documentation shows for this, with the page cited.
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
from hootbus.schemas import array, read_capnp, segments, write_struct

NODES: Final = 200
EDGES: Final = 600
FEATURES: Final = 32


class Graph(msgspec.Struct, frozen=True):
    """`features` is float32 of shape (nodes, features); edge i leads from `sources[i]` to `targets[i]`, both uint32."""

    id: str
    label: str
    features: NDArray[Any]
    sources: NDArray[Any]
    targets: NDArray[Any]


class JsonGraph(msgspec.Struct, frozen=True, gc=False):
    """The graph as JSON says it. Lists of plain numbers need no garbage collector."""

    id: str
    label: str
    width: int
    features: list[float]
    sources: list[int]
    targets: list[int]


class JsonHead(msgspec.Struct, frozen=True, gc=False):
    """Two fields of it; msgspec skips the others without making values of them."""

    id: str
    label: str


def example() -> Graph:
    """The same graph in every run. Its features are a normal distribution's, so as JSON they have all their digits."""
    random = np.random.default_rng(2024)
    return Graph(
        id="3f0e8a1c-7b52-4d0e-9a61-0c8f5d2b7e94",
        label="protein-contact-map",
        features=random.standard_normal((NODES, FEATURES), dtype=np.float32),
        sources=random.integers(0, NODES, EDGES, dtype=np.uint32),
        targets=random.integers(0, NODES, EDGES, dtype=np.uint32),
    )


# hootbus: docs/guide.md, "Reading in place".


def _write_in_place(graph: Graph) -> Buffer:
    return write_struct(
        SCHEMA.Graph,
        id=graph.id,
        label=graph.label,
        width=graph.features.shape[1],
        features=graph.features.ravel(),
        sources=graph.sources,
        targets=graph.targets,
    ).buffer


def _read_two_in_place(body: Buffer) -> tuple[object, object]:
    reader = read_capnp(body, SCHEMA.Graph)
    return reader.id, reader.label


def _read_in_place(body: Buffer) -> Graph:
    parts = segments(body)
    reader = read_capnp(parts, SCHEMA.Graph)
    return Graph(
        id=reader.id,
        label=reader.label,
        features=array(parts, SCHEMA.Graph, "features").reshape(-1, reader.width),
        sources=array(parts, SCHEMA.Graph, "sources"),
        targets=array(parts, SCHEMA.Graph, "targets"),
    )


# pycapnp: its quickstart, "Build a message" and "Reading Fields" ("Lists behave just like normal Python lists"), and
# the docstring of `from_bytes`, which reads any buffer where it lies. It has no bulk access to lists.


def _write_pycapnp(graph: Graph) -> Buffer:
    message = SCHEMA.Graph.new_message(
        id=graph.id,
        label=graph.label,
        width=graph.features.shape[1],
        features=graph.features.ravel().tolist(),
        sources=graph.sources.tolist(),
        targets=graph.targets.tolist(),
    )
    written: bytes = message.to_bytes()
    return written


def _read_two_pycapnp(body: Buffer) -> tuple[object, object]:
    with SCHEMA.Graph.from_bytes(body) as reader:
        return reader.id, reader.label


def _read_pycapnp(body: Buffer) -> Graph:
    with SCHEMA.Graph.from_bytes(body) as reader:
        return Graph(
            id=reader.id,
            label=reader.label,
            features=_numbers(reader.features, np.float32).reshape(-1, reader.width),
            sources=_numbers(reader.sources, np.uint32),
            targets=_numbers(reader.targets, np.uint32),
        )


def _numbers(numbers: Any, dtype: type[np.generic]) -> NDArray[Any]:  # noqa: ANN401  # pycapnp's lists have no type
    return np.fromiter(numbers, dtype, len(numbers))


# pycapnp with the arrays as Data: no list to be gone through, at the price that the schema does not say what they are.
# Read as bytes, which are a copy. Its `get_data_as_view` makes none, but in 2.2.4 the view does not hold the body:
# `memoryview.obj` is None, and an array over it outlives what it shows once the reader's `with` has ended.


def _write_data(graph: Graph) -> Buffer:
    message = SCHEMA.PackedGraph.new_message(
        id=graph.id,
        label=graph.label,
        width=graph.features.shape[1],
        features=graph.features.tobytes(),
        sources=graph.sources.tobytes(),
        targets=graph.targets.tobytes(),
    )
    written: bytes = message.to_bytes()
    return written


def _read_two_data(body: Buffer) -> tuple[object, object]:
    with SCHEMA.PackedGraph.from_bytes(body) as reader:
        return reader.id, reader.label


def _read_data(body: Buffer) -> Graph:
    with SCHEMA.PackedGraph.from_bytes(body) as reader:
        return Graph(
            id=reader.id,
            label=reader.label,
            features=np.frombuffer(reader.features, np.float32).reshape(-1, reader.width),
            sources=np.frombuffer(reader.sources, np.uint32),
            targets=np.frombuffer(reader.targets, np.uint32),
        )


# msgspec: jcristharif.com/msgspec/perf-tips.html, "Reuse Encoders/Decoders", "Use Structs" and "Avoid Decoding Unused
# Fields".

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(JsonGraph)
_HEAD_DECODER: Final = msgspec.json.Decoder(JsonHead)


def _write_msgspec(graph: Graph) -> Buffer:
    return _ENCODER.encode(
        JsonGraph(
            id=graph.id,
            label=graph.label,
            width=graph.features.shape[1],
            features=graph.features.ravel().tolist(),
            sources=graph.sources.tolist(),
            targets=graph.targets.tolist(),
        )
    )


def _read_two_msgspec(body: Buffer) -> tuple[object, object]:
    head = _HEAD_DECODER.decode(body)
    return head.id, head.label


def _read_msgspec(body: Buffer) -> Graph:
    read = _DECODER.decode(body)
    return Graph(
        id=read.id,
        label=read.label,
        features=np.array(read.features, np.float32).reshape(-1, read.width),
        sources=np.array(read.sources, np.uint32),
        targets=np.array(read.targets, np.uint32),
    )


# json: docs.python.org/3/library/json.html, "To get the most compact JSON representation, you should specify
# (',', ':')". It reads bytes, but no memoryview.


def _write_json(graph: Graph) -> Buffer:
    value = {
        "id": graph.id,
        "label": graph.label,
        "width": graph.features.shape[1],
        "features": graph.features.ravel().tolist(),
        "sources": graph.sources.tolist(),
        "targets": graph.targets.tolist(),
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _read_two_json(body: Buffer) -> tuple[object, object]:
    read = json.loads(bytes(body))
    return read["id"], read["label"]


def _read_json(body: Buffer) -> Graph:
    read = json.loads(bytes(body))
    return Graph(
        id=read["id"],
        label=read["label"],
        features=np.array(read["features"], np.float32).reshape(-1, read["width"]),
        sources=np.array(read["sources"], np.uint32),
        targets=np.array(read["targets"], np.uint32),
    )


ENCODINGS: Final = (
    Encoding(IN_PLACE, _write_in_place, _read_in_place, _read_two_in_place),
    Encoding(PYCAPNP, _write_pycapnp, _read_pycapnp, _read_two_pycapnp),
    Encoding(PYCAPNP_DATA, _write_data, _read_data, _read_two_data),
    Encoding(MSGSPEC_JSON, _write_msgspec, _read_msgspec, _read_two_msgspec),
    Encoding(STDLIB_JSON, _write_json, _read_json, _read_two_json),
)
