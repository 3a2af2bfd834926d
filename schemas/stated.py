"""What a peer states of the types it speaks: their fingerprints, and the schema that proves them.

A type may be pycapnp's or ours (`structs`); what counts here is the schema that declares it and its id there.
"""

from collections.abc import Collection, Iterable
from typing import TypeAlias

from hootbus.schemas import fingerprint, model, standard
from hootbus.schemas.body import CapnpBody, message_type
from hootbus.schemas.envelopes import Method
from hootbus.schemas.loaded import LOADED
from hootbus.schemas.readers import StructReader
from hootbus.schemas.structs import StructType, declaration_of, is_builder
from hootbus.schemas.transfer import write_request
from hootbus.schemas.writer import write_struct

Declared: TypeAlias = tuple[model.Schema, int]
"""A struct type: the schema that declares it, and its id there."""


def declaration_of_message(value: object) -> Declared | None:
    """The type of a message that is to be sent; None for no Cap'n Proto, and for a type that nobody has loaded."""
    found: Declared
    if isinstance(value, CapnpBody):
        found = value.schema or LOADED, value.type_id
    elif isinstance(value, StructReader):
        found = value._layout.schema, value._layout.type_id
    elif is_builder(value):
        found = LOADED, message_type(value)
    else:
        return None
    return found if fingerprint_in(*found) else None


def fingerprint_in(schema: model.Schema, type_id: int) -> int:
    """The fingerprint of the type with this id, 0 if the schema lacks it."""
    try:
        return fingerprint.fingerprint(schema, type_id)
    except LookupError:
        # Not remembered: it may be loaded yet.
        return 0


def method_fingerprint(request: Declared | None, reply: Declared | None) -> int:
    """By what a request names the version that its sender speaks: of its own type, with the reply's if it says that."""
    of_request = fingerprint_in(*request) if request is not None else 0
    return of_request if reply is None else fingerprint.method_fingerprint(of_request, fingerprint_in(*reply))


def stated_method(name: str, is_default: bool, request: StructType | None, reply: StructType | None) -> Method:
    """A method with what a registration says of its types."""
    return Method(
        name=name,
        is_default=is_default,
        request_type=declaration_of(request)[1] if request is not None else 0,
        reply_type=declaration_of(reply)[1] if reply is not None else 0,
        request_fingerprint=fingerprint.fingerprint_of(request) if request is not None else 0,
        reply_fingerprint=fingerprint.fingerprint_of(reply) if reply is not None else 0,
    )


def proof(types: Iterable[Declared]) -> bytes:
    """All that these types need, as a `CodeGeneratorRequest`."""
    return write_request(_together(types))


def check_together(types: Collection[Declared]) -> None:
    """That one schema can have all these types, as a service has one. Raises ValueError for a type of which they have
    two versions: a generated module's, say, and that of a file."""
    if len({id(schema) for schema, _ in types}) < 2:  # one schema has one version of each
        return
    together = _together(types)
    for schema, type_id in types:
        if fingerprint_in(together, type_id) != fingerprint_in(schema, type_id):
            name = schema.node(type_id).path
            raise ValueError(f"{name} is in two versions, of two schemas; a service has one version of each type")


def _together(types: Iterable[Declared]) -> model.Schema:
    nodes: dict[int, model.Node] = {}
    for schema, type_id in types:
        nodes = {**schema.closure([type_id]).nodes, **nodes}
    return model.Schema(nodes.values())


def write_comparison(target: bytes, request: Declared | None, reply: Declared | None) -> bytes:
    """The body of a request to `hoot.broker/compare`: what a client of this target speaks."""
    types = [declared for declared in (request, reply) if declared is not None]
    return bytes(
        write_struct(
            standard.broker.Comparison,
            target=target,
            requestType=request[1] if request is not None else 0,
            replyType=reply[1] if reply is not None else 0,
            requestFingerprint=fingerprint_in(*request) if request is not None else 0,
            replyFingerprint=fingerprint_in(*reply) if reply is not None else 0,
            nodes=proof(types),
        ).buffer
    )
