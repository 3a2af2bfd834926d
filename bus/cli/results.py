"""Where a command's result goes: to stdout as it comes, or to a file that is there whole or not at all."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final

import click

from hootbus.bus.cli.settings import interruptible, setting

STDOUT: Final = "-"

output_option: Final = setting(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, allow_dash=True),
    default=STDOUT,
    metavar="FILE",
    help="Instead of stdout. It is there when all is done; what went to stdout cannot be taken back.",
)


@contextmanager
def result_file(path: str) -> Iterator[IO[bytes]]:
    """The file to write to. Under its name it is there once the block is done; if that fails, all is as it was.

    Raises FileError where no such file can be made.
    """
    target = os.path.realpath(path)
    if path == STDOUT:
        stdout = sys.stdout.buffer
        yield stdout
        stdout.flush()
    elif os.path.exists(target) and not os.path.isfile(target):
        # A device or a pipe is written to, and not replaced.
        with _opened(path, target, os.O_WRONLY) as file:
            yield file
    else:
        yield from _replacing(path, target)


def _replacing(path: str, target: str) -> Iterator[IO[bytes]]:
    # Beside it: nothing can be renamed from one file system to another.
    beside = f"{target}.{os.urandom(4).hex()}.part"
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise click.FileError(path, "Permission denied")
    interruptible()
    try:
        with _opened(path, beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            if os.path.exists(target):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(target).st_mode))
            yield file
        os.replace(beside, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside)


def _opened(path: str, place: str, flags: int) -> IO[bytes]:
    try:
        return os.fdopen(os.open(place, flags, 0o666), "wb")
    except OSError as error:
        raise click.FileError(path, error.strerror) from None
