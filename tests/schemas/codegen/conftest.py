"""Modules that are generated for the tests alone."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from conformance.everything import SCHEMA
from hootbus.schemas.codegen.generate import apart, generate
from hootbus.schemas.compiling import compile_files


@pytest.fixture(scope="session")
def generated_forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The types and the records of the schema that has everything in it."""
    folder = tmp_path_factory.mktemp("generated_forms")
    for path, text in generate(apart(compile_files([SCHEMA]))).items():
        (folder / path).write_text(text)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("forms_capnp"), importlib.import_module("forms_types")
    finally:
        sys.path.remove(str(folder))
