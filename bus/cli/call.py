"""`hoot call`: one request from the shell."""

import sys
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from hootbus.bus.cli.bodies import given_body, plain, struct_type
from hootbus.bus.cli.completion import complete_target
from hootbus.bus.cli.output import print_json, print_json_line
from hootbus.bus.cli.settings import SECONDS, Failed, bus_options, interruptible, json_option, reporting, setting

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress
    from hootbus.schemas import StructType
    from hootbus.workers import Client, Gathered
    from hootbus.workers.content import Reply

_TIMEOUT_S: Final = 30.0
# What a broker may take to say who is there, when time was up.
_EXPLAIN_S: Final = 0.5

_EPILOG: Final = """\b
Examples:
  hoot call text/upper '{"text": "hi"}'
  hoot call text/upper @request.json                that file; - or @- is stdin
  hoot call text/count '{"to": 3}' --stream         one JSON line per item
  hoot call text/stats --gather                     one JSON line per worker
  hoot call image/thumbnail --raw photo.jpg > small.jpg
  hoot call audio/analyse '{"title": "a"}' --schema demo.capnp:AudioClip
  hoot call hoot.broker/status
\b
A method that takes Cap'n Proto takes JSON, too, and then answers with JSON:
its worker translates. With --schema the message is made here.
\b
The reply goes to stdout: JSON as JSON, raw bytes as they are, nothing for an
empty one. An error goes to stderr as `code: message` (with --json as a JSON
object), and the exit status is 1. Ctrl-C and SIGTERM cancel the request, also
in its handler; the exit status is 1 then, too.
"""


@click.command(epilog=_EPILOG)
@bus_options
@click.argument("target", metavar="SERVICE/METHOD", shell_complete=complete_target)
@click.argument("body", metavar="[JSON|@FILE|-]", required=False)
@setting("--raw", type=click.File("rb"), help="Send this file's bytes instead of JSON; - is stdin.")
@setting(
    "--schema",
    type=struct_type,
    metavar="FILE.capnp:TYPE",
    help="Send the JSON as a Cap'n Proto message of this type.",
)
@setting(
    "--timeout",
    type=SECONDS,
    default=_TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="Seconds until it must be answered.",
)
@setting("--idempotent", is_flag=True, help="It may be carried out twice: retried when a worker is lost.")
@setting("--wait", is_flag=True, help="Wait for a worker of the service to come.")
@setting("--stream", is_flag=True, help="Print the items of a streamed reply as they come, a line each.")
@setting("--gather", is_flag=True, help="Ask every worker of the service, and print each one's answer, a line each.")
@json_option
def call(
    bus: "BusAddress",
    target: str,
    body: str | None,
    raw: BinaryIO | None,
    schema: "StructType | None",
    timeout: float,
    idempotent: bool,
    wait: bool,
    stream: bool,
    gather: bool,
    json: bool,
) -> None:
    """Send one request and print its reply."""
    from hootbus.frames.errors import DeadlineExceeded
    from hootbus.workers import Client

    if gather and (stream or wait):
        raise click.UsageError("--gather asks those who are there, once: it goes with neither --stream nor --wait")
    content = given_body(body, raw, schema)
    failed = False
    # The end of the client cancels what is open, all the way to the handler.
    interruptible()
    with reporting(json), Client(bus.text) as client:
        try:
            if gather:
                for answer in client.gather(target, content, timeout=timeout, idempotent=idempotent):
                    failed = failed or answer.error is not None
                    _print_answer(answer, json)
            elif stream:
                for item in client.stream(target, content, timeout=timeout, idempotent=idempotent, wait=wait):
                    _print_item(item)
            else:
                reply = client.call(target, content, timeout=timeout, idempotent=idempotent, wait=wait)
                print_reply(reply, json)
        except DeadlineExceeded as error:
            if not wait or _is_offered(client, target):
                raise
            raise Failed(error.code, f"{error.message}; no worker offers {target!r}", as_json=json) from None
    if failed:
        # Each has been told in its line.
        sys.exit(1)


def _is_offered(client: "Client", target: str) -> bool:
    """Whether a worker could have taken the request; also if nobody can tell."""
    from hootbus.frames.errors import HootError

    try:
        services = client.call("hoot.broker/services", timeout=_EXPLAIN_S).json()["services"]
    except HootError:
        return True
    names = {target, target.rpartition("/")[0]}
    return any(service["name"] in names and service["workers"] for service in services)


def _print_item(item: "Reply") -> None:
    shown = plain(item)
    print_json_line(shown.get("body", shown))


def _print_answer(answer: "Gathered", json: bool) -> None:
    """A line for each worker, also for one that failed: `w3 …`, or with --json an object that says which."""
    shown: dict[str, object]
    if answer.error is not None:
        shown = {"error": {"code": answer.error.code, "message": answer.error.message}}
    else:
        shown = plain(answer)
    if json:
        print_json_line({"worker": answer.worker, **shown})
    else:
        click.echo(f"{answer.worker} ", nl=False)
        print_json_line(shown.get("body", shown))


def print_reply(reply: "Reply", json: bool) -> None:
    """A reply's body: JSON for eyes and programs, bytes for a pipe."""
    from hootbus.frames.protocol import ContentType

    shown = plain(reply)
    if "body" in shown:
        print_json(shown["body"])
    elif reply.content_type is ContentType.EMPTY:
        if json:
            print_json(None)
    elif json or sys.stdout.isatty():
        # Bytes would do a terminal no good.
        print_json(shown)
    else:
        click.echo(bytes(reply.raw), nl=False)
