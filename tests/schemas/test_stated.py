"""What a peer states of the types it speaks."""

from pathlib import Path
from typing import Final

from hootbus.schemas import CapnpBody, load
from hootbus.schemas.stated import declaration_of_message

TONE: Final = 0xDB8DB2F1BD2BD022


def test_a_type_that_was_sent_before_it_was_loaded_is_stated_once_it_is(tmp_path: Path) -> None:
    body = CapnpBody(memoryview(bytes(16)), TONE)
    assert declaration_of_message(body) is None

    path = tmp_path / "tone.capnp"
    path.write_text(f"@0xdb8db2f1bd2bd021; struct Tone @{TONE:#x} {{ hertz @0 :Float32; }}")
    load(path)

    found = declaration_of_message(body)
    assert found is not None
    assert found[1] == TONE
