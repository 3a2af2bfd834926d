"""`hoot doctor`: is this machine set up right."""

from typing import TYPE_CHECKING, Final

import click

from hootbus.bus.cli.output import print_json
from hootbus.bus.cli.settings import bus_options, json_option

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}

_EPILOG: Final = """\b
Examples:
  hoot doctor
  hoot doctor --bus tcp://127.0.0.1:5580
  hoot doctor --json | jq '.checks[] | select(.state != "ok")'
\b
Exit status 1 if a check fails; a warning (a missing broker is one) is none.
"""


@click.command(epilog=_EPILOG)
@bus_options
@json_option
def doctor(bus: "BusAddress", json: bool) -> None:
    """Check this machine, the bus address, and whether a broker is there."""
    import logging

    from hootbus.bus.doctor import State, examine

    # Its findings say what the log would.
    logging.getLogger("hootbus").setLevel(logging.ERROR)
    checks = examine(bus)
    if json:
        print_json({"bus": bus.text, "checks": checks})
    else:
        click.echo(f"bus address {bus.text}")
        for check in checks:
            label = click.style(f"{check.state:<4}", fg=_COLOURS[check.state])
            click.echo(f"{label}  {check.name}: {check.finding}")
            if check.advice:
                click.echo(f"      -> {check.advice}")
    if any(check.state is State.FAIL for check in checks):
        click.get_current_context().exit(1)
