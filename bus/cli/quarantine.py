"""`hoot quarantine list | show | retry | drop`: requests that took down their workers."""

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

import click

from hootbus.bus.cli.call import print_reply
from hootbus.bus.cli.inspect import ask_broker, duration
from hootbus.bus.cli.output import print_facts, print_json, print_table
from hootbus.bus.cli.settings import SECONDS, bus_options, interruptible, json_option, reporting, setting

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

_TIMEOUT_S: Final = 3.0
_RETRY_S: Final = 30.0
# Of a body that is no JSON, for a look at how it begins.
_SHOWN_BYTES: Final = 64

_EPILOG: Final = """\b
Examples:
  hoot quarantine list
  hoot quarantine show q1
  hoot quarantine retry q1
  hoot quarantine drop --all
"""

_timeout_option = setting(
    "--timeout",
    type=SECONDS,
    default=_TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the broker.",
)


@click.group(epilog=_EPILOG)
def quarantine() -> None:
    """Requests that took down the workers which tried them.

    The broker keeps them, and hands none of them to another worker unless it is told to.
    """


@quarantine.command(name="list", epilog="\b\nExamples:\n  hoot quarantine list --json | jq -r '.requests[].id'")
@bus_options
@_timeout_option
@json_option
def list_all(bus: "BusAddress", timeout: float, json: bool) -> None:
    """What is in quarantine, the oldest first."""
    answer = ask_broker(bus, "hoot.quarantine/list", None, timeout, json)
    if json:
        print_json(answer)
        return
    rows = [
        (each["id"], each["service"], _size(each), each["strikes"], duration(each["ageSecs"]), _state(each))
        for each in answer["requests"]
    ]
    columns = ("id", "service", "body", "strikes", "age", "state")
    print_table(columns, rows, empty="nothing is in quarantine")


@quarantine.command(epilog="\b\nExamples:\n  hoot quarantine show q1\n  hoot quarantine show q1 --json")
@click.argument("name", metavar="ID")
@bus_options
@_timeout_option
@json_option
def show(bus: "BusAddress", name: str, timeout: float, json: bool) -> None:
    """One of them, with its body."""
    answer = ask_broker(bus, "hoot.quarantine/show", {"id": name}, timeout, json)
    if json:
        print_json(answer)
        return
    request = answer["request"]
    print_facts(
        [
            ("id", request["id"]),
            ("service", request["service"]),
            ("body", _size(request)),
            ("attachments", answer["attachments"]),
            ("strikes", f"{request['strikes']} workers went down with it"),
            ("age", duration(request["ageSecs"])),
            ("state", _state(request)),
        ]
    )
    body = base64.b64decode(answer["body"])
    if body:
        click.echo(_readable(body, request["contentType"]))


@quarantine.command(epilog="\b\nExamples:\n  hoot quarantine retry q1\n  hoot quarantine retry q1 --timeout 300")
@click.argument("name", metavar="ID")
@bus_options
@setting(
    "--timeout",
    type=SECONDS,
    default=_RETRY_S,
    show_default=True,
    metavar="S",
    help="Seconds that it may take.",
)
@json_option
def retry(bus: "BusAddress", name: str, timeout: float, json: bool) -> None:
    """Have one carried out once more, and print its reply.

    If that succeeds it leaves quarantine; if it takes down another worker it stays there.
    """
    from hootbus.workers import Client

    # The end of the client cancels what is open, all the way to the handler.
    interruptible()
    with reporting(json), Client(bus.text) as client:
        print_reply(client.call("hoot.quarantine/retry", {"id": name}, timeout=timeout), json)


@quarantine.command(epilog="\b\nExamples:\n  hoot quarantine drop q1 q2\n  hoot quarantine drop --all")
@click.argument("names", metavar="ID...", nargs=-1)
@setting("--all", is_flag=True, help="Every one of them.")
@bus_options
@_timeout_option
@json_option
def drop(
    bus: "BusAddress",
    names: tuple[str, ...],
    all: bool,
    timeout: float,
    json: bool,
) -> None:
    """Forget some of them, or all. Who asked for them may then ask again."""
    if bool(names) == all:
        raise click.UsageError("say which by their IDs, or --all")
    asked: list[dict[str, Any]] = [{"all": True}] if all else [{"id": each} for each in names]
    dropped = sum(ask_broker(bus, "hoot.quarantine/drop", each, timeout, json)["dropped"] for each in asked)
    if json:
        print_json({"dropped": dropped})
    else:
        click.echo(f"{dropped} dropped")


def _size(request: dict[str, Any]) -> str:
    return f"{request['bytes']} bytes of {request['contentType']}"


def _state(request: dict[str, Any]) -> str:
    if request["retrying"]:
        return "retrying"
    return "kept" if request["held"] else "without body"


def _readable(body: bytes, content_type: str) -> str:
    """JSON as such, all else as hexadecimal digits: what peers sent must not reach a terminal as it is."""
    if content_type == "json":
        try:
            return json.dumps(json.loads(body), indent=2)
        except ValueError:
            # What its worker made of that may be what took it down.
            pass
    digits = binascii.hexlify(body[:_SHOWN_BYTES], " ", 4).decode()
    return digits if len(body) <= _SHOWN_BYTES else f"{digits} ..."
