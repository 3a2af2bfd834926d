"""What a client makes of the schema that it has fetched."""

from pathlib import Path

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import model
from hootbus.schemas.compiling import compile_files
from hootbus.workers import Client, Worker
from hootbus.workers.service_schema import ServiceSchema


def test_structs_of_one_name_are_told_apart_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "one.capnp").write_text("@0xb5d7c1a2e3f40801; struct Clip { a @0 :Text; } struct Other {}")
    (tmp_path / "two.capnp").write_text("@0xb5d7c1a2e3f40802; struct Clip { b @0 :Text; }")
    schema = compile_files(sorted(tmp_path.glob("*.capnp")), names=["one.capnp", "two.capnp"])

    found = ServiceSchema({}, schema)

    assert list(found) == ["Other", "one.capnp:Clip", "two.capnp:Clip"]
    body = found["two.capnp:Clip"].node.body
    assert isinstance(body, model.Struct)
    assert [field.name for field in body.fields] == ["b"]
    with pytest.raises(KeyError, match=r"no struct 'Clip'; there are Other, one\.capnp:Clip, two\.capnp:Clip"):
        found["Clip"]


def test_a_service_without_types_has_an_empty_schema(bus: EmbeddedBroker) -> None:
    worker = Worker("text")
    worker.add_method(lambda request: None, name="note")
    worker.start(bus.address)
    try:
        with Client(bus.address) as client:
            found = client.schema("text")
        assert (list(found), dict(found.methods)) == ([], {})
    finally:
        worker.stop()
