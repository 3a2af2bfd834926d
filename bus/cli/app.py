"""`hoot` itself: its commands by name, the settings they share, and how it ends.

A command's module is imported when it is called for, and imports what it works with when it runs: `hoot --help` is
to be there at once.
"""

import errno
import importlib
import os
import sys
from typing import Final

import click

from hootbus.bus.cli.settings import bus_address, configure_logging, read_config, remember_bus, setting

_EPILOG: Final = """\b
Try it, each line in a terminal of its own:
  hoot broker
  hoot worker worker:worker
  hoot call text/upper '{"text": "hi"}'
  hoot status
\b
Settings: flag, then environment (HOOT_BUS for the bus, HOOT_CALL_TIMEOUT for
the --timeout of call; --help names each), then the TOML file of --config, then
the default. In that file a command's settings are a table of its name:
  bus = "tcp://127.0.0.1:5580"
  [call]
  timeout = 5
\b
Exit status: 0 done, 1 failed, 2 wrong usage. Data goes to stdout, all else to
stderr.
"""

_COMMANDS: Final = {
    "broker": "hootbus.bus.cli.serve:broker",
    "worker": "hootbus.bus.cli.work:worker",
    "call": "hootbus.bus.cli.call:call",
    "publish": "hootbus.bus.cli.events:publish",
    "listen": "hootbus.bus.cli.events:listen",
    "recorder": "hootbus.bus.cli.record:recorder",
    "status": "hootbus.bus.cli.inspect:status",
    "services": "hootbus.bus.cli.inspect:services",
    "workers": "hootbus.bus.cli.inspect:workers",
    "top": "hootbus.bus.cli.top:top",
    "quarantine": "hootbus.bus.cli.quarantine:quarantine",
    "ping": "hootbus.bus.cli.inspect:ping",
    "keys": "hootbus.bus.cli.keys:keys",
    "doctor": "hootbus.bus.cli.examine:doctor",
    "schema": "hootbus.bus.cli.schema:schema",
    "demo": "hootbus.bus.cli.show:demo",
    "completion": "hootbus.bus.cli.completion:completion",
}


class _Commands(click.Group):
    """Commands in the order one meets them, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command), place
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has seen enough, as in `hoot listen | head`.
            _forget_output()
            return 0


def _forget_output() -> None:
    """What is left in the buffer is not tried again by the interpreter as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"hoot {version('hootbus')}")
        ctx.exit()


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"auto_envvar_prefix": "HOOT"})
@setting(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="TOML file with settings.",
)
@setting(
    "--bus",
    type=bus_address,
    expose_value=False,
    callback=remember_bus,
    metavar="ADDRESS",
    help="As --bus of each command.",
)
@setting("--verbose", "-v", count=True, expose_value=False, callback=configure_logging, help="Log more to stderr.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    allow_from_autoenv=False,
    callback=_version,
    help="Print the version.",
)
def hoot() -> None:
    """A message bus: ZeroMQ moves the messages, Cap'n Proto bodies are read where they arrive.

    One broker, any number of workers that answer requests, clients that send them, and events for everybody.
    """


def main() -> None:
    """The entry point of the script `hoot`."""
    sys.exit(_run())


def _run() -> int:
    """The exit status."""
    try:
        status = hoot.main(prog_name="hoot", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 1
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            click.echo(f"Error: {error.strerror}", err=True)
            return 1
        if error.errno != errno.ENOSPC:
            raise
        # Standard output is a file on a full disk; the rest of it must not be tried again by the interpreter.
        _forget_output()
        click.echo(f"Error: cannot write: {error.strerror}", err=True)
        return 1
    return status if isinstance(status, int) else 0
