"""Three errors, because three different people are to blame: who sent a body, who wrote a schema, who names a field."""

from pathlib import Path


class BodyError(ValueError):
    """The sender's bytes are not what they claim to be.

    `field` says where ("samples", "methods[3].name"; empty: the body as a whole), `reason` says what is wrong.
    Workers answer it with the wire's `bad_body`; this package does not know wire codes.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


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
    """A `.capnp` file that cannot be loaded. `line` counts from 1; 0 if the compiler named none."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path = path
        self.line = line
        self.message = message
