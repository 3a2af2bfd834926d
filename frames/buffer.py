"""What a body is: bytes, or memory that was received."""

from typing import TYPE_CHECKING, Any, TypeAlias

# A body lies where it was received: in a Frame (native) or in a read-only memoryview over a zmq.Frame (fallback).
# One that is to be sent may be plain bytes. All of them have a length and the buffer protocol.
if TYPE_CHECKING:
    from hootbus.frames._native import Frame

    Buffer: TypeAlias = bytes | bytearray | memoryview | Frame
else:
    # That module may not be there, and the annotations must make sense all the same (inspect.signature).
    Buffer = bytes | bytearray | memoryview
# The frames of a multipart message: bytes where a header may stand, Buffer for what is too large to be one, the body
# and the attachments. A list type cannot say that.
Frames: TypeAlias = list[Any]


def byte_count(buffer: Buffer) -> int:
    """The bytes a frame of this buffer has; `len` of a memoryview counts its items, which may be larger."""
    return buffer.nbytes if type(buffer) is memoryview else len(buffer)
