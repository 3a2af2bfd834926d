"""`hoot publish` and `hoot listen`: events from and for the shell."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from hootbus.bus.cli.bodies import given_body, plain, schema_file, struct_type
from hootbus.bus.cli.output import print_json_line
from hootbus.bus.cli.settings import SECONDS, Failed, bus_options, interruptible, json_option, reporting, setting

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress
    from hootbus.schemas import StructType
    from hootbus.workers import Event, Subscriber

_TIMEOUT_S: Final = 5.0
# What a request for a replay can say, in 32 bits.
_REPLAY_MAX: Final = 2**32 - 1

_PUBLISH_EPILOG: Final = """\b
Examples:
  hoot publish jobs.done '{"id": 7}'
  hoot publish jobs.done @done.json     that file; - or @- is stdin
  hoot publish frames.camera --raw picture.jpg
"""
_LISTEN_EPILOG: Final = """\b
Examples:
  hoot listen                         everything
  hoot listen jobs. logs.             topics that begin with one of these
  hoot listen jobs. --count 1 | jq .body
  hoot listen jobs. --replay 10       the last ten of each topic come first
\b
One JSON line per event: topic, sequence, time (seconds since 1970), publisher,
content_type, and body (or base64, where it is neither JSON nor a message of a
known schema); missed, if events before this one were lost; replayed, if it comes
from the recorder. "listening" on stderr says that nothing is missed from then
on. --replay and --latest need a recorder (hoot recorder).
Without a broker it waits for one; with --timeout it fails if none comes.
Ctrl-C ends it, with exit status 0.
"""


@click.command(epilog=_PUBLISH_EPILOG)
@bus_options
@click.argument("topic")
@click.argument("body", metavar="[JSON|@FILE|-]", required=False)
@setting("--raw", type=click.File("rb"), help="Publish this file's bytes instead of JSON; - is stdin.")
@setting(
    "--schema",
    type=struct_type,
    metavar="FILE.capnp:TYPE",
    help="Publish the JSON as a Cap'n Proto message of this type.",
)
@setting(
    "--timeout", type=SECONDS, default=_TIMEOUT_S, show_default=True, metavar="S", help="Seconds to wait for a broker."
)
@json_option
def publish(
    bus: "BusAddress",
    topic: str,
    body: str | None,
    raw: BinaryIO | None,
    schema: "StructType | None",
    timeout: float,
    json: bool,
) -> None:
    """Publish one event. It is on its way to every subscriber when this returns.

    With --json, prints the topic.
    """
    from hootbus.workers import Publisher

    content = given_body(body, raw, schema)
    with reporting(json), Publisher(bus.text) as publisher:
        publisher.publish(topic, content, timeout=timeout)
    if json:
        print_json_line({"topic": topic})


@click.command(epilog=_LISTEN_EPILOG)
@bus_options
@click.argument("topics", metavar="[TOPIC]...", nargs=-1)
@setting("--count", type=click.IntRange(min=1), help="End after so many events.")
@setting("--timeout", type=SECONDS, metavar="S", help="End after so many seconds; with --count, fail then.")
@setting(
    "--replay",
    type=click.IntRange(0, _REPLAY_MAX),
    default=0,
    metavar="N",
    help="Begin with the last N events of each topic.",
)
@setting("--latest", is_flag=True, help="Begin with the last event of each topic.")
@setting(
    "--schema",
    type=schema_file,
    metavar="FILE.capnp",
    multiple=True,
    help="Show Cap'n Proto bodies of this file's types as JSON. Repeatable.",
)
def listen(
    bus: "BusAddress",
    topics: tuple[str, ...],
    count: int | None,
    timeout: float | None,
    replay: int,
    latest: bool,
    schema: tuple[str, ...],
) -> None:
    """Print events as JSON lines, until Ctrl-C."""
    from hootbus.workers import Subscriber

    interruptible()
    until = None if timeout is None else time.monotonic() + timeout
    seen = 0
    made = Subscriber(*topics, address=bus.text, replay=replay, latest=latest)
    with reporting(), suppress(KeyboardInterrupt), closing(made) as subscriber:
        try:
            subscriber.ready(timeout)
        except TimeoutError:
            raise Failed("deadline_exceeded", f"no broker at {bus.text} within {timeout} s") from None
        click.echo("listening", err=True)
        for event in _events(subscriber, until):
            print_json_line(_shown(event))
            seen += 1
            if seen == count:
                return
        if count is not None:
            raise Failed("deadline_exceeded", f"{seen} of {count} events within {timeout} s")


def _events(subscriber: "Subscriber", until: float | None) -> "Iterator[Event]":
    """The events until time is up."""
    with suppress(TimeoutError):
        while True:
            yield subscriber.receive(None if until is None else until - time.monotonic())


def _shown(event: "Event") -> dict[str, object]:
    shown: dict[str, object] = {
        "topic": event.topic,
        "sequence": event.sequence,
        "time": event.time_ns / 1e9,
        "publisher": f"{event.publisher:016x}",
    }
    if event.missed:
        shown["missed"] = event.missed
    if event.replayed:
        shown["replayed"] = True
    return shown | plain(event)
