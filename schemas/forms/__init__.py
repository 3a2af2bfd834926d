"""The other forms that a message can have: text, JSON, packed, of several segments, and an outline of any bytes."""

from hootbus.schemas.forms.jsonread import read_capnp_json, read_capnp_jsons
from hootbus.schemas.forms.jsonwrite import write_capnp_json
from hootbus.schemas.forms.outline import Outline, outline
from hootbus.schemas.forms.packed import pack, pack_body, unpack
from hootbus.schemas.forms.segmented import split_body
from hootbus.schemas.forms.text import write_text
from hootbus.schemas.forms.textparse import read_text, read_texts

__all__ = [
    "Outline",
    "outline",
    "pack",
    "pack_body",
    "read_capnp_json",
    "read_capnp_jsons",
    "read_text",
    "read_texts",
    "split_body",
    "unpack",
    "write_capnp_json",
    "write_text",
]
