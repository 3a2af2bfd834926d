"""Hootenanny's events: a bare `Broadcast` each, written by arm and fields, read as arm and reader."""

from typing import TYPE_CHECKING

from hootbus.schemas import standard
from hootbus.schemas.body import CapnpBody, read_capnp
from hootbus.schemas.layout import layout_of
from hootbus.schemas.readers import StructReader
from hootbus.schemas.types import Struct
from hootbus.schemas.writer import write_struct

if TYPE_CHECKING:
    from typing_extensions import Buffer


def write_broadcast(arm: str, **fields: object) -> CapnpBody:
    """`write_broadcast("progress", jobId="j1", percent=0.5)`, ready to be published.

    A struct among the fields is given as a dict. Raises ValueError for an arm there is not, or that has no fields of
    ours (the `AnyStruct` ones).
    """
    arms = layout_of(standard.broadcast.Broadcast).arms.values()
    found = next((field for field in arms if field.name == arm), None)
    if found is None:
        raise ValueError(f"no broadcast is called {arm!r}; there are {', '.join(field.name for field in arms)}")
    if not isinstance(found.type, Struct):
        raise ValueError(f"the fields of the broadcast {arm!r} are not known here")
    return write_struct(standard.broadcast.Broadcast, **{arm: fields})


def read_broadcast(body: "Buffer") -> tuple[str, StructReader] | None:
    """The arm's name and a reader of it; None for an arm from a newer sender. Raises BodyError."""
    broadcast = read_capnp(body, standard.broadcast.Broadcast)
    arm = broadcast.which()
    return (str(arm), broadcast._get(arm)) if arm.known else None
