"""The names that `hootbus.frames` promises. A change here is a change for users, and goes into the changelog."""

import inspect

import pytest

import hootbus.frames

NAMES = """
ERRORS FULL NATIVE NO_OPTIONS SENT SIGNATURE UNREACHABLE
Alignment BadBody BadFrame BrokerStopping Buffer BusAddress Cancelled Command ContentType DeadlineExceeded Denied
EventHeader Flag Frames HandlerFailed HootError Keys KeysError
LinkChange MalformedMessage Message Monitor Options Overloaded
Quarantined Route SchemaMismatch UnknownMethod UnknownService UnsupportedContentType Wire WorkerLost
address_of aligned_context check dealer default_address error_from_wire event_socket parse parse_address probe
read_event read_options resolve_address router serialize write_event_header write_options
""".split()


def test_the_public_names_are_these() -> None:
    assert hootbus.frames.__all__ == NAMES


# mypyc keeps no docstrings.
@pytest.mark.interpreted
def test_every_public_name_is_there_and_its_signature_can_be_read() -> None:
    for name in NAMES:
        public = getattr(hootbus.frames, name)
        if inspect.isfunction(public) or (inspect.isclass(public) and public.__module__.startswith("hootbus.")):
            assert public.__doc__, name
            if name != "Wire":  # the native one is a builtin, and those have none
                assert inspect.signature(public) is not None
