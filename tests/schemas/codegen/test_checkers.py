"""mypy and pyright on generated modules, on a program that uses them rightly, and on one that does not."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from hootbus.schemas.codegen.generate import apart, generate
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.copies import CAPNP_IMPORTS

# Where the processors are shared a checker takes its time.
pytestmark = pytest.mark.timeout(180)

ROOT: Final = Path(__file__).parents[3]
RIGHT: Final = ROOT / "tests/workers/test_generated.py"

# What a checker must find lies on the lines that say so, and nowhere else.
WRONG: Final = """\
from collections.abc import Iterator

from generated import odd_bus, odd_capnp, odd_types
from hootbus.schemas import read_capnp, write_struct
from hootbus.workers import Client, Request, Worker

worker = Worker("odd")


@worker.method
def handle(point: odd_capnp.Point, request: Request) -> None:
    point.x + 1
    point.z  # wrong
    point.x.upper()  # wrong
    request.capnp(odd_capnp.Words).from_.upper()
    request.capnp(odd_capnp.Words).type.upper()
    request.capnp(odd_capnp.Words).self.upper()  # wrong
    point.x = 1.0  # wrong


def read(body: bytes) -> None:
    shape = read_capnp(body, odd_capnp.Shape)
    shape.circle.centre.index.bit_length()
    shape.circle.centre.x  # wrong
    shape.fill.colour.blue.bit_length()
    if shape.which() == "step":
        shape.step.raw.bit_length()
    odd_capnp.Step.sideways  # wrong
    boxes = read_capnp(body, odd_capnp.Boxes)
    boxes.text.content.upper()
    boxes.points.content[0].y.hex()
    boxes.nested.content.content.tobytes()
    boxes.lid.over.name.upper()
    boxes.lid.over.upper()  # wrong
    boxes.text.content.tobytes()  # wrong
    read_capnp(body, odd_capnp.Box[str]).content.upper()


write_struct(odd_capnp.Point, x=1, tags=["a"])
write_struct(odd_capnp.Point, x="1")  # wrong
write_struct(odd_capnp.Point, z=1)  # wrong
write_struct(odd_capnp.Words, type="split", from_="x")
write_struct(odd_capnp.Words, type="sideways")  # wrong
built = odd_capnp.Defaults.new_message(numbers=[1], step=odd_capnp.Step.left)
built.init("points", 3)[0].x = 2.0
built.init("point").tags = ["t"]
built.init("text")  # wrong
built.point.x = "1"  # wrong
built.small = 2.5  # wrong

odd_types.Point(x=1.0, tags=["a"])
odd_types.Point(z=1.0)  # wrong
odd_types.Words(type=odd_capnp.Step.left).self.bit_length()
odd_types.Words(type="left")  # wrong
odd_types.Tree(children=[odd_types.Tree()]).children[0].value.upper()
odd_types.Tree().back.place  # wrong
odd_types.Defaults().box = odd_types.Box(content=odd_types.Point())
odd_types.Defaults().box = odd_types.Box(content="point")  # wrong


def call(bus: Client) -> Iterator[int]:
    client = odd_bus.MeterClient(bus)
    client.measure(point={"x": 1}, step="left").value.hex()
    client.measure(pint={"x": 1})  # wrong
    client.measure(timeout="soon")  # wrong
    client.status().tags[0].upper()
    client.status().label  # wrong
    client.store(odd_types.Words()).which()
    client.store(odd_capnp.Step.left)  # wrong
    for item in client.watch(every=1):
        yield item.at
    for point in client.list_items():
        point.at  # wrong


class Half(odd_bus.BaseWorker):
    def status(self, request: Request) -> int:  # wrong
        return 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wrong program, and modules of Cap'n Proto's own schemas, which are large and have generic interfaces."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "wrong.py").write_text(WRONG)
    schema = apart(compile_files(sorted(Path(CAPNP_IMPORTS, "capnp").glob("*.capnp"))))
    for path, text in generate(schema).items():
        (folder / path).write_text(text)
    return folder


def wrong_lines() -> list[int]:
    return [number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")]


def test_mypy_finds_what_is_wrong_and_nothing_else(folder: Path, pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    # Kept from one run to the next: most of the time would go into hootbus itself.
    kept = ["--cache-dir", str(pytestconfig.cache.mkdir("mypy-generated"))]
    mypy = [sys.executable, "-m", "mypy", "--strict", *kept, "--no-error-summary"]
    ran = subprocess.run(
        [*mypy, str(folder), "tests/generated", ".dev/hootbus/workers/standard", str(RIGHT)],
        env={"MYPYPATH": f"{ROOT}/.dev:{ROOT}/tests:{folder}", "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    found = re.findall(r"^(.*):(\d+): error: (.*)$", ran.stdout, re.MULTILINE)
    assert [each for each in found if Path(each[0]).name != "wrong.py"] == []
    assert sorted({int(line) for _, line, _ in found}) == wrong_lines(), ran.stdout


def test_pyright_finds_the_same(folder: Path) -> None:
    settings = {
        "include": [
            str(folder),
            str(ROOT / "tests/generated"),
            str(ROOT / ".dev/hootbus/workers/standard"),
            str(RIGHT),
        ],
        "extraPaths": [str(ROOT / ".dev"), str(ROOT / "tests"), str(folder)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "standard",
        # mypy's exceptions are marked for mypy.
        "enableTypeIgnoreComments": True,
        # An attribute that is looked at for nothing is what the wrong program consists of.
        "reportUnusedExpression": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    diagnostics = json.loads(ran.stdout)["generalDiagnostics"]
    found = [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
        for each in diagnostics
        if each["severity"] == "error"
    ]
    assert [each for each in found if each[0] != "wrong.py"] == []
    assert sorted({line for _, line, _ in found}) == wrong_lines(), found
