"""What is installed: every package, its schemas, its types, and the native modules with their sources."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

# Building the wheel takes half a minute, and several where the processors are shared.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
FOLDERS = ("bus", "frames", "schemas", "workers")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
# The names under which the native modules are imported.
NATIVE = {module["name"] for module in SETUPTOOLS["ext-modules"]}

# What setup.py compiles.
COMPILED = set(re.findall(r'^    "(\w+/\w+\.py)",$', (ROOT / "setup.py").read_text(), re.MULTILINE))

needs_build_tools = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("setuptools", "Cython", "mypyc", "pip")),
    reason="the wheel is built with setuptools, Cython, mypyc and pip from this environment (make check installs them)",
)


def packages() -> dict[str, str]:
    """Every folder of the four with Python in it, by the name under which it is imported."""
    folders = {init.parent.relative_to(ROOT) for folder in FOLDERS for init in (ROOT / folder).rglob("__init__.py")}
    return {".".join(("hootbus", *folder.parts)): folder.as_posix() for folder in folders}


def test_every_package_is_listed() -> None:
    """setuptools cannot find packages whose folders are called otherwise, so a new one must be written down."""
    assert SETUPTOOLS["package-dir"] == packages()
    assert set(SETUPTOOLS["packages"]) == set(packages())


def test_every_folder_of_the_four_has_its_link_for_the_type_checkers() -> None:
    links = {link.name: link.resolve() for link in (ROOT / ".dev" / "hootbus").iterdir()}
    assert links == {folder: (ROOT / folder).resolve() for folder in FOLDERS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in, without what was built before."""
    source = tmp_path_factory.mktemp("source")
    built = shutil.ignore_patterns("__pycache__", "*.c", "*.so", "*.pyd")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=built)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wanted(source: Path) -> set[str]:
    """Every file of ours that an installed package needs."""
    kinds = {".py", ".pyi", ".pyx", ".capnp", ".typed"}
    files = (path for folder in FOLDERS for path in (source / folder).rglob("*"))
    return {path.relative_to(source).as_posix() for path in files if path.suffix in kinds}


@pytest.fixture(scope="module")
def sdist(source: Path, wanted: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sdist")
    call = f"from setuptools import build_meta; build_meta.build_sdist({str(made)!r})"
    run([sys.executable, "-c", call], cwd=source)
    (path,) = made.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, as a user's machine would."""
    made = tmp_path_factory.mktemp("wheel")
    # Not optimised, which takes half the time: what is in the wheel is the question.
    build = ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(made), str(sdist)]
    run([*PIP, "wheel", *build], HOOTBUS_OPT_LEVEL="0")
    (path,) = made.iterdir()
    return path


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(command: list[str], cwd: Path | None = None, **environ: str) -> str:
    done = subprocess.run(
        command, cwd=cwd or ROOT.parent, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def module_name(path: str) -> str:
    """The name under which a file of a wheel is imported."""
    return path.partition(".")[0].replace("/", ".")


def compiled_here() -> bool:
    """Whether the native modules were built in this environment, so that a wheel can have them too."""
    return all(importlib.util.find_spec(name) for name in NATIVE)


@needs_build_tools
def test_the_wheel_has_every_file_and_nothing_else(wheel: Path, wanted: set[str]) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    built = {name for name in names if name.endswith((".so", ".pyd"))}
    native = {name for name in built if module_name(name) in NATIVE}
    assert names - built == {f"hootbus/{name}" for name in wanted}
    assert {f"hootbus/{folder}/py.typed" for folder in FOLDERS} <= names
    if compiled_here():
        assert {module_name(name) for name in native} == NATIVE, "compiled here, so they should be in the wheel"
        compiled = {name.partition(".")[0].removeprefix("hootbus/") + ".py" for name in built - native}
        assert compiled - {"frames/_hot__mypyc.py"} == COMPILED


@needs_build_tools
def test_the_sdist_has_the_sources_of_the_native_modules_and_nothing_that_was_made_from_them(
    sdist: Path, wanted: set[str]
) -> None:
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert wanted <= names
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE"} <= names
    assert not {name for name in names if name.endswith((".c", ".so", ".pyd", ".pyc"))}


@needs_build_tools
def test_the_wheel_declares_the_command_the_plugin_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (entry_points,) = (name for name in opened.namelist() if name.endswith("/entry_points.txt"))
        said = opened.read(entry_points).decode()
        metadata = opened.read(entry_points.replace("entry_points.txt", "METADATA")).decode()
    assert "hoot = hootbus.bus.cli:main" in said
    assert "hootbus = hootbus.bus.pytest_plugin" in said
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata


@needs_build_tools
def test_the_installed_wheel_runs_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into a folder that Python looks in first; the dependencies are this environment's."""
    site = tmp_path / "site"
    run([*PIP, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)])
    program = """
import hootbus.bus, hootbus.frames, hootbus.schemas, hootbus.workers
from hootbus.frames import NATIVE, aligned_context, probe
from hootbus.schemas import standard
print(hootbus.frames.__file__, NATIVE, probe(aligned_context()).holds, standard.envelope.Envelope.schema.node.isGeneric)
"""
    file, native, holds, _ = run([sys.executable, "-c", program], cwd=tmp_path, PYTHONPATH=str(site)).split()
    assert Path(file).is_relative_to(site)
    assert native == str(compiled_here())
    assert holds == "True"


def imported(path: Path) -> set[str]:
    """The modules that a module names in its imports, wherever they stand."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def modules_behind(paths: set[str]) -> set[str]:
    """The modules of others that these of ours import, or those of ours that they import."""
    waiting, seen, others = sorted(paths), set(paths), set()
    while waiting:
        for name in imported(ROOT / waiting.pop()):
            place = name.removeprefix("hootbus.").replace(".", "/")
            found = [path for path in (f"{place}.py", f"{place}/__init__.py") if (ROOT / path).exists()]
            if name.startswith("hootbus."):
                waiting += set(found) - seen
                seen.update(found)
            else:
                others.add(name.partition(".")[0])
    return others - set(sys.stdlib_module_names)


def test_the_build_has_what_the_compiler_must_know() -> None:
    """In a build of its own mypy sees nothing of this environment, and refuses what it does not know as a type."""
    wanted = {requirement.partition(">")[0] for requirement in PROJECT["build-system"]["requires"]}
    assert {"setuptools", "cython", "mypy"} <= wanted
    assert len(COMPILED) > 10
    assert all((ROOT / path).exists() for path in COMPILED)
    # mypy brings typing_extensions, pycapnp has no types, and what pyzmq has is nowhere more than an annotation.
    assert modules_behind(COMPILED) - {"capnp", "typing_extensions", "zmq"} <= wanted


@pytest.mark.parametrize("path", sorted(COMPILED))
def test_no_coroutine_is_compiled(path: str) -> None:
    """mypyc's hand on a cancellation by a form of `throw` that Python 3.12 warns of (seen with mypyc 2.4)."""
    assert "async def" not in (ROOT / path).read_text()
