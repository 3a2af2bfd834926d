"""Messages to break the broker with: valid ones, mutated ones, and bodies that are not what they claim to be."""

import struct
from typing import Final

from hypothesis import strategies as st

from conformance import capnp_bytes
from conformance.notation import COMMANDS, CONTENT_TYPES, SIGNATURE, options

# Few of each, so that messages meet: replies to requests, doubles, cancels of what is there.
IDS: Final = [bytes([index]) * 16 for index in (1, 2, 3)]
SERVICES: Final = [
    b"up", b"down", b"up/say", b"", b"UP", b"\xff", b"up/", b"hoot.broker", b"hoot.broker/status",
    b"hoot.broker/workers", b"hoot.broker/services", b"hoot.events/echo", b"hoot.broker/\xff", b"hoot.x/y", b"x" * 255,
]  # fmt: skip

# Words that a Cap'n Proto pointer should not be: lists of 2^29-1 elements of every size (of Void, which takes no room),
# the same as structs, far pointers to nowhere, capabilities, itself, and the largest struct.
_MOST: Final = (1 << 29) - 1
HOSTILE_WORDS: Final = [
    *(struct.pack("<II", 1, _MOST << 3 | size) for size in range(8)),
    struct.pack("<II", 5, _MOST << 3 | 0),
    struct.pack("<IHH", _MOST << 2, 0, 0),
    struct.pack("<iHH", -1 << 2, 1, 1),
    struct.pack("<iHH", -8 << 2, 0, 3),
    struct.pack("<iI", (-6 << 2) | 1, 5 << 3 | 6),
    struct.pack("<II", 2, 0),
    struct.pack("<II", 2, 7),
    struct.pack("<II", 6, 0xFFFFFFFF),
    struct.pack("<II", 3, 0),
    struct.pack("<IHH", 0, 0xFFFF, 0xFFFF),
    bytes(8),
    b"\xff" * 8,
]


def hostile_bodies() -> dict[str, bytes]:
    """By name. A valid registration with every word of it replaced in turn is most of them."""
    register = capnp_bytes.register(IDS[0], slots=3, methods=("say", "tell"))
    bodies = {
        "nothing": b"",
        "less than a word": b"\0\0\0",
        "a table without a segment": bytes(8),
        "a table of more segments than there are": struct.pack("<II", 0xFFFFFFFF, 0),
        "a table of a huge segment": struct.pack("<II", 0, 0xFFFFFFFF),
        "a table of many empty segments": struct.pack("<I", 510) + bytes(4 * 511),
        "a null root": capnp_bytes.message(None),
        "a root that is a list": capnp_bytes.message("text"),
        "no word of it": register[:-1],
        "a word more": register + bytes(8),
        "nested deeply": _nested(20_000),
        "an arm from the future": capnp_bytes.envelope(IDS[0], 9999),
        "a registration that is none": capnp_bytes.envelope(IDS[0], capnp_bytes.REGISTER),
        "a registration that is a text": capnp_bytes.envelope(IDS[0], capnp_bytes.REGISTER, "text"),
        "a name that is not UTF-8": register.replace(b"a worker", b"\xff\xfe\xfd\xfc orker"),
        "a name that is very long": capnp_bytes.register(IDS[0], name="x" * 100_000),
        "very many methods": capnp_bytes.register(IDS[0], methods=("say",) * 5_000),
        "JSON nested deeply": b"[" * 50_000,
        "JSON with half a surrogate": b'{"topic":"\\ud800"}',
        "a topic of another type": b'{"topic":7}',
        "a topic that is nobody's": b'{"topic":"hoot.echo."}',
    }
    for at in range(0, len(register), 8):
        for number, word in enumerate(HOSTILE_WORDS):
            bodies[f"word {at // 8} as {number}"] = register[:at] + word + register[at + 8 :]
    return bodies


def _nested(depth: int) -> bytes:
    words = b"".join(struct.pack("<IHH", 0, 0, 1) for _ in range(depth)) + bytes(8)
    return struct.pack("<II", 0, len(words) // 8) + words


def message(
    command: str, content_type: str, request_id: bytes, service: bytes, body: bytes, *more: bytes
) -> list[bytes]:
    """The seven frames, and what else is to follow them."""
    return [SIGNATURE, COMMANDS[command], CONTENT_TYPES[content_type], request_id, service, b"", body, *more]


BODIES: Final = [
    b"", b"x", b"{}", b'{"topic":"hoot.echo.a"}', b'{"topic":"jobs"}', b'{"error":{"code":"handler_error"}}',
    capnp_bytes.envelope(IDS[0], capnp_bytes.PING), capnp_bytes.register(IDS[0], slots=2, methods=("say",)),
    capnp_bytes.message(capnp_bytes.Struct(b"", ("hoot.echo.b",))), bytes(1500),
]  # fmt: skip

_ROUTES = st.sampled_from([[], [], [], [b""], [b"a", b""], [b"r" * 255], [b"%d" % n for n in range(8)]])
_OPTIONS = st.builds(
    options,
    flags=st.sampled_from([0, 0, 1, 2, 3, 4, 8, 9, 16, 31, 72, 0xFFFF]),
    deadline=st.sampled_from([0, 0, 1, 50, 0xFFFF_FFFF]),
    status=st.sampled_from([0, 0, 13, 99]),
    sequence=st.integers(0, 2),
)
_MORE = st.one_of(
    st.just(()),
    st.just(()),
    st.tuples(_OPTIONS),
    st.tuples(_OPTIONS, st.binary(max_size=8)),
    st.just((b"", b"attached")),
)


@st.composite
def valid(draw: st.DrawFn) -> list[bytes]:
    """A message as a peer might send it, without the identity frame."""
    command = draw(st.sampled_from(["REQUEST"] * 4 + ["READY", "REPLY"] * 2 + [*COMMANDS]))
    seven = message(
        command,
        draw(st.sampled_from([*CONTENT_TYPES])),
        draw(st.sampled_from(IDS)),
        draw(st.sampled_from(SERVICES)),
        draw(st.sampled_from(BODIES)),
    )
    return [*draw(_ROUTES), *seven, *draw(_MORE)]


@st.composite
def mutated(draw: st.DrawFn) -> list[bytes]:
    """A valid message after none to three accidents."""
    frames = draw(valid())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        if not frames:
            break
        at = draw(st.integers(0, len(frames) - 1))
        frame = frames[at]
        match draw(st.integers(0, 7)):
            case 0:
                del frames[at]
            case 1:
                frames.insert(at, frame)
            case 2:
                frames[at] = frame[: draw(st.integers(0, len(frame)))]
            case 3:
                frames[at] = frame + draw(st.binary(max_size=600))
            case 4 if frame:
                place = draw(st.integers(0, len(frame) - 1))
                frames[at] = frame[:place] + bytes([frame[place] ^ 1 << draw(st.integers(0, 7))]) + frame[place + 1 :]
            case 5 if len(frame) >= 8:
                place = 8 * draw(st.integers(0, len(frame) // 8 - 1))
                frames[at] = frame[:place] + draw(st.sampled_from(HOSTILE_WORDS)) + frame[place + 8 :]
            case 6:
                other = draw(st.integers(0, len(frames) - 1))
                frames[at], frames[other] = frames[other], frames[at]
            case _:
                frames[at] = draw(st.binary(max_size=40))
    return frames
