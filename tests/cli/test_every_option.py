"""Every option of every command is a flag, a variable and a key of the settings file, under one name."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import pytest

from cli.shell import refused
from hootbus.bus.cli.app import hoot as root
from hootbus.bus.cli.settings import Setting

SCHEMA: Final = Path(__file__).parents[2] / "schemas" / "broadcast.capnp"
ARGUMENTS: Final = {
    "quarantine show": ["q1"],
    "quarantine retry": ["q1"],
    "worker": ["program:worker"],
    "call": ["text/upper"],
    "publish": ["jobs.done"],
    "keys new": ["alice"],
    "schema check": [str(SCHEMA), str(SCHEMA)],
    "schema convert": ["binary:packed"],
    "schema fingerprint": [str(SCHEMA)],
    "schema gen": [str(SCHEMA)],
}
# For each flag what it may be, and what it may not be (None where any text will do).
VALUES: Final[dict[str, tuple[str, str | None]]] = {
    "all": ("true", "nonsense"),
    "allow": (str(SCHEMA.parent), "/no/such/folder"),
    "audio": (str(SCHEMA), "/no/such/file"),
    "broker-key": (str(SCHEMA), "/no/such.key"),
    "bus": ("tcp://127.0.0.1:1", "nonsense"),
    "bytes": ("3", "0"),
    "check": ("true", "nonsense"),
    "config": (str(Path(__file__).parent / "other_bus.toml"), "/no/such/file"),
    "connect": ("text=tcp://127.0.0.1:1;slots=2 other=tcp://127.0.0.1:2", "nonsense"),
    "count": ("3", "0"),
    "default-service": ("text", None),
    "depth": ("3", "0"),
    "describe": ("true", "nonsense"),
    "drain-timeout": ("3", "-1"),
    "flat": ("true", "nonsense"),
    "hootenanny-events": ("tcp://127.0.0.1:1", None),
    "idempotent": ("true", "nonsense"),
    "import-path": (str(SCHEMA.parent), "/no/such/folder"),
    "insecure": ("true", "nonsense"),
    "dir": ("somewhere", str(SCHEMA)),
    "interval": ("7", "nan"),
    "json": ("true", "nonsense"),
    "key": (str(SCHEMA), "/no/such.key_secret"),
    "latest": ("true", "nonsense"),
    "limit": ("workers=3 services=3", "nonsense"),
    "log-format": ("json", "nonsense"),
    "metrics": ("127.0.0.1:9464", "nonsense"),
    "once": ("true", "nonsense"),
    "output": ("out.bin", None),
    "per-topic": ("3", "0"),
    "processes": ("3", "0"),
    "raw": (str(SCHEMA), "/no/such/file"),
    "replay": ("3", "-1"),
    "recycle-mb": ("500", "nan"),
    "recycle-requests": ("1000", "0"),
    "request-timeout": ("3", "inf"),
    "rights": (str(SCHEMA), "/no/such.toml"),
    "schema": (f"{SCHEMA}:Broadcast", "/no/such.capnp:Broadcast"),
    "seconds": ("3", "0"),
    "segment-size": ("3", "0"),
    "short": ("true", "nonsense"),
    "stream": ("true", "nonsense"),
    "gather": ("true", "nonsense"),
    "strict": ("true", "nonsense"),
    "timeout": ("7", "nan"),
    "topic": ("jobs. logs.", None),
    "topics": ("3", "0"),
    "verbose": ("1", "nonsense"),
    "wait": ("true", "nonsense"),
}
# Where one command's flag means something else than the others'.
SPECIAL: Final = {
    # It takes files of schemas where others take one type.
    ("listen", "schema"): (str(SCHEMA), "/no/such.capnp"),
    ("schema dump", "limit"): ("3", "0"),
}


def command_of(name: str) -> click.Command:
    """The command, `hoot` itself for none; "schema dump" is one of a group."""
    found: click.Command | None = root
    for part in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), part)
    assert found is not None
    return found


def commands_in(name: str) -> list[str]:
    """This command, and all commands of it if it is a group."""
    found = command_of(name)
    if not isinstance(found, click.Group):
        return [name]
    inner = found.list_commands(click.Context(found))
    return [name, *(each for part in inner for each in commands_in(f"{name} {part}".strip()))]


def settings_of(name: str) -> dict[str, Setting]:
    """A command's options by flag."""
    options = [option for option in command_of(name).params if isinstance(option, click.Option)]
    assert all(isinstance(option, Setting) or option.opts == ["--version"] for option in options)
    return {
        flag.removeprefix("--"): option
        for option in options
        if isinstance(option, Setting)
        for flag in option.opts
        if flag.startswith("--")
    }


