"""What a message carries, read where the network put it: the common face of Request, Reply and Event.

This is the one place where a body that is not what it claims becomes the wire's `bad_body`.
"""

from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import BadBody, SchemaMismatch
from hootbus.frames.protocol import ContentType
from hootbus.schemas import BodyError, StructType, array, read_capnp, read_json, schema_of, segments, validate, view
from hootbus.schemas.layout import layout_of
from hootbus.schemas.records import is_record_type

if TYPE_CHECKING:
    import numpy as np

    from hootbus.schemas import Segments, StructReader, TypedReader, Unknown

T = TypeVar("T")
R = TypeVar("R", bound="TypedReader")

# A reader's errors while a field is read name no content type; these are the ones a body can be refused with.
_KIND: Final = {
    ContentType.EMPTY: "empty",
    ContentType.CAPNPROTO: "Cap'n Proto",
    ContentType.RAW_BINARY: "raw bytes",
    ContentType.JSON: "JSON",
}


def bad_body(error: Exception) -> BadBody:
    """The wire's error for what a body was found to be."""
    return BadBody(str(error))


class Readable:
    """The ways to read a body; where it is kept is its heirs' affair.

    Everything is a view of received memory, or made from it; nothing is copied but what `json` decodes. Views stay
    valid as long as they live: they hold the frame.
    """

    if TYPE_CHECKING:
        _content_type: ContentType
        _buffer: Buffer
        _schema_id: int
        _received_attachments: tuple[Buffer, ...]
        _schema: StructType | None
        _segments: Segments | None
    else:
        __slots__ = ()

    @property
    def content_type(self) -> ContentType:
        """What the body is."""
        return self._content_type

    @property
    def schema_id(self) -> int:
        """The 64-bit type id of a Cap'n Proto body's root struct, 0 where its sender did not say."""
        return self._schema_id

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self._buffer)

    @property
    def raw(self) -> memoryview:
        """The body's bytes, read-only, whatever it is."""
        return _view(self._buffer)

    @property
    def attachments(self) -> tuple[memoryview, ...]:
        """The frames behind the body, read-only views in the order they were sent."""
        return tuple(map(_view, self._received_attachments))

    @property
    def body(self) -> Any:  # noqa: ANN401  # any JSON value is possible
        """The body as far as it explains itself: JSON decoded, None if empty, else a view of the bytes."""
        if self._content_type is ContentType.JSON:
            return self.json()
        return None if self._content_type is ContentType.EMPTY else self.raw

    @overload
    def json(self) -> Any: ...  # noqa: ANN401  # any JSON value is possible
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = Any) -> Any:
        """The JSON body, checked against `type` if given: a record, a `msgspec.Struct` or what msgspec converts to.

        Raises BadBody, whose text says where it does not fit.
        """
        self._expect(ContentType.JSON)
        try:
            if is_record_type(type):
                return type.from_json(self._buffer)
            return read_json(self._buffer, type)
        except BodyError as error:
            raise bad_body(error) from error

    @overload
    def capnp(self, schema: "type[R]") -> "R": ...
    @overload
    def capnp(self, schema: StructType) -> "StructReader": ...
    def capnp(self, schema: Any) -> Any:
        """A reader over the body itself, for a struct of a loaded `.capnp` file.

        Only its root is checked here: a malformed field raises `hootbus.schemas.BodyError` when it is read, which a
        handler may let pass: its peer is told. Raises BadBody, and SchemaMismatch where the sender says that it is of
        another type.
        """
        self._check_type(schema)
        self._schema = schema
        try:
            return read_capnp(self._parts(), schema)
        except BodyError as error:
            raise bad_body(error) from error

    def array(self, field: str, schema: StructType | None = None) -> "np.ndarray[tuple[int], np.dtype[Any]]":
        """A read-only view of a list of numbers, over the received frame.

        Shape (n,), dtype of the schema's element, no copy. `field` may lead through structs and lists:
        "clips[2].left.samples". The schema is the one given, else the one the body was read as or a handler's
        annotation names, else the one the sender has named by its type id, if this process has loaded it. Raises
        BadBody if the bytes do not hold such a list, LookupError if no schema is known, `hootbus.schemas.FieldError` if
        it has no such field.
        """
        try:
            return array(self._parts(), self._schema_for(field, schema), field)
        except BodyError as error:
            raise bad_body(error) from error

    def view(self, field: str, schema: StructType | None = None) -> memoryview:
        """A read-only view of a Data, or of a Text's bytes, over the received frame. Otherwise as `array`."""
        try:
            return view(self._parts(), self._schema_for(field, schema), field)
        except BodyError as error:
            raise bad_body(error) from error

    def validate(self, schema: StructType | None = None) -> "tuple[Unknown, ...]":
        """Check a Cap'n Proto body to its last field: pointers, bounds, depth, texts, amplification.

        Returns what only newer peers know, which is no fault: unknown enumerants and unions' members. Raises BadBody,
        which names the first field that is wrong, and LookupError if no schema is known.
        """
        try:
            return validate(self._parts(), self._schema_for("validate", schema))
        except BodyError as error:
            raise bad_body(error) from error

    def holds(self, error: BodyError) -> bool:
        """Whether it is this body in which that error was found, and not another that somebody has read."""
        return self._segments is not None and error.origin is self._segments

    def _check_type(self, schema: StructType) -> None:
        sent = self._schema_id
        if not sent or sent == (wanted := layout_of(schema)).type_id:
            return
        known = schema_of(sent)
        name = f"{layout_of(known).name} (@{sent:#018x})" if known is not None else f"the type @{sent:#018x}"
        raise SchemaMismatch(f"the body is {name}, not {wanted.name} (@{wanted.type_id:#018x})")

    def _schema_for(self, field: str, schema: StructType | None) -> StructType:
        # First of all: without a Cap'n Proto body no schema would help.
        self._parts()
        found = schema or self._schema or schema_of(self._schema_id)
        if found is None:
            raise LookupError(f"{field!r}: no schema given, and type id {self._schema_id:#018x} is not loaded")
        return found

    def _parts(self) -> "Segments":
        """The segments of a Cap'n Proto body: found once, so that it is counted once as read in place or copied."""
        if self._segments is None:
            self._expect(ContentType.CAPNPROTO)
            self._segments = segments(self._buffer)
        return self._segments

    def _expect(self, content_type: ContentType) -> None:
        if self._content_type is not content_type:
            raise BadBody(f"the body is {_KIND[self._content_type]}, not {_KIND[content_type]}")


# Structs, as one is made for every message: a third of the time of a class with as many slots. They refer to nothing
# that could refer to them, so the garbage collector need not look.
class Content(Readable, msgspec.Struct, eq=False, gc=False):
    """A body with its content type, and the attachments that go with it."""

    _content_type: ContentType
    _buffer: Buffer
    _schema_id: int = 0
    _received_attachments: tuple[Buffer, ...] = ()
    _schema: StructType | None = None
    _segments: "Segments | None" = None


class Reply(Content, eq=False, gc=False):
    """The reply to a request, or one item of a streamed reply."""

    def __repr__(self) -> str:
        return f"<Reply of {self.size} bytes, {self._content_type.name}>"


def _view(buffer: Buffer) -> memoryview:
    return memoryview(buffer).toreadonly()
