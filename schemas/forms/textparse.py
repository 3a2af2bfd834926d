"""The text form, read: the struct literals that `capnp encode` takes, as the type of each field asks for them.

Numbers in all spellings of the schema language, text and 0x"…" data with escapes, comments. Beyond what the tool takes
an enumerant may be a number, `(17)`, as unknown ones are written. Constants, imports and pointers of no stated type
cannot be named; a field given twice is an error here.
"""

import math
import re
from collections.abc import Iterator
from typing import Final, NoReturn

from hootbus.schemas.body import CapnpBody
from hootbus.schemas.errors import BodyError, FieldError
from hootbus.schemas.forms.members import single_precision
from hootbus.schemas.layout import StructLayout, layout_of
from hootbus.schemas.pointers import NESTING_MAX, Trail, path_of
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import AnyPointer, Bool, Data, Enum, List, Number, Struct, Text, Type, Void, spelled
from hootbus.schemas.writer import write_fields

# As long as any number that a schema has room for, and much longer.
_DIGITS_MAX: Final = 400

_BLANK: Final = re.compile(r"(?:\s+|#[^\n]*)*", re.ASCII)
_WORD: Final = re.compile(
    r"""
    (?P<bytes>0x"(?:\s*[0-9a-fA-F]{2})*\s*")
  | (?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*")
  | (?P<number>(?:
        0[xX][0-9a-fA-F]+ | 0[0-7]* | [1-9][0-9]*
      | [0-9]+(?:\.[0-9]*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)
    )(?![\w.]))
  | (?P<name>[a-zA-Z_]\w*)
  | (?P<mark>[()\[\]=,-])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE: Final = re.compile(rb"""\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|([abfnrtv'"\\?])|(.?))""", re.DOTALL)
_ESCAPED: Final = dict(zip(b"abfnrtv'\"\\?", b"\a\b\f\n\r\t\v'\"\\?", strict=True))


def read_text(text: str, struct: StructType) -> CapnpBody:
    """The message that a struct literal describes.

    Raises BodyError, whose field is the path, and whose reason ends with the line and the column, both from 1 on.
    """
    parser = _Parser(text)
    body = parser.message(struct)
    if not parser.at_end():
        parser.fail(None, "there is more behind the struct")
    return body


def read_texts(text: str, struct: StructType) -> Iterator[CapnpBody]:
    """The messages that several struct literals in a row describe, one after the other. Raises as `read_text`."""
    parser = _Parser(text)
    while not parser.at_end():
        yield parser.message(struct)


class _Parser:
    """A text, and how far it is read: a word is looked at before it is taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Where the word begins that comes next, what kind it is ("" at the end and for what is no word), and itself.
        self._at = 0
        self._kind = ""
        self._word = ""
        self._go_on(0)

    def at_end(self) -> bool:
        return self._at == len(self._text)

    def message(self, struct: StructType) -> CapnpBody:
        """The next struct literal as a message."""
        fields = self._struct(layout_of(struct), None, NESTING_MAX)
        try:
            return write_fields(struct, fields)
        except FieldError as error:
            # What is left for the writer to refuse has no place of its own: a list that is too long, say.
            raise BodyError(error.field, error.reason) from None

    def fail(self, trail: Trail, reason: str, at: int | None = None) -> NoReturn:
        """Raises BodyError for the next word, or for what is at another place."""
        at = self._at if at is None else at
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        raise BodyError(path_of(trail), f"{reason} (line {line}, column {column})")

    def _go_on(self, at: int) -> None:
        blank = _BLANK.match(self._text, at)
        assert blank is not None
        self._at = blank.end()
        found = _WORD.match(self._text, self._at)
        self._kind, self._word = (str(found.lastgroup), found[0]) if found is not None else ("", "")

    def _take(self) -> str:
        word = self._word
        self._go_on(self._at + len(word))
        return word

    def _take_mark(self, mark: str) -> bool:
        """Takes the next word if it is this mark."""
        if self._kind != "mark" or self._word != mark:
            return False
        self._take()
        return True

    def _expect(self, mark: str, trail: Trail) -> None:
        if not self._take_mark(mark):
            self.fail(trail, f"{self._shown()} where {mark!r} should be")

    def _shown(self) -> str:
        if self._word:
            return self._word if len(self._word) <= 40 else f"{self._word[:40]}…"
        return "the end" if self.at_end() else repr(self._text[self._at])

    def _unfit(self, trail: Trail, what: str) -> NoReturn:
        self.fail(trail, f"{self._shown()} is no {what}")

    def _struct(self, layout: StructLayout, trail: Trail, depth: int) -> dict[str, object]:
        if self._word != "(":
            self._unfit(trail, f"{layout.name}, which begins with a parenthesis")
        self._take()
        fields: dict[str, object] = {}
        arm = ""
        while not self._take_mark(")"):
            at, name = self._at, self._word
            if self._kind != "name":
                self.fail(trail, f"{self._shown()} where a field's name should be")
            here: Trail = (trail, name)
            field = layout.fields.get(name)
            if field is None:
                self.fail(here, f"no such field; there are {', '.join(layout.fields) or 'none'}")
            self._take()
            if name in fields:
                self.fail(here, "the field is given twice", at)
            if field.arm >= 0 and arm:
                self.fail(here, f"of a union only one member can be set, and {arm} is", at)
            arm = name if field.arm >= 0 else arm
            self._expect("=", here)
            fields[name] = self._value(field.type, here, depth)
            if not self._take_mark(","):
                self._expect(")", trail)
                break
        return fields

    def _value(self, kind: Type, trail: Trail, depth: int) -> object:
        if isinstance(kind, Number):
            return self._number(kind, trail)
        if isinstance(kind, Bool | Void):
            return self._constant(kind, trail)
        if isinstance(kind, Enum):
            return self._enumerant(kind, trail)
        if isinstance(kind, Text):
            return self._text_value(trail)
        if isinstance(kind, Data):
            return self._data(trail)
        if isinstance(kind, AnyPointer):
            self.fail(trail, "a pointer of no stated type has no text form")
        if isinstance(kind, Struct) and kind.layout.is_group:
            return self._struct(kind.layout, trail, depth)
        if depth <= 0:
            self.fail(trail, f"nested deeper than {NESTING_MAX}")
        if isinstance(kind, Struct):
            return self._struct(kind.layout, trail, depth - 1)
        return self._list(kind.element, trail, depth - 1)

    def _list(self, element: Type, trail: Trail, depth: int) -> list[object]:
        if self._word != "[":
            self._unfit(trail, f"{spelled(List(element))}, which begins with a bracket")
        self._take()
        items: list[object] = []
        while not self._take_mark("]"):
            items.append(self._value(element, (trail, len(items)), depth))
            if not self._take_mark(","):
                self._expect("]", trail)
                break
        return items

    def _constant(self, kind: Bool | Void, trail: Trail) -> bool | None:
        values = {"void": None} if isinstance(kind, Void) else {"true": True, "false": False}
        if self._word not in values:
            self._unfit(trail, spelled(kind))
        return values[self._take()]

    def _enumerant(self, kind: Enum, trail: Trail) -> str | int:
        if self._word in kind.names:
            return self._take()
        if self._word != "(":
            self._unfit(trail, f"{kind.name}; there are {', '.join(kind.names)}")
        self._take()
        # So many digits, as Python refuses to make a number of thousands.
        if self._kind != "number" or not self._word.isdecimal() or len(self._word) > 5 or int(self._word) > 0xFFFF:
            self._unfit(trail, "enumerant's number")
        found = int(self._take())
        self._expect(")", trail)
        return found

    def _number(self, kind: Number, trail: Trail) -> float:
        at = self._at
        negative = self._take_mark("-")
        is_float = kind.code in "fd"
        if is_float and self._word in ("inf", "nan"):
            found = float(self._take())
            return -found if negative else found
        if self._kind != "number" or len(self._word) > _DIGITS_MAX:
            self._unfit(trail, spelled(kind))
        integer = _integer(self._word)
        if is_float:
            value = self._float(kind, self._word if integer is None else integer, trail, at)
            self._take()
            return -value if negative else value
        if integer is None:
            self._unfit(trail, spelled(kind))
        value = -integer if negative else integer
        least = -1 << kind.bits - 1 if kind.code.islower() else 0
        if not least <= value < least + (1 << kind.bits):
            self.fail(trail, f"{value} does not fit into {spelled(kind)}", at)
        self._take()
        return value

    def _float(self, kind: Number, number: str | int, trail: Trail, at: int) -> float:
        try:
            found = float(number)
            found = single_precision(found) if kind.bits == 32 else found
        except OverflowError:
            found = math.inf
        if math.isinf(found):
            self.fail(trail, f"{self._shown()} does not fit into {spelled(kind)}", at)
        return found

    def _text_value(self, trail: Trail) -> str:
        at = self._at
        if self._kind != "string":
            self._unfit(trail, "Text")
        found = self._strings(trail)
        try:
            return found.decode()
        except UnicodeDecodeError:
            self.fail(trail, "the text is not UTF-8", at)

    def _data(self, trail: Trail) -> bytes:
        if self._kind == "bytes":
            return bytes.fromhex(self._take()[3:-1])
        if self._kind != "string":
            self._unfit(trail, "Data")
        return self._strings(trail)

    def _strings(self, trail: Trail) -> bytes:
        """The bytes of the strings that follow one another."""
        parts: list[bytes] = []
        while self._kind == "string":
            written = self._word[1:-1].encode("utf-8", "surrogatepass")
            for escape in _ESCAPE.finditer(written):
                if escape[4] is not None:
                    self.fail(trail, f"\\{escape[4].decode(errors='replace')} is no escape")
            parts.append(_ESCAPE.sub(_unescaped, written))
            self._take()
        return b"".join(parts)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes.fromhex(escape[1].decode())
    if escape[2] is not None:
        return bytes([int(escape[2], 8) & 0xFF])
    return bytes([_ESCAPED[escape[3][0]]])


def _integer(number: str) -> int | None:
    """The integer that is spelled, decimal, hexadecimal (0x1f) or octal (017); None for a float."""
    if number[:2] in ("0x", "0X"):
        return int(number, 16)
    if not number.isdecimal():
        return None
    return int(number, 8 if number.startswith("0") else 10)
