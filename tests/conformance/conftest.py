"""`pytest tests/conformance --broker ADDRESS` points the vectors at a broker that runs already."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from conformance.brokers import Endpoints, given, own
from conformance.play import Brokers, Vector, speaks_extension


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker", metavar="ADDRESS", help="run the conformance vectors against the HOOT01 broker that serves there"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "brokers" in metafunc.fixturenames:
        # The option is not there when pytest was not given this folder by name and met this file late.
        address = metafunc.config.getoption("--broker", default=None)
        metafunc.parametrize("brokers", [address] if address else ["tcp", "ipc"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def brokers(request: pytest.FixtureRequest) -> Iterator[Brokers]:
    """One broker for all vectors that can share it, and one of its own for each that cannot."""
    where: str = request.param
    with ExitStack() as stack:
        if where in ("tcp", "ipc"):
            shared = stack.enter_context(own(where))

            def ours(vector: Vector, settings: dict[str, Any], test: ExitStack) -> Endpoints:
                if vector.broker or vector.alone:
                    return test.enter_context(own("ipc" if vector.private else where, **settings))
                return shared

            yield ours
        else:
            endpoints = given(where)
            extension = speaks_extension(endpoints.requests)

            def theirs(vector: Vector, settings: dict[str, Any], test: ExitStack) -> Endpoints:
                if vector.broker or vector.alone:
                    pytest.skip(f"needs a broker of its own, with the settings {vector.broker}")
                if vector.extension and not extension:
                    pytest.skip("this broker does not speak our extension")
                return endpoints

            yield theirs
