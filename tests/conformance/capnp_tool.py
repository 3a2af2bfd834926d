"""Cap'n Proto's own command line tool, asked for many messages at once: its start takes longer than its work."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

needs_tool = pytest.mark.skipif(shutil.which("capnp") is None, reason="there is no capnp tool (Debian: capnproto)")


def convert(conversion: str, messages: bytes, *options: str, of: tuple[Path, str] | None = None) -> bytes:
    """`capnp convert` of messages that follow each other. What it refuses fails the test.

    Text and JSON need the schema's file and the struct's name: `of`.
    """
    command = ["capnp", "convert", "--quiet", *options, conversion, *map(str, of or ())]
    done = subprocess.run(command, input=messages, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode(errors="replace")[:1000]
    return done.stdout


def refuses(message: bytes) -> bool:
    """Whether there is no canonical form of this message for the tool."""
    command = ["capnp", "convert", "--quiet", "binary:canonical"]
    done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=60)
    return done.returncode != 0


def binaries(stream: bytes) -> list[bytes]:
    """The stream-framed messages of a stream."""
    messages = []
    while stream:
        count = struct.unpack_from("<I", stream)[0] + 1
        table = (4 + 4 * count + 7) // 8 * 8
        end = table + 8 * sum(struct.unpack_from(f"<{count}I", stream, 4))
        messages.append(stream[:end])
        stream = stream[end:]
    return messages


def framed(words: bytes | bytearray) -> bytes:
    """A single segment without a table as a stream-framed message."""
    return struct.pack("<II", 0, len(words) // 8) + words
