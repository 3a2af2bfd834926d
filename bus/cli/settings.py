"""What all commands have in common: the bus address, the settings file, the log, and failures that are no surprise."""

import functools
import logging
import math
import os
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar, cast

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

F = TypeVar("F", bound=Callable[..., Any])

_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_BUS: Final = "hootbus.bus"
KEY_VARIABLE: Final = "HOOT_KEY"
BROKER_KEY_VARIABLE: Final = "HOOT_BROKER_KEY"
KEY_FILE: Final = click.Path(exists=True, dir_okay=False)
_VERBOSE: Final = "hootbus.verbose"
_CONFIG: Final = "hootbus.config"
_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)


class Failed(click.ClickException):
    """It failed, for a reason that has a code: exit status 1, and one line (or one JSON object) on stderr."""

    def __init__(self, code: str, message: str, *, details: str = "", as_json: bool = False) -> None:
        super().__init__(message)
        self._code = code
        self._details = details
        self._as_json = as_json

    def show(self, file: IO[str] | None = None) -> None:
        """Says so."""
        if self._as_json:
            import json

            error = {"code": self._code, "message": self.message, "details": self._details}
            click.echo(json.dumps({"error": error}), err=True)
        else:
            from hootbus.bus.cli.output import printable

            # Several lines are the message's own, as of several mistakes in a schema.
            lines = [printable(line) for line in self.message.split("\n")]
            click.echo(f"{self._code}: " + "\n".join(lines), err=True)


@contextmanager
def reporting(as_json: bool = False) -> Iterator[None]:
    """Turns what the bus reports into a `Failed`."""
    from hootbus.bus.guard import CannotServe
    from hootbus.frames.errors import HootError
    from hootbus.frames.keys import KeysError

    try:
        yield
    except HootError as error:
        raise Failed(error.code, error.message, details=error.details, as_json=as_json) from error
    except CannotServe as error:
        raise Failed("cannot_serve", str(error), as_json=as_json) from error
    except KeysError as error:
        raise Failed("bad_key", str(error), as_json=as_json) from error


class Setting(click.Option):
    """An option that may be given in the environment and in the settings file, too, which its help and errors say.

    The parameter is called as its flag, and so is the variable: HOOT_CALL_TIMEOUT for `--timeout` of `hoot call`.
    """

    def variable(self, ctx: click.Context) -> str:
        """The environment variable."""
        return str(self.envvar or f"{ctx.auto_envvar_prefix}_{self.name}".upper())

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """What was wrong: the flag, or where else its value stands."""
        hint = click.Parameter.get_error_hint(self, ctx)
        source = ctx.get_parameter_source(self.name or "") if ctx is not None else None
        if ctx is not None and source is ParameterSource.ENVIRONMENT:
            return f"{hint} (env var: {self.variable(ctx)})"
        return f"{hint} (in the settings file)" if source is ParameterSource.DEFAULT_MAP else hint


setting: Final = partial(click.option, cls=Setting, show_envvar=True)


def forget_settings(ctx: click.Context) -> None:
    """Takes this command's settings out of the environment: what it starts has them as arguments."""
    for context in (ctx, ctx.find_root()):
        for option in context.command.params:
            if isinstance(option, Setting):
                os.environ.pop(option.variable(context), None)


def bus_address(text: str) -> "BusAddress":
    from hootbus.frames.address import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class _Seconds(click.FloatRange):
    """A time to wait. click takes inf and nan for numbers, too."""

    def __init__(self) -> None:
        super().__init__(min=0.0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401  # as click has it
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


SECONDS: Final = _Seconds()


def interruptible() -> None:
    """From now on SIGTERM ends the command as Ctrl-C does: what it has begun is taken back."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # SIGINT, too, as a shell has it ignored by what it starts in the background.
        signal.signal(number, signal.default_int_handler)


def remember_bus(ctx: click.Context, param: click.Parameter, value: "BusAddress | None") -> None:
    """Keeps the `--bus` that stands before the command's name."""
    ctx.meta[_BUS] = value


def _choose_bus(ctx: click.Context, param: click.Parameter, value: "BusAddress | None") -> "BusAddress":
    """The nearest flag, then the environment, then the settings file, then the default."""
    from hootbus.frames.address import default_address

    own_source, source = ctx.get_parameter_source("bus"), ctx.find_root().get_parameter_source("bus")
    said_above: BusAddress | None = ctx.meta[_BUS]
    if own_source is not ParameterSource.COMMANDLINE and source in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    ):
        value = said_above
    if value := value or said_above:
        return value
    try:
        return default_address()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def bus_options(command: F) -> F:
    """`--bus`, `--verbose` and the keys, for commands that connect; the function gets `bus`, a BusAddress.

    The keys it does not get: they are put into the environment, where all that connects looks for them.
    """

    @functools.wraps(command)
    def with_keys(*arguments: Any, key: str | None, broker_key: str | None, **options: Any) -> Any:  # noqa: ANN401  # as click has it
        use_keys(key, broker_key)
        return command(*arguments, **options)

    return address_options(key_options(cast(F, with_keys)))


def key_options(command: F) -> F:
    """`--key` and `--broker-key`."""
    command = setting(
        "--broker-key",
        type=KEY_FILE,
        envvar=BROKER_KEY_VARIABLE,
        metavar="NAME.key",
        help="The broker's public key, for a bus with keys.",
    )(command)
    return own_key("Who you are, for a bus with keys: `hoot keys new` makes one.")(command)


