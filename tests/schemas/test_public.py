"""What `hootbus.schemas` promises to the rest of the package."""

import hootbus.schemas

NAMES = """
    COPIES Array BodyError Builder CapnpBody CapnpError CopyCounter FieldError Method Pong Reader Registration
    SchemaError Segments StructType WireError array build find_fault halves identifier_of is_builder is_ping
    is_reader is_struct_type load read_broadcast read_capnp read_dict read_error read_error_json read_json read_pong
    read_registration reason_of schema_of segments standard type_id write_arrays write_broadcast write_capnp
    write_error write_error_json write_json write_ping write_pong write_registration
"""


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(hootbus.schemas.__all__) == sorted(NAMES.split())
    assert all(hasattr(hootbus.schemas, name) for name in hootbus.schemas.__all__)
