"""The types of a service as its workers tell them: for a client that has none of its `.capnp` files."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from hootbus.schemas import BodyError, CapnpBody, standard, write_fields, write_struct
from hootbus.schemas.model import Schema, Struct
from hootbus.schemas.structs import SchemaStruct
from hootbus.schemas.transfer import read_request
from hootbus.workers.content import Reply, bad_body

SCHEMA: Final = "hoot.broker/schema"


class MethodTypes(msgspec.Struct, frozen=True):
    """What a method takes and what it returns, None where its worker does not say."""

    request: SchemaStruct | None
    reply: SchemaStruct | None


class ServiceSchema:
    """The types that a service speaks, in the version that most of its workers do.

    `methods` are those with types, by name. `schema["Clip"]` is a struct by its name, for `capnp`, `expects` and
    `write_struct`, as any that was loaded from a file.
    """

    def __init__(self, methods: Mapping[str, MethodTypes], schema: Schema) -> None:
        self.methods: Final = MappingProxyType(dict(methods))
        self._schema = schema
        structs = [node for node in schema.nodes.values() if isinstance(node.body, Struct) and not node.body.is_group]
        count = Counter(node.path for node in structs)
        # Where files have structs of one name, that of the file tells them apart.
        self._ids: Final = {node.path if count[node.path] == 1 else node.display_name: node.id for node in structs}

    def __getitem__(self, name: str) -> SchemaStruct:
        """The struct of this name, with those around it: "Clip.Channel". Raises KeyError.

        Of several files that have one of this name, `"clip.capnp:Clip.Channel"`.
        """
        found = self._ids.get(name)
        if found is None:
            raise KeyError(f"there is no struct {name!r}; there are {', '.join(self) or 'none'}")
        return SchemaStruct(self._schema, found)

    def __iter__(self) -> Iterator[str]:
        """The names of all structs, those that methods need of others too."""
        return iter(sorted(self._ids))

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<schema of {', '.join(self.methods) or 'no typed methods'}>"

    def write(self, type_name: str, /, **fields: object) -> CapnpBody:
        """A message of the struct of this name, as `write_struct` makes them. Raises KeyError, FieldError."""
        return write_struct(self[type_name], **fields)

    def request(self, method: str, /, **fields: object) -> CapnpBody:
        """A message of the type that the method takes. Raises KeyError, FieldError."""
        types = self.methods.get(method)
        if types is None or types.request is None:
            raise KeyError(f"no worker tells what {method!r} takes; there are {', '.join(self.methods) or 'none'}")
        return write_fields(types.request, fields)


def schema_question(service: str) -> CapnpBody:
    """What is asked of the broker."""
    return write_struct(standard.broker.SchemaRequest, service=service)


def schema_answer(reply: Reply) -> ServiceSchema:
    """What it answers. Raises BadBody."""
    try:
        answer = reply.capnp(standard.broker.ServiceSchema)
        if not len(answer.versions):
            return ServiceSchema({}, Schema(()))
        first = answer.versions[0]
        schema = read_request(bytes(first.nodes))
        methods = {
            str(method.name): MethodTypes(_struct(schema, method.requestType), _struct(schema, method.replyType))
            for method in first.version.methods
        }
    except (BodyError, LookupError, TypeError) as error:
        raise bad_body(error) from error
    return ServiceSchema(methods, schema)


def _struct(schema: Schema, type_id: int) -> SchemaStruct | None:
    return SchemaStruct(schema, type_id) if type_id else None
