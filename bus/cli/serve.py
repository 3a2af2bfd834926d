"""`hoot broker`: a broker in this process, until it is told to stop."""

import logging
import math
import os
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hootbus.bus.cli.output import print_facts, print_ready
from hootbus.bus.cli.settings import (
    SECONDS,
    Failed,
    address_options,
    log_as,
    log_format_option,
    own_key,
    read_again,
    reporting,
    setting,
    show_notes,
)

if TYPE_CHECKING:
    from hootbus.bus.broker import Broker
    from hootbus.bus.dialout import DialOut
    from hootbus.bus.limits import Limits
    from hootbus.bus.metrics_server import MetricsServer
    from hootbus.bus.security import Security
    from hootbus.frames.address import BusAddress

# How long a broker that has the address already may take to say who it is.
_WHO_S: Final = 3.0
_PORT_MAX: Final = 65_535
_LOG: Final = logging.getLogger("hootbus.broker")

_EPILOG: Final = """\b
Examples:
  hoot broker
  hoot broker --bus tcp://127.0.0.1:5580
  hoot broker --bus tcp://127.0.0.1:0           a free port; see the ready line
  hoot broker --connect 'text=tcp://127.0.0.1:7001;slots=2'
  hoot broker --bus tcp://10.0.0.5:5580 --key broker.key_secret --allow keys/
  hoot broker --limit queue_messages=500 --limit requests_per_client=100
  hoot broker --metrics 127.0.0.1:9464           for Prometheus
\b
It writes one JSON line to stdout once it serves:
  {"ready":true,"bus":"tcp://127.0.0.1:5580","pid":123}
Limits are counts, bytes and seconds (..._s): hoot broker --limit help
\b
SIGTERM and the first SIGINT (Ctrl-C) drain: what was accepted is finished,
nothing new is taken. A second SIGINT stops at once. SIGHUP reloads: `verbose`
is taken from the settings file anew.
"""


