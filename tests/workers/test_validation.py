"""Which requests a worker checks to the last field, and that the broker says who has sent them."""

from collections.abc import Iterator

import pytest
import zmq

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import resolve_address
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import CapnpBody, read_error, standard, type_id, write_capnp
from hootbus.workers import BadBody, Client, Request, Worker
from hootbus.workers.validation import Validate, applies

AudioClip = standard.demo.AudioClip
SOUND = write_capnp(AudioClip.new_message(title="kick", samples=[1.0, 3.0]))
NO_TEXT = SOUND.replace(b"kick", b"k\xffck")
WAIT_MS = 20_000


def offer(validate: Validate) -> Worker:
    worker = Worker("text", validate=validate)

    @worker.method
    def rate(clip: AudioClip) -> int:  # type: ignore[valid-type]  # made at run time
        return clip.sampleRate  # type: ignore[attr-defined, no-any-return]  # as above

    @worker.method(name="later")
    async def read_by_itself(request: Request) -> int:
        return int(request.capnp(AudioClip).sampleRate)

    @worker.method(name="array")
    def read_an_array(request: Request) -> int:
        return len(request.array("samples", AudioClip)) - 2

    @worker.method(name="view")
    def read_a_view(request: Request) -> int:
        return len(request.view("title", AudioClip)) - 4

    return worker


def as_clip(body: bytes) -> CapnpBody:
    return CapnpBody(body, type_id(AudioClip))


@pytest.fixture
def plain(bus: EmbeddedBroker) -> Iterator["zmq.Socket[bytes]"]:
    """A peer as other software writes them: seven frames, no options."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(resolve_address(bus.address).requests)
        yield socket


def ask(socket: "zmq.Socket[bytes]", service: bytes, body: bytes) -> tuple[int, bytes]:
    numbers = (Command.REQUEST, ContentType.CAPNPROTO)
    socket.send_multipart(
        [b"HOOT01", *(number.to_bytes(2, "big") for number in numbers), bytes(16), service, b"", body]
    )
    assert socket.poll(WAIT_MS)
    frames = socket.recv_multipart()
    return int.from_bytes(frames[2], "big"), frames[6]


@pytest.mark.parametrize(
    ("validate", "ours_is_checked", "theirs_is_checked"),
    [("off", False, False), ("edge", False, True), ("on", True, True)],
)
def test_a_fault_in_a_field_that_nobody_reads_is_found_where_requests_are_checked(
    bus: EmbeddedBroker,
    plain: "zmq.Socket[bytes]",
    validate: Validate,
    ours_is_checked: bool,
    theirs_is_checked: bool,
) -> None:
    bus.worker(offer(validate))
    with Client(bus.address) as client:
        for method in ("rate", "later", "array", "view"):
            assert client.call(f"text/{method}", as_clip(SOUND)).json() == 0
            if ours_is_checked:
                with pytest.raises(BadBody, match="title: not UTF-8 at byte 1"):
                    client.call(f"text/{method}", as_clip(NO_TEXT))
            else:
                assert client.call(f"text/{method}", as_clip(NO_TEXT)).json() == 0
            kind, body = ask(plain, f"text/{method}".encode(), NO_TEXT)
            if theirs_is_checked:
                error = read_error(body)
                assert error is not None
                assert (error.code, error.message) == ("bad_body", "title: not UTF-8 at byte 1")
            else:
                assert (kind, body) == (ContentType.JSON, b"0")


def test_what_came_without_options_is_from_outside() -> None:
    ours, theirs = Options(), Options(flags=Flag.PLAIN)
    assert [applies("edge", options) for options in (None, theirs, ours)] == [True, True, False]
    assert [applies("on", options) for options in (None, theirs, ours)] == [True, True, True]
    assert [applies("off", options) for options in (None, theirs, ours)] == [False, False, False]


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="validate is 'off', 'edge' or 'on', not 'always'"):
        Worker("text", validate="always")  # type: ignore[arg-type]  # that is the case


def test_whoever_has_a_body_can_have_it_checked(bus: EmbeddedBroker) -> None:
    worker = Worker("echo")
    worker.method(name="back")(lambda request: request)
    bus.worker(worker)
    with Client(bus.address) as client:
        assert client.call("echo", as_clip(SOUND)).validate() == ()
        with pytest.raises(BadBody, match="title: not UTF-8 at byte 1"):
            client.call("echo", as_clip(NO_TEXT)).validate(AudioClip)
        with pytest.raises(LookupError, match="no schema given"):
            client.call("echo", CapnpBody(SOUND, 17)).validate()
