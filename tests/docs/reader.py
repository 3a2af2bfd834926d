"""A reader who does what a page says, word for word, in a folder of its own against a bus of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from docs.blocks import CONSOLE, FILES, Block, Command

TIMEOUT_S: Final = 30.0
# What sets a machine up, and what runs these tests in turn: only looked at, not done.
SETUP: Final = ("make", "git", "pip", ".")
# In the page `...` stands for whatever is there.
_ANYTHING: Final = "..."
# What is another in every run. The page shows what it looks like, and both sides are masked.
_MASKS: Final = (
    (re.compile(r'"pid":\d+'), '"pid":N'),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"ipc://[^\s\",;)]+"), "ipc://FOLDER"),
    (re.compile(r"\b\d+\.\d+ ms\b"), "N ms"),
)
# How the command line says that it failed: `code: message`.
_ERROR: Final = re.compile(r"^[a-z_]+: ", re.MULTILINE)


class Reader:
    """Reads blocks: writes their files, runs their commands, and compares what is printed."""

    def __init__(self, folder: Path, bus: str) -> None:
        self._folder = folder
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name == "HOOT_NATIVE" or not name.startswith(("HOOT_", "PYTEST", "PYTHON"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = inherited | {"HOOT_BUS": bus, "PATH": path}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def follow(self, blocks: list[Block]) -> None:
        """Does what the blocks say, in order, and ends well every terminal that was left running."""
        terminals: list[Terminal] = []
        for block in blocks:
            if block.language in FILES:
                (self._folder / block.file).write_text(block.text)
            elif block.language == CONSOLE:
                for command in block.commands():
                    if block.serves:
                        terminals.append(self._serve(command))
                    elif command.program not in SETUP:
                        self._run(command, block.place)
        for terminal in terminals:
            terminal.wait_for(terminal.command.shown)
        for terminal in reversed(terminals):
            assert terminal.end() == 0, terminal

    def _serve(self, command: Command) -> "Terminal":
        """Starts the command, and returns once it has printed the first line that the page shows."""
        terminal = self._stack.enter_context(Terminal(command, self._folder, self._environment))
        first = command.shown.partition("\n")[0]
        assert first, f"{command.line}: a terminal that serves shows what it says first"
        terminal.wait_for(first)
        return terminal

    def _run(self, command: Command, place: str) -> None:
        """Runs the command to its end. Fails if it prints anything else than the page says, or fails itself."""
        with started(command.line, self._folder, self._environment) as process:
            said, _ = process.communicate(timeout=TIMEOUT_S)
        said = said.rstrip("\n")
        assert _pattern(command.shown).fullmatch(_masked(said)), f"{place}: $ {command.line}\n{said}"
        assert process.returncode == 0 or _ERROR.search(command.shown), f"{place}: status {process.returncode}\n{said}"


@contextmanager
def started(line: str, folder: Path, environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """The line in a shell, with all that it prints in one pipe. Nothing of it is left afterwards."""
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            # With whatever the shell has started, which is in its group.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Terminal:
    """A command that goes on running: its output as it comes, and its end."""

    def __init__(self, command: Command, folder: Path, environment: dict[str, str]) -> None:
        self.command = command
        self._said = ""
        self._changed = threading.Condition()
        self._open = True
        self._stack = ExitStack()
        # By env, as a line may set variables first.
        self._process = self._stack.enter_context(started(f"exec env {command.line}", folder, environment))
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def __repr__(self) -> str:
        return f"$ {self.command.line}\n{self._said}(status {self._process.poll()})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._reader.join()

    def wait_for(self, shown: str) -> None:
        """Returns once these lines were printed. Fails when they can be no more."""
        with self._changed:
            self._changed.wait_for(lambda: _has_lines(self._said, shown) or not self._open, TIMEOUT_S)
            assert _has_lines(self._said, shown), self

    def end(self) -> int:
        """Ends it as `kill` does; its exit status."""
        self._process.terminate()
        return self._process.wait(TIMEOUT_S)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                with self._changed:
                    self._said += line
                    self._changed.notify_all()
        with self._changed:
            self._open = False
            self._changed.notify_all()


def _masked(text: str) -> str:
    for mask, instead in _MASKS:
        text = mask.sub(instead, text)
    return text


def _pattern(shown: str) -> re.Pattern[str]:
    """What the page shows, as a pattern for what is printed."""
    return re.compile(".*".join(map(re.escape, _masked(shown).split(_ANYTHING))), re.DOTALL)


def _has_lines(said: str, shown: str) -> bool:
    """Whether the shown lines are among those said, in this order. (A terminal has the log, too.)"""
    lines = iter(said.splitlines())
    return all(any(_pattern(wanted).fullmatch(_masked(line)) for line in lines) for wanted in shown.splitlines())
