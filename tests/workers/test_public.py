"""The public names of hootbus.workers are these, and no others by accident."""

import hootbus.workers
from hootbus.frames.errors import ERRORS

PROGRAMS = {
    "AsyncClient",
    "Client",
    "Event",
    "Gathered",
    "Hello",
    "HelloAck",
    "Keys",
    "Limits",
    "Publisher",
    "Reply",
    "Request",
    "Response",
    "Subscriber",
    "Worker",
    "agree",
    "anegotiate",
    "negotiate",
    "speak_majors",
}


def test_the_names_are_these() -> None:
    errors = {"HootError", *(kind.__name__ for kind in ERRORS)}
    assert set(hootbus.workers.__all__) == PROGRAMS | errors
    assert all(getattr(hootbus.workers, name) is not None for name in hootbus.workers.__all__)