class Case(NamedTuple):
    """One option of one command; of `hoot` itself if that is empty."""

    command: str
    flag: str

    def __str__(self) -> str:
        return f"{self.command or 'hoot'} --{self.flag}"

    @property
    def option(self) -> Setting:
        return settings_of(self.command)[self.flag]

    @property
    def variable(self) -> str:
        # The bus and the keys are the same for all commands, and so are their variables.
        own = self.command and self.flag not in ("bus", "key", "broker-key")
        words = ["hoot", *([self.command] if own else []), self.flag]
        return "_".join(words).upper().replace("-", "_").replace(" ", "_")

    @property
    def values(self) -> tuple[str, str | None]:
        return SPECIAL.get((self.command, self.flag), VALUES[self.flag])

    @property
    def line(self) -> list[str]:
        """The command line without the option."""
        return [*(self.command or "status").split(), *ARGUMENTS.get(self.command, [])]

    @property
    def line_with_flag(self) -> list[str]:
        good = self.values[0]
        if self.option.is_flag or self.option.count:
            flags = [f"--{self.flag}"]
        else:
            each = good.split() if self.option.multiple else [good]
            flags = [part for value in each for part in (f"--{self.flag}", value)]
        at = len(self.command.split())
        return [*self.line[:at], *flags, *self.line[at:]]

    @property
    def toml(self) -> str:
        good: object = self.values[0]
        if self.option.multiple:
            good = self.values[0].split()
        elif self.option.is_flag or self.option.count:
            good = json.loads(self.values[0])
        return (f"[{self.command.replace(' ', '.')}]\n" if self.command else "") + f"{self.flag} = {json.dumps(good)}\n"


EVERY: Final = [Case(command, flag) for command in commands_in("") for flag in settings_of(command)]
every_option = pytest.mark.parametrize("case", EVERY, ids=str)
Parsed = Callable[[Case, list[str]], dict[str, Any]]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parsed]:
    """What a command line comes to: the values that its command is called with, and how much is logged."""
    log = logging.getLogger("hootbus")
    before = log.level
    for name in [name for name in os.environ if name.startswith("HOOT_")]:
        monkeypatch.delenv(name)

    def parse(case: Case, line: list[str]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        monkeypatch.setattr(command_of(case.command or "status"), "callback", seen.update)
        root.main(line, standalone_mode=False)
        # An open file is compared by its name.
        return {key: getattr(value, "name", value) for key, value in seen.items()} | {"log": log.level}

    yield parse
    log.setLevel(before)


@every_option
def test_an_option_is_a_variable_too(case: Case, parsed: Parsed, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = parsed(case, case.line_with_flag)
    assert parsed(case, case.line) != expected
    monkeypatch.setenv(case.variable, case.values[0])
    assert parsed(case, case.line) == expected


@pytest.mark.parametrize("case", [case for case in EVERY if case.flag != "config"], ids=str)
def test_an_option_is_a_key_of_the_file_too(case: Case, parsed: Parsed, tmp_path: Path) -> None:
    file = tmp_path / "hoot.toml"
    file.write_text(case.toml)
    assert parsed(case, ["--config", str(file), *case.line]) == parsed(case, case.line_with_flag)


@every_option
def test_help_names_the_variable(case: Case) -> None:
    context = click.Context(root, info_name="hoot", auto_envvar_prefix="HOOT")
    parts = case.command.split()
    for at, part in enumerate(parts, 1):
        context = click.Context(command_of(" ".join(parts[:at])), context, info_name=part)
    # As one line: it is broken anywhere.
    assert f"[env var: {case.variable}" in " ".join(context.get_help().split())


@pytest.mark.parametrize("case", [case for case in EVERY if case.values[1] is not None], ids=str)
def test_a_bad_value_is_wrong_usage_of_the_variable(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(case.variable, case.values[1] or "")
    said = refused(*case.line)
    assert f"'--{case.flag}'" in said
    assert f"(env var: {case.variable})" in said


def test_a_bad_value_of_the_file_is_said_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "hoot.toml"
    file.write_text("[status]\ntimeout = -1\n")
    assert "'--timeout' (in the settings file)" in refused("--config", str(file), "status")
