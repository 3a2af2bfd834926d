"""`hoot recorder`: keeps events for those who come late."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from hootbus.bus.cli.output import print_ready
from hootbus.bus.cli.settings import (
    bus_options,
    interruptible,
    log_as,
    log_format_option,
    reporting,
    setting,
    show_notes,
)

if TYPE_CHECKING:
    from hootbus.frames.address import BusAddress

# As RecordingLimits has them; a test compares.
_PER_TOPIC: Final = 1_000
_TOPICS: Final = 10_000
_BYTES: Final = 256 * 1024 * 1024

_EPILOG: Final = """\b
Examples:
  hoot recorder                                     the last events of all topics
  hoot recorder --topic jobs. --topic logs.
  hoot recorder --per-topic 1                       last values alone
\b
Subscribers get them with Subscriber(..., replay=100) or latest=True, and
`hoot listen --replay 100`. Once it records, it writes one JSON line to stdout:
  {"ready":true,"service":"hoot.recorder","bus":"ipc:///...","pid":123}
`hoot call hoot.recorder/status` says what it has. Without a broker it waits for
one. SIGTERM and Ctrl-C end it, with exit status 0.
\b
All is kept in memory, and gone when it ends. Where a bound is reached, what has
been followed by newer events of its topic goes first, the oldest of it first.
"""


@click.command(epilog=_EPILOG)
@bus_options
@setting("--topic", multiple=True, metavar="PREFIX", help="Keep topics that begin like this; all if none is given.")
@setting(
    "--per-topic",
    type=click.IntRange(min=1),
    default=_PER_TOPIC,
    show_default=True,
    metavar="N",
    help="Events to keep of each topic.",
)
@setting(
    "--topics", type=click.IntRange(min=1), default=_TOPICS, show_default=True, metavar="N", help="Topics to keep."
)
@setting(
    "--bytes",
    "bytes",
    type=click.IntRange(min=1),
    default=_BYTES,
    show_default=True,
    metavar="N",
    help="Memory for all of them.",
)
@log_format_option
def recorder(
    bus: "BusAddress", topic: tuple[str, ...], per_topic: int, topics: int, bytes: int, log_format: str
) -> None:
    """Keep the last events of each topic, and serve them until stopped."""
    from hootbus.bus.attendant import Attendant
    from hootbus.bus.lifeline import hold_on
    from hootbus.bus.notify import take_notifier
    from hootbus.bus.recorder import Recorder
    from hootbus.bus.recording import RecordingLimits
    from hootbus.bus.recycling import Recycling

    log_as(log_format)
    show_notes()
    hold_on()
    # While it waits for a broker it is no worker yet, which has an end of its own for signals.
    interruptible()
    limits = RecordingLimits(topics=topics, events_per_topic=per_topic, bytes=bytes)
    worker = Recorder(bus, topic, limits=limits).worker
    attendant = Attendant(worker, take_notifier(), Recycling(), supervised=False)

    def ready() -> None:
        print_ready(service=worker.service, bus=bus.text, pid=os.getpid())
        attendant.begin()

    with reporting(), suppress(KeyboardInterrupt):
        worker.run(on_ready=ready)
