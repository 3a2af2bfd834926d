"""docs/stability.md promises what is there."""

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

import hootbus.schemas.forms
from bus_world.world import A, B, World, reply, request
from generated import odd_bus, odd_capnp, odd_types
from hootbus import workers
from hootbus.bus import pytest_plugin
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.inputs import Malformed
from hootbus.bus.metrics import Families
from hootbus.frames.errors import HandlerFailed
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.options import Options

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "stability.md").read_text()
PACKAGES: Final = re.findall(r"^\| `(hootbus\.[\w.]+)` \|", PAGE, re.MULTILINE)


def test_every_package_with_public_names_is_listed() -> None:
    inits = [
        path for folder in ("bus", "frames", "schemas", "workers") for path in (ROOT / folder).rglob("__init__.py")
    ]
    public = {
        ".".join(("hootbus", *path.parent.relative_to(ROOT).parts)) for path in inits if "__all__" in path.read_text()
    }
    # The command is promised as a command, and one module beside the packages.
    assert (public - {"hootbus.bus.cli"}) | {workers.generated.__name__} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_of_a_package_are_there_once_and_can_be_imported(package: str) -> None:
    found = importlib.import_module(package)
    assert len(set(found.__all__)) == len(found.__all__)
    assert all(hasattr(found, name) for name in found.__all__)


def test_the_names_of_the_forms_are_these() -> None:
    assert sorted(hootbus.schemas.forms.__all__) == sorted(
        """
        Outline outline pack pack_body read_capnp_json read_capnp_jsons read_text read_texts split_body unpack
        write_capnp_json write_text
        """.split()
    )


def test_what_is_promised_beside_the_packages_is_there() -> None:
    assert f"`{EmbeddedBroker.__module__}.{EmbeddedBroker.__name__}`" in PAGE
    assert "`hoot_bus`" in PAGE
    assert hasattr(pytest_plugin, "hoot_bus")


def test_the_names_in_generated_modules_are_those_that_are_promised() -> None:
    (promised,) = re.findall(r"^\*\*Generated modules\.\*\* (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([a-zA-Z_]+)`", promised))
    types = (odd_capnp, odd_types.Shape, odd_bus.MeterClient, odd_bus.AsyncMeterClient, odd_bus.MeterWorker)
    found = {name for kind in types for name in dir(kind)} | {"Builder", "new_message"}
    assert named <= found
    # Those of the schema have no underscore, but for words that are Python's.
    ours = {name for kind in types for name in dir(kind) if re.fullmatch(r"[a-z]+(_[a-z]+)+", name)}
    assert ours - named == {"capnp_arms", "capnp_methods", "list_items"}


def test_variables_that_are_named_are_read() -> None:
    sources = [*(ROOT / "frames").glob("*.py"), ROOT / "setup.py"]
    read = "".join(path.read_text() for path in sources)
    for name in set(re.findall(r"`(HOOT[A-Z]*_\w+)", PAGE)) - {"HOOT_COMMAND_FLAG"}:
        assert f'"{name}"' in read, name


def test_the_metrics_are_those_that_are_promised() -> None:
    world = World()
    world.join(b"w", slots=2)
    for request_id in (A, B):
        world.get(request(b"c", request_id))
    world.get(reply(b"w", A).__replace__(options=Options(status=HandlerFailed.number)))
    world.get(reply(b"w", A))
    world.step(Malformed(MalformedMessage("request id", "short", (b"m",))))
    found = {}
    for family in Families(world.core.snapshot(world.now)).collect():
        assert family.samples, family.name
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    promised: dict[str, set[str]] = {}
    for names, labels in re.findall(r"^\| (`hoot_.*?) \|(.*?)\|", PAGE, re.MULTILINE):
        promised |= {name: set(re.findall(r"`(\w+)`", labels)) for name in re.findall(r"`(\w+)`", names)}
    assert found == promised
