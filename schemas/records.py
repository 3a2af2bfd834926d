"""Structs of a schema as Python objects of their own: what generated modules define for the JSON side of a program.

A record owns what it has, unlike a reader, which is a place in a message. It is read out of a message and written into
one field by field; as JSON it is what the message would be, by the one mapping there is (`forms`).
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from hootbus.schemas.body import CapnpBody, read_capnp
from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.errors import BodyError
from hootbus.schemas.forms import read_capnp_json, write_capnp_json
from hootbus.schemas.lists import ListReader
from hootbus.schemas.readers import AnyReader, StructReader, TypedReader
from hootbus.schemas.segments import segments
from hootbus.schemas.structs import type_id
from hootbus.schemas.writer import UNKNOWN_ARM, write_record

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["UNSET", "Enumerant", "Record", "UnsetType", "is_set", "owned"]

_RECORDS: Final[dict[int, type["Record"]]] = {}


class Record(msgspec.Struct, kw_only=True):
    """A struct's values. Its heirs are generated; their attributes are the struct's fields, with the schema's defaults.

    Numbers, texts and lists are Python's, Data is bytes, an enum's value is an `EnumValue`, also one that is not known
    here. A struct is None where the message has none. Of a union at most one member is set, all others are `UNSET`;
    without any it is the first one.
    """

    capnp_type: ClassVar[Any] = None
    capnp_arms: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401  # msgspec's
        super().__init_subclass__(**options)
        if cls.capnp_type is not None:
            _RECORDS[type_id(cls.capnp_type)] = cls

    @classmethod
    def from_capnp(cls, reader: Any) -> Self:  # noqa: ANN401  # its heirs say which
        """What a message has, copied. Raises BodyError if it is malformed."""
        raise NotImplementedError(cls)

    @classmethod
    def from_json(cls, text: "Buffer | str") -> Self:
        """What JSON says, in the mapping of Cap'n Proto's own tools.

        Raises BodyError, whose field is the path, for what the schema does not have.
        """
        try:
            json = text if isinstance(text, str) else str(text, "utf-8")
        except UnicodeDecodeError as error:
            raise BodyError("", f"not UTF-8 at byte {error.start}") from None
        body = read_capnp_json(json, cls.capnp_type)
        return cls.from_capnp(read_capnp(segments(body.buffer, received=False), cls.capnp_type))

    def to_capnp(self) -> CapnpBody:
        """The message, ready to be sent.

        Raises FieldError for a value that does not fit the schema, and for a member of a union that was read from a
        newer peer's message: what is not known cannot be written again.
        """
        return write_record(self.capnp_type, self)

    def to_json(self) -> str:
        """The JSON that `from_json` reads. Raises as `to_capnp`, also for a pointer of no stated type."""
        body = self.to_capnp()
        return write_capnp_json(read_capnp(segments(body.buffer, received=False), self.capnp_type))

    def _which(self) -> Any:  # noqa: ANN401  # its heirs say which names
        for attribute, name in self.capnp_arms:
            if getattr(self, attribute) is not UNSET:
                return name
        unknown = getattr(self, UNKNOWN_ARM)
        return self.capnp_arms[0][1] if unknown is UNSET else Enumerant(unknown, None)


def is_record_type(value: object) -> TypeGuard[type[Record]]:
    """Whether this, an annotation perhaps, is the record of a struct."""
    return isinstance(value, type) and issubclass(value, Record) and value.capnp_type is not None


def is_set(reader: TypedReader, field: str) -> bool:
    """Whether a pointer leads anywhere: a struct that is not there is None in a record."""
    return reader._has(field)


def owned(value: object) -> Any:  # noqa: ANN401  # whatever the parameter stands for
    """What a generic struct's parameter was found to stand for, copied out of the message.

    A struct becomes the record of a module that was imported, else a dict. What no schema describes is left in the
    message, which then lives as long as the record.
    """
    if isinstance(value, StructReader):
        record = _RECORDS.get(value._layout.type_id)
        return value.to_dict() if record is None else record.from_capnp(value)
    if isinstance(value, ListReader):
        return [owned(item) for item in value]
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, AnyReader):
        return value or None
    return value
