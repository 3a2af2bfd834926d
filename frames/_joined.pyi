from hootbus.frames.buffer import Buffer
from hootbus.frames.protocol import ContentType

class Part:
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

def join(bodies: list[bytes]) -> bytes: ...
def split(body: Buffer, count: int) -> list[Part]: ...

class Run:
    name: str
    topic: bytes
    content_type: ContentType
    schema_id: int
    time_ns: int
    bodies: list[bytes]
    size: int
    room: int
    def __init__(
        self, name: str, topic: bytes, content_type: ContentType, schema_id: int, time_ns: int, body: bytes
    ) -> None: ...
    def follow(self, name: str, body: object, schema_id: int) -> bool: ...
    def add(self, body: bytes) -> bool: ...
