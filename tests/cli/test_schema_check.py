"""`hoot schema check` and `fingerprint`: versions of schemas in files, folders and git."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from cli.shell import Ran, run_here

ID: Final = "@0xd5d5010203040506;\n"
OLD: Final = ID + "struct A { a @0 :UInt32; b @1 :Text; }\n"
ADDED: Final = ID + "struct A { a @0 :UInt32; b @1 :Text; c @2 :Bool; }\n"
RENAMED: Final = ID + "struct A { a @0 :UInt32; c @1 :Text; }\n"
RETYPED: Final = ID + "struct A { a @0 :Float32; b @1 :Text; }\n"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repository(folder: Path) -> Path:
    """A repository with two commits; `common.capnp` is imported by path, and has changed."""
    git("init", "-q", "-b", "main")
    write("schemas/a.capnp", OLD.replace("b @1 :Text", 'b @1 :import "/common.capnp".B'))
    write("lib/common.capnp", '@0xd5d5010203040507; struct B { x @0 :UInt8; } const note :Data = embed "note.txt";')
    write("lib/note.txt", "one")
    git("add", "-A")
    commit("first")
    write("lib/common.capnp", '@0xd5d5010203040507; struct B { x @0 :UInt16; } const note :Data = embed "note.txt";')
    git("add", "-A")
    commit("second")
    return folder


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True, timeout=30)


def commit(message: str) -> None:
    git("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "commit", "-q", "-m", message)


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def check(*arguments: str) -> Ran:
    return run_here("schema", "check", *arguments)


@pytest.mark.parametrize(
    ("new", "options", "status", "verdict"),
    [
        (OLD, [], 0, "compatible"),
        (ADDED, ["--strict"], 0, "compatible"),
        (RENAMED, [], 0, "care"),
        (RENAMED, ["--strict"], 1, "care"),
        (RETYPED, [], 1, "breaking"),
    ],
)
def test_the_status_is_for_scripts(new: str, options: list[str], status: int, verdict: str) -> None:
    files = write("old/a.capnp", OLD), write("new/a.capnp", new)
    ran = check(*files, *options, "--json")
    assert (ran.status, ran.json["verdict"]) == (status, verdict)


def test_json_has_all_that_is_known_of_a_change() -> None:
    ran = check(write("old/a.capnp", OLD), write("new/a.capnp", RETYPED), "--json")
    (change,) = ran.json["changes"]
    assert change["old_reader"]
    assert change["old_writer"]
    known = {key: change[key] for key in ("verdict", "file", "where", "kind", "reason")}
    assert known == {
        "verdict": "breaking",
        "file": "a.capnp",
        "where": "A.a",
        "kind": "field-type-changed",
        "reason": "was UInt32, is Float32",
    }
    assert json.loads(ran.err)["error"]["code"] == "breaking_changes"


def test_two_files_are_versions_of_one_whatever_they_are_called() -> None:
    old, new = write("old.capnp", OLD), write("new.capnp", ADDED.replace("506", "507") + "struct B {}\n")
    changes = check(old, new, "--json").json["changes"]
    assert [(each["file"], each["kind"], each["where"]) for each in changes] == [
        ("old.capnp", "file-id-changed", ""),
        ("old.capnp", "type-id-changed", "A"),
        ("old.capnp", "field-added", "A.c"),
        ("old.capnp", "type-added", "B"),
    ]


def test_folders_are_compared_by_ids_and_names() -> None:
    write("old/a.capnp", OLD)
    write("old/gone.capnp", "@0xd5d5010203040508; struct Gone {}")
    write("new/inner/moved.capnp", ADDED)
    write("new/.hidden/copy.capnp", ADDED)
    ran = check("old", "new", "--json")
    assert [(each["file"], each["kind"], each["where"]) for each in ran.json["changes"]] == [
        ("a.capnp", "field-added", "A.c"),
        ("gone.capnp", "type-removed", "Gone"),
    ]


@needs_git
def test_a_revision_of_git_is_compared_with_what_it_imported_and_embedded(repository: Path) -> None:
    ran = check("HEAD~1:schemas", "schemas", "-I", "lib", "--json")
    assert [(each["kind"], each["where"]) for each in ran.json["changes"]] == [("field-type-changed", "B.x")]
    assert check("HEAD:schemas/a.capnp", "schemas/a.capnp", "-I", "lib").out == "no changes\n"
    os.chdir("lib")
    assert check("HEAD~1:./common.capnp", "HEAD:lib/common.capnp").status == 1
    assert subprocess.run(["git", "status", "--porcelain"], capture_output=True, check=True).stdout == b""


@needs_git
@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("nowhere", "no such file or folder, and no REV:PATH of git"),
        ("nowhere:schemas", "nowhere:schemas: no such file or folder, and no revision"),
        ("HEAD:nowhere", "HEAD has no schemas at nowhere"),
        ("HEAD:../..", "HEAD has no schemas"),
        ("--output=x:schemas", "No such option"),
        ("HEAD:lib/note.txt", ""),
    ],
)
def test_what_is_not_there_is_wrong_usage(repository: Path, old: str, said: str) -> None:
    ran = check(old, "schemas", "-I", "lib")
    assert ran.status == 2
    assert said in " ".join(ran.err.split())
    assert not Path("x").exists()


def test_without_a_repository_or_git_it_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("a.capnp", OLD)
    assert "not a git repository" in check("HEAD:a.capnp", file).err
    monkeypatch.setenv("PATH", "")
    ran = run_here("schema", "check", "HEAD:a.capnp", file, env={"PATH": "/nonexistent"})
    assert (ran.status, "needs git" in ran.err) == (2, True)


def test_a_schema_that_does_not_compile_is_wrong_usage_by_its_own_name() -> None:
    ran = check(write("old/a.capnp", OLD), write("new/a.capnp", ID + "struct A { a @0 :Nothing; }"))
    assert ran.status == 2
    assert ran.err.endswith("new/a.capnp:2:18: Not defined: Nothing\n")
    assert "Usage" not in ran.err
    assert check("old", write("new/a.capnp", ADDED)).status == 2
    Path("empty").mkdir()
    assert "empty: no .capnp files" in check("empty", "old").err


@needs_git
def test_a_mistake_in_a_revision_is_told_by_the_revisions_name(repository: Path) -> None:
    write("schemas/a.capnp", ID + "struct A { a @0 :Nothing; }")
    git("add", "-A")
    commit("third")
    ran = check("HEAD:schemas", "schemas", "-I", "lib")
    assert (ran.status, ran.err) == (2, "HEAD:schemas/a.capnp:2:18: Not defined: Nothing\n")


def test_fingerprints_are_shown_for_types_and_methods() -> None:
    file = write("a.capnp", OLD + "enum E { x @0; } interface I { m @0 A -> A; }")
    found = {row["name"]: row for row in run_here("schema", "fingerprint", file, "--json").json}
    assert list(found) == ["A", "E", "I.m"]
    assert (found["I.m"]["id"], found["A"]["id"][:3]) == ("", "@0x")
    one = run_here("schema", "fingerprint", f"{file}:A")
    assert one.out.splitlines()[1].split() == ["A", found["A"]["id"], found["A"]["fingerprint"]]
    assert "field a uint32 0" in run_here("schema", "fingerprint", f"{file}:A", "--describe").out
    assert run_here("schema", "fingerprint", file, "--describe").status == 2
    assert "has no struct, enum or method 'B'" in run_here("schema", "fingerprint", f"{file}:B").err
