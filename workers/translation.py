"""The fallback for who has no schema at hand: JSON requests to Cap'n Proto methods, and their replies, as JSON.

A method whose handler takes a Cap'n Proto type says by that what JSON is to mean to it. The request is written as the
message that its JSON describes, and what the handler answers goes back as JSON. It is for people, scripts and the
shell: it takes many times as long as a message that is read in place, and so it is counted.
"""

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import BadFrame
from hootbus.frames.protocol import MESSAGE_BYTES_MAX, ContentType
from hootbus.schemas import BodyError, Segments, StructType, read_capnp, schema_of, segments, type_id
from hootbus.schemas.segments import split
from hootbus.workers.session import Body

# The JSON form is imported where it is used: most workers never meet a request of this kind.


def message_of(body: Buffer, struct: StructType) -> Segments:
    """The message that a JSON body describes. Raises BodyError, whose field is the path in the JSON."""
    from hootbus.schemas.forms import read_capnp_json

    try:
        text = str(body, "utf-8")
    except UnicodeDecodeError as error:
        raise BodyError("", f"not UTF-8 at byte {error.start}") from None
    # Not counted among the bodies that were read in place: this one was not received.
    return split(memoryview(read_capnp_json(text, struct).buffer))


def as_json(body: Body, returns: StructType | None) -> Body:
    """A Cap'n Proto body as JSON, its attachments with it; any other as it is, and one whose type is not known here.

    `returns` is what the handler's annotation says. Raises FieldError for what has no JSON form, and BadFrame if the
    JSON is more than a message holds.
    """
    from hootbus.schemas.forms import write_capnp_json

    if body.content_type is not ContentType.CAPNPROTO:
        return body
    # By the annotation first: a generic's says what its parameters are.
    struct = returns if returns is not None and type_id(returns) == body.schema_id else schema_of(body.schema_id)
    if struct is None:
        return body
    text = write_capnp_json(read_capnp(segments(body.buffer, received=False), struct)).encode()
    if len(text) + sum(map(len, body.attachments)) > MESSAGE_BYTES_MAX:
        raise BadFrame(f"a reply of {len(text)} bytes as JSON, more than {MESSAGE_BYTES_MAX}")
    return Body(ContentType.JSON, text, 0, body.attachments)
