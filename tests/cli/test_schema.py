"""`hoot schema`: messages in files and pipes, between all forms, and bytes that are no messages."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from cli.shell import Ran, environment, refused, run, run_here, until
from conformance.capnp_tool import convert, needs_tool
from conformance.everything import EVERYTHING, FORMS, SCHEMA
from hootbus.bus.processes import hoot
from hootbus.schemas import write_fields
from hootbus.schemas.canonical import canonical, canonical_body

TYPE: Final = f"{SCHEMA}:Everything"
BODY: Final = bytes(write_fields(FORMS.Everything, EVERYTHING).buffer)
ONE: Final = bytes(write_fields(FORMS.Inner, {"number": 1, "name": "one"}).buffer)
TWO: Final = bytes(write_fields(FORMS.Inner, {"number": 2, "name": "two"}).buffer)
INNER: Final = f"{SCHEMA}:Inner"
FORM_NAMES: Final = ("binary", "packed", "flat", "flat-packed", "canonical", "text", "json")


def converted(conversion: str, messages: bytes, *options: str) -> bytes:
    ran = run_here("schema", "convert", conversion, *options, stdin=messages)
    assert ran.status == 0, ran.err
    return ran.out.encode(errors="surrogateescape")


def failed(ran: Ran) -> str:
    """The one line that is said of a failure."""
    assert ran.status == 1
    assert ran.err.count("\n") == 1
    return ran.err.rstrip("\n")


@pytest.mark.parametrize("form", FORM_NAMES)
def test_every_form_leads_back_to_the_same_message(form: str) -> None:
    there = converted(f"binary:{form}", bytes(canonical_body(BODY)), "--schema", TYPE)
    back = converted(f"{form}:binary", there, "--schema", TYPE)
    # Text has too few digits for some Float32, and neither it nor JSON has null texts in lists.
    shown = form if form in ("text", "json") else "canonical"
    assert converted(f"binary:{shown}", back, "--schema", TYPE) == converted(f"binary:{shown}", BODY, "--schema", TYPE)


@needs_tool
@pytest.mark.parametrize("form", FORM_NAMES)
def test_every_form_is_the_tools(form: str) -> None:
    # As a message of the tool's own making: it lays objects out in another order.
    body = convert("binary:binary", BODY)
    options = ["--short"] if form == "json" else []
    names = [str(SCHEMA), "Everything"] if form in ("text", "json") else []
    command = ["capnp", "convert", "--quiet", *options, f"binary:{form}", *names]
    theirs = subprocess.run(command, input=body, capture_output=True, check=True, timeout=30).stdout
    assert converted(f"binary:{form}", body, "--schema", TYPE) == theirs


@needs_tool
@pytest.mark.parametrize("words", [1, 4, 100])
def test_segments_of_any_size_are_read_by_the_tool(words: int) -> None:
    split = converted("binary:binary", BODY, "--segment-size", str(words))
    assert convert("binary:canonical", split) == canonical(BODY)
    assert converted("binary:canonical", convert("binary:binary", BODY, f"--segment-size={words}")) == canonical(BODY)
    assert converted("packed:canonical", converted("binary:packed", BODY, "--segment-size", "4")) == canonical(BODY)


def test_several_messages_in_a_row_are_all_converted() -> None:
    several = ONE + TWO + ONE
    for form in ("packed", "text", "json"):
        there = converted(f"binary:{form}", several, "--schema", INNER)
        assert converted(f"{form}:binary", there, "--schema", INNER) == several
    lines = converted("binary:json", several, "--schema", INNER).splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["one", "two", "one"]
    assert converted("binary:text", several, "--schema", INNER, "--short").count(b"\n") == 3


def test_files_are_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(ONE)
    ran = run_here("schema", "convert", "binary:packed", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert (ran.status, ran.out) == (0, "")
    assert converted("packed:binary", (tmp_path / "out").read_bytes()) == ONE
    assert "No such file" in refused("schema", "convert", "binary:flat", str(tmp_path / "none"))
    said = failed(run_here("schema", "convert", "binary:flat", "-o", str(tmp_path / "no" / "out"), stdin=ONE))
    assert "No such file" in said


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for before in ([], [b"as it was"]):
        out.unlink(missing_ok=True)
        for content in before:
            out.write_bytes(content)
        failed(run_here("schema", "convert", "binary:flat", "-o", str(out), stdin=ONE + TWO))
        assert [file.read_bytes() for file in tmp_path.iterdir()] == before
    out.chmod(0o640)
    (tmp_path / "link").symlink_to(out)
    assert run_here("schema", "convert", "binary:binary", "-o", str(tmp_path / "link"), stdin=ONE).status == 0
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (ONE, 0o640)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link", "out"]


def test_a_result_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        hoot("schema", "convert", "binary:packed", "-o", str(out)), stdin=subprocess.PIPE, env=environment(None)
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(ONE)
            process.stdin.flush()
            until(lambda: any(file.stat().st_size for file in tmp_path.iterdir()), "the first message is written")
            assert not out.exists()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 1
        finally:
            process.kill()
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch(0o444)
    assert "Permission denied" in failed(run_here("schema", "canonical", "-o", str(out), stdin=ONE))
    assert out.read_bytes() == b""


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    assert run_here("schema", "convert", "binary:flat", "-o", os.devnull, stdin=ONE) == Ran(0, "", "")
    assert Path(os.devnull).is_char_device()


def test_a_mistake_in_a_schema_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = tmp_path.resolve() / "bad.capnp"
    file.write_text("@0xe5a1c2f3b4d59703;\nstruct Bad { v @0 :Nope; }\n")
    for command in (["schema", "dump"], ["call", "text/upper"], ["publish", "jobs.done"]):
        ran = run_here(*command, "--schema", f"{file}:Bad", stdin=ONE)
        assert ran == Ran(1, "", f"{file}:2:20: Not defined: Nope\n")
    assert run_here("listen", "--schema", str(file)) == Ran(1, "", f"{file}:2:20: Not defined: Nope\n")


def test_a_file_is_not_written_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "messages"
    file.write_bytes(ONE + TWO)
    for command in (["convert", "binary:packed"], ["canonical"]):
        assert "is the input: write to another file" in refused("schema", *command, str(file), "-o", str(file))
    assert file.read_bytes() == ONE + TWO


def test_a_schemas_imports_are_looked_for_in_the_given_folders(tmp_path: Path) -> None:
    (tmp_path / "unit.capnp").write_text("@0xe5a1c2f3b4d59701;\nstruct Unit { name @0 :Text; }\n")
    outer = tmp_path / "sub" / "value.capnp"
    outer.parent.mkdir()
    outer.write_text('@0xe5a1c2f3b4d59702;\nusing U = import "/unit.capnp";\nstruct Value { unit @0 :U.Unit; }\n')
    options = ("--schema", f"{outer}:Value", "-I", str(tmp_path))
    body = converted("text:binary", b'(unit = (name = "Hz"))', *options)
    assert run_here("schema", "dump", *options, stdin=body).out == '(unit = (name = "Hz"))\n'


@pytest.mark.parametrize(
    ("conversion", "given", "said"),
    [
        ("binary:text", b"", "bad_body: there is no message in the input"),
        ("json:text", b" \n", "bad_body: there is no message in the input"),
        ("binary:text", ONE[:2], "bad_body: the input ends within a segment table"),
        ("binary:text", ONE[:-1], "bad_body: the input ends 1 bytes before the message does"),
        ("binary:text", ONE + TWO[:9], "bad_body: message 2: the input ends 39 bytes before the message does"),
        ("binary:text", b"\x7fELF....", "bad_body: 1179403648 segments, at most 512: no message begins here"),
        ("binary:text", b'{"number": 1}', "bad_body: 1970152060 segments, at most 512: no message begins here;"
         " this may be text or JSON"),
        ("binary:text", bytes(8) + ONE, "bad_body: message 1 has no words: no message begins here"),
        ("binary:text", ONE + bytes(8), "bad_body: message 2 has no words: no message begins here"),
        ("packed:text", ONE, "bad_body: message 1 has no words: is the input packed?"),
        ("packed:text", BODY, "bad_body: message 1 has no words: is the input packed?"),
        ("binary:text", ONE[:-16] + b"no zero." * 2, "bad_body: name: text that does not end with a zero byte"),
        ("flat:text", b"123", "bad_body: 3 bytes are no whole words"),
        ("binary:flat", ONE + TWO, "bad_body: more than one message, and flat has no way to tell where one ends"),
        ("packed:binary", b"\xff", "bad_body: packed bytes end 9 short of the end of a word"),
        ("text:json", b'(name = "\xff")', "bad_body: the input is not UTF-8 at byte 9"),
        ("text:json", b"()\n(number 2)", "bad_body: message 2: number: 2 where '=' should be (line 2, column 9)"),
        ("json:text", b'{"nope": 1}', "bad_body: nope: no such field; there are number, name, children"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_said_in_one_line(conversion: str, given: bytes, said: str) -> None:
    assert failed(run_here("schema", "convert", conversion, "--schema", INNER, stdin=given)) == said


def test_what_was_converted_before_a_fault_is_there() -> None:
    ran = run_here("schema", "convert", "binary:json", "--schema", INNER, stdin=ONE + TWO[:-8])
    assert ran.lines == [{"number": 1, "name": "one"}]
    assert ran.status == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["binary"], "'binary' is not FROM:TO, each one of binary, packed, flat,"),
        (["xml:binary"], "'xml:binary' is not FROM:TO"),
        (["binary:text"], "text and json need --schema FILE.capnp:TYPE"),
        (["json:binary"], "text and json need --schema FILE.capnp:TYPE"),
        (["text:binary", "--short", "--schema", INNER], "--short is for text and json: binary has no lines"),
        (["binary:flat", "--segment-size", "9"], "--segment-size is for binary and packed: flat has one segment"),
        (["binary:text", "--schema", str(SCHEMA)], "is not FILE.capnp:Type"),
        (["binary:text", "--schema", f"{SCHEMA}:Nope"], "has no struct 'Nope'"),
    ],
)
def test_wrong_usage_is_said_to_be_so(arguments: list[str], said: str) -> None:
    assert said in refused("schema", "convert", *arguments)


def test_binary_is_not_written_to_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        command = hoot("schema", "convert", "text:binary", "--schema", INNER)
        done = subprocess.run(
            command, input=b"()", stdout=theirs, stderr=subprocess.PIPE, env=environment(None), timeout=30, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert b"binary would garble the terminal: -o FILE, or pipe it on" in done.stderr


@pytest.fixture
def converting() -> "Iterator[subprocess.Popen[bytes]]":
    """A conversion that has written one message, and waits for the next."""
    with subprocess.Popen(
        hoot("schema", "convert", "binary:json", "--schema", INNER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(None),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(ONE)
        process.stdin.flush()
        # Each message is there as soon as it was read.
        assert json.loads(process.stdout.readline()) == {"number": 1, "name": "one"}
        yield process
        process.kill()


def test_a_reader_that_has_seen_enough_ends_it_quietly(converting: "subprocess.Popen[bytes]") -> None:
    assert converting.stdin is not None
    assert converting.stdout is not None
    assert converting.stderr is not None
    converting.stdout.close()
    with suppress(BrokenPipeError):
        # More than a pipe takes.
        converting.stdin.write(TWO * 20_000)
        converting.stdin.close()
    assert converting.wait(30) == 0
    assert converting.stderr.read() == b""


def test_ctrl_c_ends_it_quietly(converting: "subprocess.Popen[bytes]") -> None:
    assert converting.stderr is not None
    converting.send_signal(signal.SIGINT)
    assert converting.wait(30) == 1
    assert converting.stderr.read().strip() == b""


def test_dump_shows_a_message_as_text_and_says_what_only_newer_peers_know() -> None:
    body = bytes(write_fields(FORMS.New, {"colour": 7, "colours": [0, 9], "three": 5}).buffer)
    ran = run_here("schema", "dump", "--schema", f"{SCHEMA}:Old", stdin=body)
    assert (ran.status, ran.out) == (0, "(colour = (7), colours = [red, (9)])\n")
    assert ran.err.splitlines() == [
        "not in this schema: colour is (7)",
        "not in this schema: colours[1] is (9)",
        "not in this schema: the root is (2)",
    ]
    as_json = run_here("schema", "dump", "--schema", f"{SCHEMA}:Old", "--json", stdin=body)
    assert as_json.lines == [{"colour": 7, "colours": ["red", 9]}]


def test_dump_of_what_does_not_fit_its_schema_names_the_field() -> None:
    ran = run_here("schema", "dump", "--schema", INNER, stdin=ONE[:-16] + b"no zero." * 2)
    assert failed(ran) == (
        "bad_body: message 1: name: text that does not end with a zero byte; without --schema its structure is shown"
    )


def test_dump_without_a_schema_shows_the_structure() -> None:
    body = converted("text:binary", b'(number = 258, name = "a\\tb", children = [(name = "x")])', "--schema", INNER)
    assert run_here("schema", "dump", stdin=body).out == (
        "message of 1 segment, 10 words\n"
        "root  0:0 -> 0:1  struct of 1 + 2 words  0201000000000000\n"
        '  pointer 0  0:2 -> 0:4  text, 4 × byte  "a\\tb"\n'
        "  pointer 1  0:3 -> 0:5  list, 1 × struct of 1 + 2 words\n"
        "    [0]  0:3 -> 0:6  struct  0000000000000000\n"
        '      pointer 0  0:7 -> 0:9  text, 2 × byte  "x"\n'
    )
    split = converted("binary:binary", body, "--segment-size", "4")
    assert "  pointer 0  0:2 -> far 1:0 -> 1:1  text" in run_here("schema", "dump", stdin=split).out


def test_dump_is_bounded() -> None:
    shallow = run_here("schema", "dump", "--depth", "1", stdin=BODY)
    assert shallow.out.splitlines()[2] == "  ... 26 more"
    few = run_here("schema", "dump", "--limit", "5", stdin=BODY)
    assert sum(" -> " in line for line in few.out.splitlines()) == 5
    assert (shallow.status, few.status) == (0, 0)


def test_dump_shows_broken_bytes_as_far_as_they_go() -> None:
    ran = run_here("schema", "dump", stdin=ONE[:-8])
    assert failed(ran) == "bad_body: the input ends 8 bytes before the message does"
    assert "root  0:0 -> 0:1  struct" in ran.out
    assert "  pointer 0  0:2  pointer leaves the segment (0x0000002200000005)" in ran.out
    ran = run_here("schema", "dump", "--json", stdin=_with_word(ONE, 3, 2 | 9 << 32))
    assert failed(ran) == "bad_body: 1 pointer that cannot be followed"
    found: dict[str, Any] = ran.json
    assert found["root"]["parts"] == [
        {"step": "pointer 0", "at": "0:2", "kind": "fault", "far": "9:0",
         "fault": "far pointer to segment 9 of 1 (0x0000000900000002)"}
    ]  # fmt: skip


def test_canonical_words_are_written_without_a_table() -> None:
    ran = run_here("schema", "canonical", stdin=BODY)
    assert ran.out.encode(errors="surrogateescape") == canonical(BODY)
    assert run_here("schema", "canonical", "--flat", stdin=bytes(canonical(BODY))).out == ran.out
    assert "2 messages" in failed(run_here("schema", "canonical", stdin=ONE + TWO))


def test_canonical_checks() -> None:
    assert run_here("schema", "canonical", "--check", stdin=bytes(canonical_body(BODY))) == Ran(0, "", "")
    assert run_here("schema", "canonical", "--check", "--flat", stdin=bytes(canonical(BODY))) == Ran(0, "", "")
    # The last pointer of the struct is null.
    said = failed(run_here("schema", "canonical", "--check", stdin=ONE))
    assert said == "not_canonical: word 0 is 0000000001000200, not 0000000001000100"
    longer = bytes(canonical(ONE)) + bytes(8)
    assert failed(run_here("schema", "canonical", "--check", "--flat", stdin=longer)) == "not_canonical: 5 words, not 4"
    split = converted("binary:binary", ONE, "--segment-size", "1")
    assert failed(run_here("schema", "canonical", "--check", stdin=split)) == "not_canonical: 3 segments, not 1"
    assert "leaves the segment" in failed(run_here("schema", "canonical", "--check", stdin=_with_word(ONE, 1, 9 << 32)))


def test_bare_words_that_could_have_a_table_are_warned_of() -> None:
    framed = bytes(canonical_body(BODY))
    warning = "warning: the input could also be a message with a segment table: --flat cannot tell\n"
    assert run_here("schema", "canonical", "--flat", stdin=framed).err.startswith(warning)
    # A table of one segment of three words, or a struct of three words of data; a null pointer, or the number 0.
    both = b"".join(word.to_bytes(8, "little") for word in (3 << 32, 0, 0, 5))
    assert run_here("schema", "canonical", "--check", "--flat", stdin=both) == Ran(0, "", warning)
    only_bare = b"".join(word.to_bytes(8, "little") for word in (3 << 32, 1, 0, 5))
    assert run_here("schema", "canonical", "--check", "--flat", stdin=only_bare) == Ran(0, "", "")


def test_the_command_runs_as_a_process_of_its_own() -> None:
    assert run("schema", "dump", "--schema", INNER, stdin=ONE) == Ran(0, '(number = 1, name = "one")\n', "")


def _with_word(body: bytes, at: int, word: int) -> bytes:
    return body[: at * 8] + word.to_bytes(8, "little") + body[at * 8 + 8 :]
