"""Hootenanny's events: a bare `Broadcast` each, written by arm and fields, read as arm and reader."""

from typing import TYPE_CHECKING

from hootbus.schemas import standard
from hootbus.schemas.body import CapnpBody, read_capnp, write_capnp
from hootbus.schemas.structs import CapnpError, Reader, reading, type_id

if TYPE_CHECKING:
    from typing_extensions import Buffer


def write_broadcast(arm: str, **fields: object) -> CapnpBody:
    """`write_broadcast("progress", jobId="j1", percent=0.5)`, ready to be published.

    A struct among the fields is given as a dict. Raises ValueError for an arm there is not, or that has no fields of
    ours (the `AnyStruct` ones).
    """
    struct = standard.broadcast.Broadcast
    schema = struct.schema
    if arm not in schema.fieldnames:
        raise ValueError(f"no broadcast is called {arm!r}; there are {', '.join(schema.fieldnames)}")
    if schema.fields[arm].proto.slot.type.which() != "struct":
        raise ValueError(f"the fields of the broadcast {arm!r} are not known here")
    return CapnpBody(write_capnp(struct.new_message(**{arm: fields})), type_id(struct))


def read_broadcast(body: "Buffer") -> tuple[str, Reader] | None:
    """The arm's name and a reader of it; None for an arm from a newer sender. Raises BodyError."""
    broadcast = read_capnp(body, standard.broadcast.Broadcast)
    try:
        arm = str(broadcast.which())
    except CapnpError:
        return None
    with reading(arm):
        return arm, getattr(broadcast, arm)
