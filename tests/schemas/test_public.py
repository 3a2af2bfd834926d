"""What `hootbus.schemas` promises to the rest of the package."""

import hootbus.schemas

NAMES = """
    AnyReader Array BodyError Builder COPIES CapnpBody CapnpError CopyCounter Enumerant FieldError ListReader
    Method Pong Registration SchemaError Segments StructReader StructType TypedReader Unknown WireError array canonical
    canonical_body halves identifier_of is_builder is_canonical is_ping is_struct_type load message_type
    read_broadcast read_capnp read_error read_error_json read_json read_pong read_registration reason_of schema_of
    segments standard type_id validate view write_broadcast write_capnp write_error write_error_json write_fields
    write_json write_ping write_pong write_registration write_struct
"""


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(hootbus.schemas.__all__) == sorted(NAMES.split())
    assert all(hasattr(hootbus.schemas, name) for name in hootbus.schemas.__all__)
