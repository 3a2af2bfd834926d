"""Messages with everything in them: by hand one with every type, and any others for property tests."""

import math
import random
import struct
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from hootbus.schemas import load

SCHEMA: Final = Path(__file__).with_name("forms.capnp")
FORMS: Final = load(SCHEMA)

_INNER: Final = {"number": -5, "name": "inner", "children": [{"number": 1}, {"name": "", "children": []}]}
# What every escape of the text form is for, and what needs none.
_TEXT: Final = "a\a\b\f\n\r\t\v'\"\\\0\x01\x1f\x7f é 中 😀 \u2028"
# Where the spelling of floats changes: digits, exponents, signs, the largest and the smallest.
_FLOATS: Final = (
    0.0, -0.0, 1.0, -1.5, 0.1, 0.3, 1e5, 1e6, 1e7, 1e15, 1e16, 1e21, 1e22, 1e-4, 1e-5, 1e-7, 123456.7, 16777217.0,
    123456789012345680.0, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
_LONG_LIST: Final = [f"item {index}" for index in range(20)]

EVERYTHING: Final[dict[str, Any]] = {
    "flag": True,
    "int8": -128,
    "uint64": 2**64 - 1,
    "int16": -(2**15),
    "int32": -(2**31),
    "int64": -(2**63),
    "uint8": 255,
    "uint16": 2**16 - 1,
    "uint32": 2**32 - 1,
    "float32": 1.1,
    "float64": 5e-324,
    "text": _TEXT,
    "data": bytes(range(256)),
    "colour": "green",
    "inner": _INNER,
    "right": {"x": 3, "y": [1, 2]},
    "place": {"row": 1, "label": "here, on a line of its own", "shape": {"circle": 2.5}},
    "defaults": {"flag": False, "int8": 0, "uint64": 0, "float32": 0, "notFinite": 0, "colour": 17, "list": []},
    "voids": [None] * 3,
    "flags": [True, False, True, True, False, False, True, False, True],
    "int8s": [-128, 127],
    "int16s": [-1],
    "int32s": list(range(40)),
    "int64s": [-(2**63), 2**63 - 1],
    "uint8s": [],
    "uint16s": [0, 65535],
    "uint32s": [2**32 - 1],
    "uint64s": [2**64 - 1, 0],
    "float32s": [*_FLOATS, 3.4028234663852886e38, 1.401298464324817e-45, 0.25000008940696716],
    "float64s": [*_FLOATS, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308],
    "texts": ["", "short", "longer than twenty-four bytes", "ééééééééééééé", None],
    "datas": [b"", b"\0", b"text"],
    "colours": ["red", "blue", 9],
    "inners": [{}, _INNER, {"name": "x" * 70}],
    "matrix": [[1, 2, 3], [], list(range(30)), None],
    "boxes": [{"content": b"\xff"}, {}],
    "box": {"content": "a box of text"},
    "pair": {"first": {"number": 1}, "second": {"content": [2**62]}},
}


def messages() -> "st.SearchStrategy[dict[str, Any]]":
    """Fields of `Everything`, any of them."""
    # Of all that is no number no form says more than that.
    float32, float64 = (st.floats(width=width).map(lambda one: math.nan if one != one else one) for width in (32, 64))
    inner = st.recursive(
        st.fixed_dictionaries({}, optional={"number": st.integers(-(2**31), 2**31 - 1), "name": texts}),
        lambda inners: st.fixed_dictionaries({}, optional={"children": st.lists(inners, max_size=3)}),
        max_leaves=5,
    )
    plain = {
        "flag": st.booleans(),
        "int8": st.integers(-128, 127),
        "uint64": st.integers(0, 2**64 - 1),
        "int64": st.integers(-(2**63), 2**63 - 1),
        "float32": float32,
        "float64": float64,
        "text": texts,
        "data": st.binary(max_size=20),
        "colour": st.sampled_from(["red", "green", "blue"]),
        "inner": inner,
        "place": st.fixed_dictionaries({"row": st.integers(0, 9)}, optional={"label": texts, "named": texts}),
        "voids": st.lists(st.none(), max_size=3),
        "flags": st.lists(st.booleans(), max_size=20),
        "int64s": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
        "float32s": st.lists(float32, max_size=5),
        "float64s": st.lists(float64, max_size=5),
        "texts": st.lists(texts, max_size=8),
        "datas": st.lists(st.binary(max_size=5), max_size=3),
        "inners": st.lists(inner, max_size=4),
        "matrix": st.lists(st.lists(st.integers(-9, 9), max_size=15), max_size=4),
        "box": st.fixed_dictionaries({}, optional={"content": texts}),
    }
    arms: st.SearchStrategy[dict[str, Any]] = st.one_of(
        st.fixed_dictionaries({"left": texts}),
        st.fixed_dictionaries({"neither": st.none()}),
        st.fixed_dictionaries({"weight": float64}),
        st.fixed_dictionaries({"right": st.fixed_dictionaries({}, optional={"x": st.integers(-9, 9)})}),
        st.just({}),
    )
    return st.builds(lambda fields, arm: fields | arm, st.fixed_dictionaries({}, optional=plain), arms)


def bomb(levels: int = 4, width: int = 200) -> bytes:
    """A `Tree` of a few kilobytes that takes for ever to walk: all elements of a list share their children."""
    several = 1 | 7 << 32 | width << 35
    words = [1 << 48, several]
    for level in range(levels):
        words.append(width << 2 | 1 << 48)
        below = len(words) + width
        is_last = level == levels - 1
        words += [0 if is_last else below - at - 1 << 2 | several for at in range(len(words), below)]
    return struct.pack(f"<II{len(words)}Q", 0, len(words), *words)


def spoiled(body: "bytes | memoryview", rng: random.Random) -> bytes:
    """The body with some of its words changed: in one byte, into another pointer, or into a word from elsewhere."""
    words = list(struct.unpack(f"<{len(body) // 8}Q", body))
    # Behind the segment table, a half word for each segment and one for their count.
    first = (int.from_bytes(body[:4], "little") + 3) // 2
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(first, len(words))
        words[at] = rng.choice(
            (
                words[at] ^ rng.randrange(256) << 8 * rng.randrange(8),
                words[rng.randrange(first, len(words))],
                rng.getrandbits(30) << 2 | rng.getrandbits(4) << 48,
                1 | rng.getrandbits(6) << 2 | rng.getrandbits(3) << 32 | rng.getrandbits(12) << 35,
                2 | rng.getrandbits(9) << 2 | rng.getrandbits(1) << 32,
                rng.getrandbits(64),
            )
        )
    return struct.pack(f"<{len(words)}Q", *words)


texts: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