def _dial_out(text: str) -> "DialOut":
    from hootbus.bus.dialout import parse_dial_out

    try:
        return parse_dial_out(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise click.BadParameter(f"{text!r} is not HOST:PORT, as in 127.0.0.1:9464")
    return host, int(port)


def _limits(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> "Limits":
    """The broker's limits, those given changed. What is wrong with one is said with what there is."""
    import msgspec

    from hootbus.bus.limits import Limits

    defaults: dict[str, int | float] = msgspec.to_builtins(Limits())
    if given == ("help",):
        print_facts(list(defaults.items()))
        ctx.exit()
    changed: dict[str, int | float] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in defaults:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE of a limit; there are {', '.join(defaults)}")
        try:
            number = type(defaults[name])(value)
        except ValueError:
            number = -1
        if not 0 < number < math.inf:
            raise click.BadParameter(f"{text!r}: {value!r} is no positive {_kind(defaults[name])}")
        changed[name] = number
    try:
        return msgspec.structs.replace(Limits(), **changed)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _kind(default: float) -> str:
    return "whole number" if isinstance(default, int) else "number"


@click.command(epilog=_EPILOG)
@address_options
@setting("--default-service", metavar="NAME", default="", help="Takes requests for services that nobody offers.")
@setting(
    "--connect",
    type=_dial_out,
    metavar="NAME=ENDPOINT[;slots=N]",
    multiple=True,
    help="Dial a service that binds and waits. Repeatable.",
)
@setting(
    "--hootenanny-events",
    metavar="ENDPOINT",
    default="",
    help="Republish Broadcast events as bare frames, as Hootenanny's subscribers want them.",
)
@setting(
    "--request-timeout",
    type=SECONDS,
    metavar="S",
    show_default="3600",
    help="For requests without a deadline of their own.",
)
@setting("--drain-timeout", type=SECONDS, metavar="S", show_default="30", help="How long draining may take.")
@setting(
    "--limit",
    multiple=True,
    callback=_limits,
    metavar="NAME=VALUE",
    help="Change a bound; `--limit help` names them all. Repeatable.",
)
@setting(
    "--metrics",
    type=_host_and_port,
    metavar="HOST:PORT",
    help="Serve /metrics for Prometheus, /livez and /readyz over HTTP.",
)
@own_key("The broker's own key. With it everything is encrypted, and only keys of --allow are let in.")
@setting(
    "--allow",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Public keys (NAME.key) that are let in; read again when it changes.",
)
@setting(
    "--rights",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.toml",
    help="What each key may do; read again when it changes.",
)
@setting("--insecure", is_flag=True, help="Serve an address that other machines reach, without keys.")
@log_format_option
@click.pass_context
def broker(
    ctx: click.Context,
    bus: "BusAddress",
    default_service: str,
    connect: "tuple[DialOut, ...]",
    hootenanny_events: str,
    request_timeout: float | None,
    drain_timeout: float | None,
    limit: "Limits",
    metrics: tuple[str, int] | None,
    key: str | None,
    allow: str | None,
    rights: str | None,
    insecure: bool,
    log_format: str,
) -> None:
    """Start a broker, and serve until stopped."""
    import msgspec

    from hootbus.bus.broker import Broker
    from hootbus.bus.guard import CannotServe
    from hootbus.bus.lifeline import hold_on
    from hootbus.bus.notify import take_notifier

    log_as(log_format)
    show_notes()
    hold_on()
    if request_timeout is not None:
        limit = msgspec.structs.replace(limit, request_timeout_s=request_timeout)
    if drain_timeout is not None:
        limit = msgspec.structs.replace(limit, drain_timeout_s=drain_timeout)
    if bool(key) != bool(allow) or (rights and not key):
        raise click.UsageError(
            "a broker with keys needs both, --key (its own; HOOT_KEY counts) and --allow (the folder of the others')"
        )
    with reporting():
        served = Broker(
            bus,
            limits=limit,
            default_service=default_service,
            connect=connect,
            hootenanny_events=hootenanny_events,
            insecure=insecure,
            security=_security(key, allow, rights) if key and allow else None,
            notifier=take_notifier(),
        )
    served.on_reload(partial(read_again, ctx))
    _obey_signals(served)
    with reporting(), ExitStack() as stack:
        facts = {}
        if metrics is not None:
            facts["metrics"] = stack.enter_context(_metrics_server(served, *metrics, insecure=insecure)).url
        try:
            served.run(on_ready=lambda address: _say_ready(address, facts))
        except CannotServe as error:
            if (pid := _who_serves(bus)) is not None:
                raise Failed("cannot_serve", f"a broker already serves {bus.text} (pid {pid})") from None
            raise error from None


def _security(key: str, allow: str, rights: str | None) -> "Security":
    """Raises KeysError for files that are not in order."""
    from hootbus.bus.keyring import Keyring
    from hootbus.bus.security import Security
    from hootbus.frames.keys import Keys

    return Security(Keys.load(key), Keyring(Path(allow), Path(rights) if rights else None))


def _obey_signals(served: "Broker") -> None:
    from hootbus.bus.hangup import Terminal

    terminal = Terminal()
    interrupted = False

    def drain(number: int, frame: object) -> None:
        served.drain()

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupted
        if interrupted:
            served.stop()
        else:
            interrupted = True
            served.drain()

    def hang_up(number: int, frame: object) -> None:
        if terminal.is_gone():
            served.drain()
        else:
            served.reload()

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGHUP, hang_up)
    signal.signal(signal.SIGINT, interrupt)


def _metrics_server(served: "Broker", host: str, port: int, *, insecure: bool) -> "MetricsServer":
    try:
        from hootbus.bus.metrics_server import MetricsServer
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        raise Failed("cannot_serve", "metrics need prometheus_client: pip install 'hootbus[metrics]'") from None
    return MetricsServer(served, host, port, insecure=insecure)


def _say_ready(address: "BusAddress", facts: dict[str, str]) -> None:
    _LOG.info("serving %s", address.text)
    print_ready(bus=address.text, pid=os.getpid(), **facts)


def _who_serves(bus: "BusAddress") -> int | None:
    """The pid of the broker that answers at a tcp address; of an ipc one the lock file has told already."""
    if not bus.port:
        return None
    from hootbus.frames.errors import HootError
    from hootbus.frames.keys import NO_KEYS
    from hootbus.workers import Client

    logging.getLogger("hootbus").setLevel(logging.ERROR)
    try:
        with Client(bus.text, keys=NO_KEYS) as client:
            return int(client.call("hoot.broker/status", timeout=_WHO_S).json()["pid"])
    except (HootError, KeyError, TypeError, ValueError):
        return None