def own_key(text: str) -> Callable[[F], F]:
    """`--key`."""
    return setting("--key", type=KEY_FILE, envvar=KEY_VARIABLE, metavar="NAME.key_secret", help=text)


def use_keys(key: str | None, broker_key: str | None) -> None:
    """Has everything in this process that connects use these keys. Raises UsageError if one of them is missing."""
    if (key is None) != (broker_key is None):
        raise click.UsageError("a bus with keys needs both, --key (who you are) and --broker-key (whom you talk to)")
    for variable, path in ((KEY_VARIABLE, key), (BROKER_KEY_VARIABLE, broker_key)):
        if path is not None:
            os.environ[variable] = os.path.abspath(path)
        else:
            os.environ.pop(variable, None)


def address_options(command: F) -> F:
    """`--bus` and `--verbose` behind the command's name, too; the function gets `bus`, a BusAddress."""
    command = setting(
        "--verbose", "-v", count=True, expose_value=False, callback=configure_logging, help="Log more to stderr."
    )(command)
    return setting(
        "--bus",
        type=bus_address,
        callback=_choose_bus,
        # All commands mean the same one.
        envvar="HOOT_BUS",
        metavar="ADDRESS",
        show_default="this user's own",
        help="Where the bus is: tcp://HOST:PORT or ipc://DIRECTORY.",
    )(command)


def json_option(command: F) -> F:
    """`--json`, for scripts."""
    return setting("--json", is_flag=True, help="JSON on stdout, for scripts.")(command)


def configure_logging(ctx: click.Context, param: click.Parameter, verbose: int) -> None:
    """The log goes to stderr; `-v` says more, before or behind the command's name."""
    verbose = ctx.meta[_VERBOSE] = ctx.meta.get(_VERBOSE, 0) + verbose
    logging.basicConfig(stream=sys.stderr, format=_LOG_FORMAT)
    logging.getLogger("hootbus").setLevel(_level(verbose))


def _level(verbose: int) -> int:
    return _LEVELS[max(0, min(verbose, len(_LEVELS) - 1))]


def verbosity(ctx: click.Context) -> int:
    """How many `-v` were given."""
    return int(ctx.meta[_VERBOSE])


def log_format_option(command: F) -> F:
    """`--log-format`, for commands that serve; `log_as` takes it."""
    return setting(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: one object per line, for programs that read logs.",
    )(command)


def log_as(log_format: str) -> None:
    """What `--log-format` says."""
    if log_format == "json":
        from hootbus.bus.cli.json_log import JsonLines

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())


def show_notes() -> None:
    """For commands that serve: their log says what happens, also without `-v`."""
    log = logging.getLogger("hootbus")
    log.setLevel(min(log.level, logging.INFO))


def read_config(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Reads the TOML file of `--config` into click's map of defaults."""
    if path is None:
        return
    ctx.meta[_CONFIG] = os.path.abspath(path)
    ctx.default_map = _read(ctx, path)


def _read(ctx: click.Context, path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    assert isinstance(ctx.command, click.Group)
    return _defaults(ctx, ctx.command, found, path)


def read_again(ctx: click.Context) -> None:
    """Reads the settings file once more, for what can change in a command that serves: how much it logs.

    A flag and the environment go on preceding it. Raises UsageError, and changes nothing, for a file that is wrong.
    """
    root, path = ctx.find_root(), ctx.meta.get(_CONFIG)
    if path is None:
        return
    found = _read(root, path)
    sources = {each.get_parameter_source("verbose") for each in (root, ctx)}
    if not sources <= {ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}:
        return
    said = [found.get("verbose", 0), found.get(ctx.info_name or "", {}).get("verbose", 0)]
    if not all(isinstance(each, int) for each in said):
        raise click.UsageError(f"{path}: verbose is a whole number")
    logging.getLogger("hootbus").setLevel(min(_level(sum(said)), logging.INFO))


def _defaults(
    ctx: click.Context, group: click.Group, found: Mapping[str, Any], path: str, place: str = ""
) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for key, value in found.items():
        command = group.get_command(ctx, key) if isinstance(value, dict) else None
        if isinstance(command, click.Group):
            defaults[key] = _defaults(ctx, command, value, path, f"{place}{key}.")
        elif command is not None:
            defaults[key] = {
                _setting(command, name, path, f"[{place}{key}] "): _listed(inner) for name, inner in value.items()
            }
        else:
            tables = [f"[{place}{name}]" for name in group.list_commands(ctx)]
            defaults[_setting(group, key, path, f"[{place[:-1]}] " if place else "", tables)] = value
    return defaults


def _setting(command: click.Command, key: str, path: str, place: str, tables: Sequence[str] = ()) -> str:
    """The parameter that a key of the file is about. Raises UsageError for a word that none has: a typo, mostly."""
    named = {
        flag.removeprefix("--"): parameter.name or ""
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in parameter.opts
        if flag.startswith("--")
    }
    name = named.get(key.replace("_", "-"))
    if name is None:
        there = ", ".join(sorted(named)) or "none"
        if tables:
            there += f", and tables {', '.join(tables)}"
        raise click.UsageError(f"{path}: {place}{key} is no setting; there are {there}")
    return name


def _listed(value: object) -> object:
    """A table as the repeated NAME=VALUE that it would be on the command line."""
    return [f"{name}={inner}" for name, inner in value.items()] if isinstance(value, dict) else value
