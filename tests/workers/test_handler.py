"""A worker's methods: what their signatures mean, and which one a request asks for."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hootbus.frames.errors import BadBody, HootError, UnknownMethod
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType
from hootbus.schemas import standard, write_capnp
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.fingerprint import fingerprint_of
from hootbus.schemas.structs import SchemaStruct
from hootbus.workers import Request, Worker
from hootbus.workers.execution import request_of
from hootbus.workers.handler import Handler, Kind, Methods, inspect_handler

AudioClip = standard.demo.AudioClip


class Point(msgspec.Struct):
    x: int


def asked(content_type: ContentType, body: bytes) -> Request:
    return request_of(Message((), Command.REQUEST, content_type, bytes(16), b"s/m", body=body), "m", 0.0)


def handler(function: Callable[..., Any], *, inline: bool = False) -> Handler:
    return inspect_handler(function, name=None, inline=inline, default=False)


def methods(*names: str, default: str = "") -> Methods:
    found = Methods("text")
    for name in names:
        found.add(inspect_handler(lambda request: None, name=name, inline=False, default=name == default))
    return found


def plain(request: Request) -> None: ...
async def task(request: Request) -> None: ...
def items(request: Request) -> Iterator[int]:
    yield 1


async def async_items(request: Request) -> AsyncIterator[int]:
    yield 1


class Callables:
    def method(self, body: bytes) -> bytes:
        return body

    async def __call__(self, request: Request) -> None: ...


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (plain, Kind.THREAD),
        (task, Kind.TASK),
        (items, Kind.GENERATOR),
        (async_items, Kind.ASYNC_GENERATOR),
        (Callables().method, Kind.THREAD),
        (Callables(), Kind.TASK),
    ],
)
def test_what_a_function_is_says_where_it_runs(function: Callable[..., Any], kind: Kind) -> None:
    assert handler(function).kind is kind


def test_only_a_plain_function_can_be_inline() -> None:
    assert handler(plain, inline=True).kind is Kind.INLINE
    for function in (task, items, async_items):
        with pytest.raises(TypeError, match="inline is for a plain function"):
            handler(function, inline=True)


def test_the_argument_is_what_the_annotation_says() -> None:
    json = asked(ContentType.JSON, b'{"x":1}')

    def untyped(request):  # type: ignore[no-untyped-def]  # that is the case in question
        return request

    def whole(request: Request) -> Request:
        return request

    def struct(point: Point) -> Point:
        return point

    def mapping(body: dict[str, int]) -> dict[str, int]:
        return body

    def raw(body: bytes) -> bytes:
        return body

    def view(body: memoryview) -> memoryview:
        return body

    def nothing() -> str:
        return "called"

    def both(point: Point, request: Request) -> tuple[Point, Request]:
        return point, request

    assert handler(untyped).call(json) is json
    assert handler(whole).call(json) is json
    assert handler(struct).call(json) == Point(1)
    assert handler(mapping).call(json) == {"x": 1}
    assert handler(raw).call(json) == b'{"x":1}'
    assert bytes(handler(view).call(json)) == b'{"x":1}'
    assert handler(nothing).call(json) == "called"
    assert handler(both).call(json) == (Point(1), json)
    with pytest.raises(BadBody):
        handler(struct).call(asked(ContentType.JSON, b"[]"))


def test_a_capnp_annotation_gives_a_reader_and_tells_the_types() -> None:
    def peak(clip: AudioClip) -> AudioClip:  # type: ignore[valid-type]  # a type made at run time
        return max(clip.samples)  # type: ignore[attr-defined, no-any-return]  # as above

    found = handler(peak)
    message = AudioClip.new_message()
    message.samples = [1.0, 3.0, 2.0]
    assert found.takes is AudioClip
    assert found.returns is AudioClip
    assert found.takes is not None
    stated = found.stated()
    assert stated.request_type == stated.reply_type != 0
    assert stated.request_fingerprint == stated.reply_fingerprint == fingerprint_of(found.takes)
    assert found.call(asked(ContentType.CAPNPROTO, write_capnp(message))) == 3.0


def test_signatures_that_cannot_be_called_are_refused() -> None:
    def three(a: int, b: int, c: int) -> None: ...

    def keyword(request: Request, *, needed: int) -> None: ...

    def later(request: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821  # that is the case

    with pytest.raises(TypeError, match="three: a handler takes its body"):
        handler(three)
    with pytest.raises(TypeError, match="nothing is passed for the keyword 'needed'"):
        handler(keyword)
    with pytest.raises(TypeError, match="later: an annotation cannot be evaluated"):
        handler(later)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (b"text/upper", "upper"),
        (b"text/lower", "lower"),
        (b"text", "upper"),
        (b"", "upper"),
        (b"holler-1234", "upper"),
        (b"other/lower", "upper"),
    ],
)
def test_a_service_frame_names_a_method_or_means_the_default(frame: bytes, found: str) -> None:
    handler = methods("upper", "lower", default="upper").find(frame)
    assert isinstance(handler, Handler)
    assert handler.name == found


def test_the_only_method_is_the_default() -> None:
    handler = methods("upper").find(b"text")
    assert isinstance(handler, Handler)


@pytest.mark.parametrize("frame", [b"text", b"text/nope", b"text/", b"text/\xff", b"else"])
def test_a_method_that_is_not_there_is_unknown(frame: bytes) -> None:
    found = methods("upper", "lower").find(frame)
    assert isinstance(found, UnknownMethod)
    assert isinstance(found, HootError)


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="no method name"):
        methods("not-a-name")
    with pytest.raises(ValueError, match="already"):
        methods("twice", "twice")
    found = methods("one", "two", default="one")
    another = inspect_handler(plain, name=None, inline=False, default=True)
    with pytest.raises(ValueError, match="there is one already"):
        found.add(another)
    with pytest.raises(ValueError, match="no service name"):
        Worker("Text")


def test_slots_follow_from_the_methods() -> None:
    worker = Worker("text")
    worker.method(inline=True)(plain)
    assert worker.slots == 256
    worker.method(task)
    assert worker.slots == 64
    worker.method(items)
    assert worker.slots == 4
    assert Worker("text", slots=9).slots == 9


def test_two_versions_of_a_type_are_not_offered_by_one_service(tmp_path: Path) -> None:
    """The broker is shown one schema: the method with the other version would not be what it states."""
    tone = "@0xdb8db2f1bd2bd0b0; struct Tone @0xdb8db2f1bd2bd0b1 {{ hertz @0 :Float32; {} }}"
    versions = []
    for name, more in (("old", ""), ("new", "gain @1 :Float32;"), ("again", "")):
        path = tmp_path / f"{name}.capnp"
        path.write_text(tone.format(more))
        versions.append(SchemaStruct(compile_files([path]), 0xDB8DB2F1BD2BD0B1))
    old, new, again = versions

    worker = Worker("tones")
    worker.method(typed("play", old))
    worker.method(typed("record", again))
    with pytest.raises(ValueError, match=r"the method 'stop': Tone is in two versions"):
        worker.method(typed("stop", new))
    worker.method(plain)


def typed(name: str, struct: SchemaStruct) -> Callable[..., Any]:
    def function(message: object) -> None: ...

    function.__name__ = name
    function.__annotations__["message"] = struct
    return function
