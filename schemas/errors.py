"""Three errors, because three different people are to blame: who sent a body, who wrote a schema, who names a field."""

from pathlib import Path


class BodyError(ValueError):
    """The sender's bytes are not what they claim to be.

    `field` says where ("samples", "methods[3].name"; empty: the body as a whole), `reason` says what is wrong, `origin`
    is the body's segments, where they are known: whoever has read several bodies can tell whose fault it is.
    Workers answer it with the wire's `bad_body`; this package does not know wire codes.
    """

    def __init__(self, field: str, reason: str, origin: object = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.origin = origin


class FieldError(TypeError):
    """Our own program asked for a field that the schema does not have, or has with another type.

    Not a `BodyError`: no bytes of any peer could have made it right, so no peer shall be blamed.
    """

    def __init__(self, schema: str, field: str, reason: str) -> None:
        super().__init__(f"{schema}.{field}: {reason}")
        self.schema = schema
        self.field = field
        self.reason = reason


class SchemaError(Exception):
    """A `.capnp` file that cannot be loaded.

    `path` is the file with the mistake, perhaps one that was only imported. `line` and `column` say where the token
    starts at which the compiler gave up; both count from 1, the column in bytes, as `capnp compile` does. Both are 0
    if no place in the file is to blame.
    """

    def __init__(self, path: Path, line: int, column: int, message: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {message}" if line else f"{path}: {message}")
        self.path = path
        self.line = line
        self.column = column
        self.message = message
