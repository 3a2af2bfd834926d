"""The fixed-offset codecs against the compiled schemas, field by field: the schema is the only source of truth."""

import struct
from types import ModuleType
from typing import Any

import pytest

from hootbus.frames.event import EventHeader, read_event, write_event_header
from hootbus.frames.options import Options, read_options, write_options
from hootbus.frames.protocol import ContentType
from hootbus.schemas import standard

# A value for each field that no other field has, and that differs in every byte.
OPTIONS = Options(0x04030201, 0x0605, 0x0807, 0x100F0E0D0C0B0A09, 0x14131211, 0x18171615)
HEADER = EventHeader(
    ContentType.JSON, 0x0605, 1, 0x100F0E0D0C0B0A09, 0x1817161514131211, 0x201F1E1D1C1B1A19, 0x2827262524232221
)


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def layout(schema: Any) -> dict[str, tuple[int, int]]:  # noqa: ANN401  # pycapnp has no types
    """Byte offset within the frame and size of each field; a slot's offset counts in the field's own size."""
    sizes = {"uint16": 2, "uint32": 4, "uint64": 8}
    fields = {}
    for field in schema.node.struct.fields:
        size = sizes[str(field.slot.type.which())]
        fields[snake(str(field.name))] = (8 + field.slot.offset * size, size)
    return fields


CODECS = [
    pytest.param(standard.options, "Options", OPTIONS, write_options(OPTIONS), id="options"),
    pytest.param(standard.event, "EventHeader", HEADER, write_event_header(HEADER), id="event"),
]


@pytest.mark.parametrize(("module", "name", "value", "frame"), CODECS)
def test_every_field_stands_where_the_schema_puts_it(
    module: ModuleType, name: str, value: Options | EventHeader, frame: bytes
) -> None:
    fields = layout(getattr(module, name).schema)
    assert tuple(fields) == (value.__match_args__ if isinstance(value, Options) else value.__struct_fields__)
    for field, (offset, size) in fields.items():
        assert int.from_bytes(frame[offset : offset + size], "little") == int(getattr(value, field)), field


@pytest.mark.parametrize(("module", "name", "value", "frame"), CODECS)
def test_the_codecs_struct_is_as_large_as_the_schemas_and_has_no_pointers(
    module: ModuleType, name: str, value: Options | EventHeader, frame: bytes
) -> None:
    node = getattr(module, name).schema.node.struct
    assert struct.unpack_from("<IHH", frame) == (0, node.dataWordCount, node.pointerCount)
    assert len(frame) == 8 + 8 * node.dataWordCount
    assert node.pointerCount == 0


@pytest.mark.parametrize(("module", "name", "value", "frame"), CODECS)
def test_cap_n_proto_reads_what_the_codec_writes(
    module: ModuleType, name: str, value: Options | EventHeader, frame: bytes
) -> None:
    reader = getattr(module, name).from_segments([frame])
    for field in reader.schema.fieldnames:
        assert getattr(reader, field) == int(getattr(value, snake(field)))


@pytest.mark.parametrize(("module", "name", "value", "frame"), CODECS)
def test_the_codec_reads_what_cap_n_proto_writes(
    module: ModuleType, name: str, value: Options | EventHeader, frame: bytes
) -> None:
    builder = getattr(module, name).new_message()
    for field in builder.schema.fieldnames:
        setattr(builder, field, int(getattr(value, snake(field))))
    (segment,) = builder.to_segments()
    if name == "Options":
        assert read_options(bytes(segment)) == value
    else:
        assert read_event([b"topic", bytes(segment), b""])[1] == value
    assert bytes(segment) == frame
