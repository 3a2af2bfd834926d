"""`hoot status | services | workers | ping`: what the broker says of itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from hootbus.bus.cli.output import print_facts, print_json, print_json_line, print_table
from hootbus.bus.cli.settings import SECONDS, Failed, bus_options, json_option, reporting, setting, verbosity

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

_TIMEOUT_S: Final = 3.0
_PING_INTERVAL_S: Final = 0.2
_MS_PER_S: Final = 1000.0

timeout_option = setting(
    "--timeout",
    type=SECONDS,
    default=_TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the broker.",
)


@click.command(epilog="\b\nExamples:\n  hoot status\n  hoot status --json | jq .dropped")
@bus_options
@timeout_option
@json_option
def status(bus: "BusAddress", timeout: float, json: bool) -> None:
    """What the broker is doing, and what it counted since it started."""
    answer = _ask(bus, "status", timeout, json)
    if json:
        print_json(answer)
        return
    print_facts(
        [
            ("bus", bus.text),
            ("state", answer["state"]),
            ("pid", answer["pid"]),
            ("version", answer["version"]),
            ("up", duration(answer["uptimeSecs"])),
            ("services", answer["services"]),
            ("workers", answer["workers"]),
            ("in flight", answer["inFlight"]),
            ("queued", f"{answer['queued']} requests, {answer['heldBytes']} bytes held"),
            ("counted", _counts(answer["counters"])),
            ("errors", _counts(answer["errors"])),
            ("failures", _counts(answer["failures"])),
            ("dropped", _counts(answer["dropped"])),
            ("reached", _counts(answer["reached"])),
        ]
    )


@click.command(
    epilog="\b\nExamples:\n  hoot services\n  hoot services -v\n  hoot services --json | jq -r '.services[].name'"
)
@bus_options
@timeout_option
@json_option
@click.pass_context
def services(ctx: click.Context, bus: "BusAddress", timeout: float, json: bool) -> None:
    """The services on the bus: their workers, free slots, queues and methods.

    With -v the versions of their types that workers speak instead: of each version, how many have it, and the types of
    each method with the fingerprints that tell versions apart. GATE counts, for the whole service, workers whose schema
    is being judged, those that were refused, and those that were let in unjudged (--insecure). DROPPED are its messages
    that went no further, by reason; those that belong to no service are in `hoot status` alone.
    """
    answer = _ask(bus, "services", timeout, json)
    if json:
        print_json(answer)
        return
    if verbosity(ctx):
        _print_versions(answer["services"])
        return
    rows = [
        (
            *(service[name] for name in ("name", "workers", "slots", "free", "queued", "requests", "errors")),
            " ".join(service["methods"]) or "-",
        )
        for service in answer["services"]
    ]
    columns = ("service", "workers", "slots", "free", "queued", "requests", "errors", "methods")
    print_table(columns, rows, empty="no services: attach one with `hoot worker MODULE:OBJECT`")


def _print_versions(services: list[dict[str, Any]]) -> None:
    """A line for each method of each version; what is not typed has one, too."""
    rows = []
    for service in services:
        gate = f"{service['pending']} pending, {service['refused']} refused"
        # A broker of an older version says nothing of it.
        if service.get("unjudged"):
            gate += f", {service['unjudged']} unjudged"
        counts = (gate, _counts(service["dropped"]))
        typed = {method["name"] for version in service["versions"] for method in version["methods"]}
        for version in service["versions"]:
            for method in version["methods"]:
                rows.append(
                    (
                        service["name"],
                        version["workers"],
                        method["name"],
                        _type(method["request"], method["requestFingerprint"]),
                        _type(method["reply"], method["replyFingerprint"]),
                        *counts,
                    )
                )
        untyped = [name for name in service["methods"] if name not in typed]
        if untyped or not typed:
            rows.append((service["name"], service["workers"], " ".join(untyped) or "-", "-", "-", *counts))
    columns = ("service", "workers", "method", "request", "reply", "gate", "dropped")
    print_table(columns, rows, empty="no services: attach one with `hoot worker MODULE:OBJECT`")


def _type(name: str, fingerprint: str) -> str:
    return f"{name} {fingerprint}" if int(fingerprint, 16) else "-"


@click.command(epilog="\b\nExamples:\n  hoot workers\n  hoot workers --json | jq '.workers[].pid'")
@bus_options
@timeout_option
@json_option
def workers(bus: "BusAddress", timeout: float, json: bool) -> None:
    """The workers on the bus: which service, how busy, and since when."""
    answer = _ask(bus, "workers", timeout, json)
    if json:
        print_json(answer)
        return
    rows = [
        (
            worker["id"] or "-",
            worker["service"],
            worker["state"],
            worker["pid"] or "-",
            worker["hostname"] or "-",
            f"{worker['inFlight']}/{worker['slots']}",
            worker["done"],
            duration(worker["connectedSecs"]),
            worker["name"] or "-",
        )
        for worker in answer["workers"]
    ]
    columns = ("id", "service", "state", "pid", "host", "busy", "done", "attached", "name")
    print_table(columns, rows, empty="no workers: attach one with `hoot worker MODULE:OBJECT`")


@click.command(epilog="\b\nExamples:\n  hoot ping\n  hoot ping --count 100 --json\n  hoot ping && echo there")
@bus_options
@timeout_option
@setting("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many times.")
@json_option
def ping(bus: "BusAddress", timeout: float, count: int, json: bool) -> None:
    """Is the broker there, and how far away."""
    from hootbus.workers import Client

    with asking(json), Client(bus.text) as client:
        for number in range(count):
            if number:
                time.sleep(_PING_INTERVAL_S)
            took_ms = client.ping(timeout=timeout) * _MS_PER_S
            if json:
                print_json_line({"bus": bus.text, "ms": round(took_ms, 3)})
            else:
                click.echo(f"{bus.text}  {took_ms:.2f} ms")


def _ask(bus: "BusAddress", method: str, timeout: float, json: bool) -> Any:  # noqa: ANN401  # JSON of the broker's
    return ask_broker(bus, f"hoot.broker/{method}", None, timeout, json)


def ask_broker(bus: "BusAddress", target: str, body: object, timeout: float, json: bool) -> Any:  # noqa: ANN401  # as above
    """What one of the broker's own services answers."""
    from hootbus.workers import Client

    with asking(json), Client(bus.text) as client:
        return client.call(target, body, timeout=timeout).json()


@contextmanager
def asking(json: bool) -> Iterator[None]:
    """As `reporting`; where no broker answers it says what to do."""
    from hootbus.frames.errors import DeadlineExceeded

    with reporting(json):
        try:
            yield
        except DeadlineExceeded as error:
            hint = "start one with `hoot broker`, or say where it is with --bus"
            raise Failed(error.code, f"{error.message}; {hint}", as_json=json) from None


def duration(seconds: int) -> str:
    """For eyes, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds} s"


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items() if count) or "none"
