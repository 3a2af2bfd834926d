"""Which requests a worker checks to the last field before a handler reads them as Cap'n Proto."""

from typing import Final, Literal, TypeAlias

from hootbus.frames.options import Options
from hootbus.frames.protocol import Flag

Validate: TypeAlias = Literal["off", "edge", "on"]

# Reading is safe without, and peers of ours write with the schema in hand; what other software has written is looked at
# as it comes in.
DEFAULT: Final[Validate] = "edge"

_SETTINGS: Final[dict[str, Validate]] = {"off": "off", "edge": "edge", "on": "on"}
_PLAIN: Final[int] = Flag.PLAIN.value


def checked(validate: str) -> Validate:
    """The setting, if it is one. Raises ValueError."""
    found = _SETTINGS.get(validate)
    if found is None:
        raise ValueError(f"validate is 'off', 'edge' or 'on', not {validate!r}")
    return found


def applies(validate: Validate, options: Options | None) -> bool:
    """Whether a request with these options is to be checked."""
    if validate != "edge":
        return validate == "on"
    return options is None or bool(options.flags & _PLAIN)
