"""Every example is run as its reader would run it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas.codegen.generate import apart, generate
from hootbus.schemas.compiling import compile_files
from hootbus.workers import HootError

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 30


def environment(bus: EmbeddedBroker) -> dict[str, str]:
    return {**os.environ, "HOOT_BUS": bus.address}


@contextmanager
def running(bus: EmbeddedBroker, name: str) -> "Iterator[subprocess.Popen[str]]":
    """The example in a process that is ended, and has then ended well."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / name],
        env=environment(bus),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.terminate()
        said, complaints = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, said, complaints) == (0, "", "")
    finally:
        process.kill()
        process.communicate()


def attached(bus: EmbeddedBroker, service: str) -> None:
    """Returns once a worker of the service is there: a request that names no method is answered by one."""
    with suppress(HootError):
        bus.client().call(f"{service}/", wait=True, timeout=TIMEOUT_S)
    assert [found["name"] for found in bus.client().call("hoot.broker/services").json()["services"]] == [service]


def output(bus: EmbeddedBroker, name: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        env=environment(bus),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_first_worker_and_its_client(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "text_worker.py"):
        attached(hoot_bus, "text")
        assert output(hoot_bus, "call_text.py") == ["{'text': 'HI'}", "unknown_method"]
        assert output(hoot_bus, "asyncio_client.py") == ["1000 WORD 999"]


def test_a_streamed_reply(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "stream_worker.py"):
        attached(hoot_bus, "numbers")
        assert output(hoot_bus, "stream_client.py") == ["0", "1", "4", "9", "16", "[0, 1, 4, 9, 16]"]


def test_a_million_numbers_read_in_place(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "arrays_worker.py"):
        attached(hoot_bus, "series")
        assert output(hoot_bus, "arrays_client.py") == ["1000001 0.5"]


def test_events_from_one_program_to_another(hoot_bus: EmbeddedBroker) -> None:
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "events_listen.py"], env=environment(hoot_bus), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        assert output(hoot_bus, "events_publish.py") == []
        said, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
        process.communicate()
    assert said.splitlines() == [f"jobs.progress {number} {{'done': {number + 1}, 'of': 3}}" for number in range(3)]
    assert process.returncode == 0


def test_no_example_is_forgotten() -> None:
    tested = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in tested] == []


def test_the_generated_modules_are_what_the_schema_says() -> None:
    made = generate(apart(compile_files([EXAMPLES / "series.capnp"])))
    assert sorted(made) == ["series_capnp.py", "series_capnp.pyi", "series_types.py"]
    assert {path: (EXAMPLES / path).read_text() for path in made} == made
