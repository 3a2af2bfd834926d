"""`hoot schema gen` and the plugin `capnpc-hootbus`: from files, and from the compiler, to modules in a folder."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from cli.shell import run_here
from conformance.capnp_tool import needs_tool
from hootbus.schemas.codegen.generate import apart
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.copies import CAPNP_IMPORTS
from hootbus.schemas.transfer import write_request

GOLDEN: Final = Path(__file__).parents[1] / "generated"
FILES: Final = sorted(map(str, GOLDEN.glob("*.capnp")))
PLUGIN: Final = Path(sys.executable).with_name("capnpc-hootbus")
MODULES: Final = sorted(path.name for path in GOLDEN.glob("o*_*.py*"))


def made(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("o*_*.py*")}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    return folder


def test_the_modules_are_in_the_folder(package: Path) -> None:
    ran = run_here("schema", "gen", *FILES, "-o", str(package))
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert made(package) == {name: (GOLDEN / name).read_text() for name in MODULES}


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    assert run_here("schema", "gen", *FILES, "-o", str(tmp_path / "new/wire")).status == 0
    assert "\nimport other_types\n" in (tmp_path / "new/wire/odd_types.py").read_text()


def write(path: Path, struct: str, file_id: int) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"@{file_id:#x}; struct {struct} {{}}")
    return str(path)


def test_files_may_be_named_from_here_and_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = write(tmp_path / "here/a.capnp", "A", 0xDE67C0A5F3B84501)
    there = write(tmp_path / "there/b.capnp", "B", 0xDE67C0A5F3B84502)
    monkeypatch.chdir(tmp_path / "here")
    for files in ((here, "../there/b.capnp"), ("a.capnp", there), ("a.capnp", "../there/b.capnp")):
        ran = run_here("schema", "gen", *files, "-o", str(tmp_path / "out"))
        assert (ran.status, ran.err) == (0, "")
        assert run_here("schema", "gen", *files, "-o", str(tmp_path / "out"), "--check").status == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["here", "there"]


def test_files_of_one_name_in_python_are_not_written_over_each_other(tmp_path: Path) -> None:
    one = write(tmp_path / "a-b.capnp", "A", 0xDE67C0A5F3B84503)
    two = write(tmp_path / "a_b.capnp", "B", 0xDE67C0A5F3B84504)
    ran = run_here("schema", "gen", one, two, "-o", str(tmp_path))
    assert ran.status == 1
    assert "a_b.capnp: its modules would have the names of those of a-b.capnp" in ran.err


def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run_here("schema", "gen", *FILES, "-o", str(tmp_path / "file/wire"))
    assert (ran.status, ran.err) == (1, f"cannot_write: {tmp_path / 'file/wire'}: Not a directory\n")


def test_check_names_what_is_not_as_it_would_be(package: Path) -> None:
    check = ("schema", "gen", *FILES, "-o", str(package), "--check")
    ran = run_here(*check)
    assert (ran.status, sorted(ran.out.split())) == (1, [str(package / name) for name in MODULES])
    assert run_here(*check[:-1]).status == 0
    before = {path: path.stat().st_mtime_ns for path in package.iterdir()}
    assert run_here(*check[:-1]).status == 0
    assert {path: path.stat().st_mtime_ns for path in package.iterdir()} == before
    assert run_here(*check).status == 0
    (package / "odd_bus.py").write_text("edited")
    ran = run_here(*check)
    assert (ran.status, ran.out) == (1, f"{package / 'odd_bus.py'}\n")
    assert ran.err == f"stale: 1 of {len(MODULES)} modules are not what the schemas say; run without --check\n"


def test_modules_that_would_not_be_made_any_more_go_if_they_were_generated(package: Path) -> None:
    schema = package / "clip.capnp"
    schema.write_text("@0xb3f1c0a9d2e84765;\nstruct Clip {}\ninterface Clips { all @0 () -> Clip; }\n")
    gen = ("schema", "gen", str(schema), "-o", str(package))
    assert run_here(*gen).status == 0
    service = (package / "clip_bus.py").read_text()
    (package / "other_bus.py").write_text(service)
    schema.write_text("@0xb3f1c0a9d2e84765;\nenum Clip { none @0; }\n")
    assert run_here(*gen).status == 0
    assert sorted(path.name for path in package.glob("*_*.py") if path.stem != "__init__") == [
        "clip_capnp.py",
        "other_bus.py",
    ]
    (package / "clip_types.py").write_text("# by hand\n")
    assert run_here(*gen, "--check").status == 0
    (package / "clip_bus.py").write_text(service)
    ran = run_here(*gen, "--check")
    assert (ran.status, ran.out) == (1, f"{package / 'clip_bus.py'}\n")
    assert run_here(*gen).status == 0
    assert (package / "clip_types.py").read_text() == "# by hand\n"
    assert not (package / "clip_bus.py").exists()


def test_a_mistake_in_a_schema_is_said_with_its_place(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.capnp"
    wrong.write_text("@0xb3f1c0a9d2e84766;\nstruct Clip {\n  title @0 :Txt;\n}\n")
    ran = run_here("schema", "gen", str(wrong), "-o", str(tmp_path))
    assert ran.status == 1
    assert ran.err.startswith(f"{wrong}:3:")


def test_files_that_others_need_are_named(tmp_path: Path) -> None:
    ran = run_here("schema", "gen", str(GOLDEN / "odd.capnp"), "-o", str(tmp_path))
    assert (ran.status, ran.err) == (0, "other.capnp is needed, too: generate its modules into the same folder\n")


def test_the_plugin_does_the_same_as_the_command(package: Path) -> None:
    request = write_request(apart(compile_files(FILES)))
    subprocess.run([PLUGIN], input=request, cwd=package, check=True, timeout=30)
    assert made(package) == {name: (GOLDEN / name).read_text() for name in MODULES}


def test_the_plugin_says_what_it_cannot_read(tmp_path: Path) -> None:
    ran = subprocess.run([PLUGIN], input=b"\0" * 7, cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert (ran.returncode, list(tmp_path.iterdir())) == (1, [])
    assert ran.stderr.startswith(b"capnpc-hootbus: no request of the schema compiler: ")
    assert ran.stderr.count(b"\n") == 1


@needs_tool
def test_the_compiler_runs_the_plugin(package: Path) -> None:
    command = ["capnp", "compile", f"-o{PLUGIN}:{package}", f"--src-prefix={GOLDEN}", f"-I{CAPNP_IMPORTS}", *FILES]
    subprocess.run(command, check=True, timeout=30)
    assert sorted(made(package)) == MODULES
    # The compiler is another version than the one that we have, and has its own order of nodes.
    assert (package / "odd_types.py").read_text() == (GOLDEN / "odd_types.py").read_text()
