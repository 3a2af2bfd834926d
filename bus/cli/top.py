"""`hoot top`: a bus as it lives, until one has seen enough."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from hootbus.bus.cli.inspect import asking, timeout_option
from hootbus.bus.cli.output import print_json_line
from hootbus.bus.cli.settings import SECONDS, bus_options, interruptible, json_option, setting

if TYPE_CHECKING:
    from hootbus.bus.cli.rates import Look, Rates
    from hootbus.frames.address import BusAddress
    from hootbus.workers import Client

# What is done with the rates of each interval, None if no broker answers; and how the next one is waited for: False if
# nobody wants to see it.
Show = Callable[["Rates | None"], None]
Wait = Callable[[float], bool]

_INTERVAL_S: Final = 1.0
# Ctrl-D, too.
_QUIT: Final = frozenset(b"qQ\x04")
_KEYS_MAX: Final = 64

_EPILOG: Final = """\b
Examples:
  hoot top
  hoot top --once
  hoot top --interval 5 --json | jq .requests_per_s
\b
On a terminal it is drawn anew each interval; q or Ctrl-C ends it. In a pipe it
is a block of lines each interval, with --json a line. WAIT is the time until a
worker got a request, REPLY that until its reply: half of them took no longer
than the first figure, 95 of 100 no longer than the second.
"""


@click.command(epilog=_EPILOG)
@bus_options
@timeout_option
@setting(
    "--interval", type=SECONDS, default=_INTERVAL_S, show_default=True, metavar="S", help="Seconds between two looks."
)
@setting("--once", is_flag=True, help="One interval, and end.")
@json_option
def top(bus: "BusAddress", timeout: float, interval: float, once: bool, json: bool) -> None:
    """Watch a bus: rates, latencies, queues, workers and what is dropped."""
    from hootbus.bus.cli.rates import rates
    from hootbus.frames.errors import DeadlineExceeded
    from hootbus.workers import Client

    interruptible()
    live = sys.stdout.isatty() and not json and not once
    try:
        with asking(json), Client(bus.text) as client:
            before = _look(client, timeout)
            with _screen(bus.text) if live else _lines(json) as (show, wait):
                while wait(interval):
                    try:
                        now = _look(client, timeout)
                    except DeadlineExceeded:
                        if not live:
                            raise
                        # It may come back, and then there is something to see.
                        show(None)
                        continue
                    show(rates(before, now))
                    before = now
                    if once:
                        return
    except KeyboardInterrupt:
        # It is how one ends it.
        return


def _look(client: "Client", timeout: float) -> "Look":
    """What the broker says of itself now."""
    import msgspec

    from hootbus.bus.cli.rates import Latencies, Look, Service, Status, Worker
    from hootbus.frames.errors import UnknownMethod

    def ask(method: str) -> Any:  # noqa: ANN401  # JSON of the broker's
        return client.call(f"hoot.broker/{method}", timeout=timeout).json()

    status = msgspec.convert(ask("status"), Status)
    services = msgspec.convert(ask("services")["services"], tuple[Service, ...])
    workers = msgspec.convert(ask("workers")["workers"], tuple[Worker, ...])
    try:
        latencies = msgspec.convert(ask("latencies"), Latencies)
    except UnknownMethod:
        # An older broker does not count them.
        latencies = Latencies()
    return Look(time.monotonic(), status, services, workers, latencies)


@contextmanager
def _lines(json: bool) -> Iterator[tuple[Show, Wait]]:
    """For pipes."""
    from hootbus.bus.cli.top_view import print_block

    show = print_json_line if json else print_block
    yield show, lambda seconds: not threading.Event().wait(seconds)


@contextmanager
def _screen(bus: str) -> Iterator[tuple[Show, Wait]]:
    """For a terminal: it is as it was afterwards."""
    from rich.console import Console
    from rich.live import Live

    from hootbus.bus.cli.top_view import draw

    # What looks like a path or a number is in no colour of its own.
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live, _keys() as wait:
        live.update(f"{bus}: looking ...", refresh=True)
        yield lambda found: live.update(draw(found, bus, console.height), refresh=True), wait


@contextmanager
def _keys() -> Iterator[Wait]:
    """Waiting that ends with a key to quit; without a keyboard there is none. Keys come at once, and are not shown."""
    if not sys.stdin.isatty():
        yield lambda seconds: not threading.Event().wait(seconds)
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def wait(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([keyboard], [], [], left)[0]:
                continue
            keys = os.read(keyboard, _KEYS_MAX)
            if not keys or _QUIT.intersection(keys):
                return False
        return True

    try:
        tty.setcbreak(keyboard)
        yield wait
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
