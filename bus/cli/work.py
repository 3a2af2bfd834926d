"""`hoot worker`: a worker in this process, or several processes of it under supervision."""

import os
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from hootbus.bus.cli.output import print_ready
from hootbus.bus.cli.settings import (
    SECONDS,
    Failed,
    address_options,
    forget_settings,
    key_options,
    log_as,
    log_format_option,
    reporting,
    setting,
    show_notes,
    use_keys,
    verbosity,
)
from hootbus.bus.lifeline import CANNOT_BEGIN

if TYPE_CHECKING:
    from hootbus.bus.notify import Notifier
    from hootbus.bus.recycling import Recycling
    from hootbus.frames.address import BusAddress

_DRAIN_TIMEOUT_S: Final = 30.0

_EPILOG: Final = """\b
Examples:
  hoot worker worker:worker           `worker = Worker("text")` in ./worker.py
  hoot worker myapp.audio:worker -n 4
\b
MODULE is looked for in the current folder first. Each process writes a JSON
line to stdout once the broker has taken it in:
  {"ready":true,"service":"text","bus":"ipc:///run/user/1000/hootbus","pid":123}
Without a broker it waits for one. SIGTERM and the first SIGINT (Ctrl-C) drain:
what runs is finished, nothing new is taken. A second SIGINT stops at once.
With -n, processes that die are started again, ever more slowly while they keep
dying, and the broker is told of each death at once; SIGHUP replaces one after
the other by a new process, which serves before the old one drains.
\b
Recycling: a process that has reached a bound, looked at once a second, is
replaced likewise; without -n it drains and ends with status 0.
"""


class _CannotBegin(Failed):
    exit_code = CANNOT_BEGIN


@click.command(epilog=_EPILOG)
@address_options
@key_options
@click.argument("target", metavar="MODULE:OBJECT")
@setting("-n", "--processes", type=click.IntRange(1, 1024), help="So many processes, restarted when they die.")
@setting(
    "--drain-timeout",
    type=SECONDS,
    default=_DRAIN_TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="Seconds to finish what runs when stopping.",
)
@log_format_option
@setting(
    "--recycle-requests",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replace a process that has had so many requests.",
)
@setting(
    "--recycle-mb",
    type=click.IntRange(min=1),
    metavar="MB",
    help="Replace a process that has more memory in use, in millions of bytes.",
)
@click.pass_context
def worker(
    ctx: click.Context,
    bus: "BusAddress",
    key: str | None,
    broker_key: str | None,
    target: str,
    processes: int | None,
    drain_timeout: float,
    recycle_requests: int | None,
    recycle_mb: int | None,
    log_format: str,
) -> None:
    """Attach a worker to the bus, and serve until stopped."""
    from hootbus.bus.attach import taken_identity
    from hootbus.bus.lifeline import hold_on
    from hootbus.bus.notify import take_notifier
    from hootbus.bus.recycling import Recycling

    log_as(log_format)
    show_notes()
    hold_on()
    identity = taken_identity()
    notifier = take_notifier()
    if processes is not None:
        from hootbus.bus.processes import hoot
        from hootbus.bus.supervisor import Supervisor
        from hootbus.frames.keys import NO_KEYS, Keys

        # The same again, for one process. It must not supervise in turn.
        forget_settings(ctx)
        keys = ["--key", key, "--broker-key", broker_key] if key and broker_key else []
        options = ["--bus", bus.text, *keys, "--drain-timeout", str(drain_timeout), "--log-format", log_format]
        options += ["-v"] * verbosity(ctx)
        options += ["--recycle-requests", str(recycle_requests)] if recycle_requests is not None else []
        options += ["--recycle-mb", str(recycle_mb)] if recycle_mb is not None else []
        command = hoot("worker", *options, "--", target)
        with reporting():
            own = Keys.load(key, broker_key) if key and broker_key else NO_KEYS
        supervisor = Supervisor(command, processes, bus, drain_timeout_s=drain_timeout, keys=own, notifier=notifier)
        ctx.exit(supervisor.run())
    use_keys(key, broker_key)
    given = ctx.get_parameter_source("drain_timeout") is not ParameterSource.DEFAULT
    recycling = Recycling(requests=recycle_requests or 0, mb=recycle_mb or 0)
    _attach(target, bus, drain_timeout if given else None, identity, notifier, recycling)


def _attach(
    target: str,
    bus: "BusAddress",
    drain_timeout: float | None,
    identity: bytes | None,
    notifier: "Notifier",
    recycling: "Recycling",
) -> None:
    from hootbus.bus.attach import CannotAttach, find_worker
    from hootbus.bus.attendant import Attendant

    # For whatever else the program has: its own clients and publishers find the same bus.
    os.environ["HOOT_BUS"] = bus.text
    try:
        found = find_worker(target)
    except CannotAttach as error:
        # A supervisor is told that trying again would not help.
        kind = Failed if identity is None else _CannotBegin
        hint = "; a module is named without .py" if target.partition(":")[0].endswith(".py") else ""
        raise kind("cannot_attach", f"{error}{hint}") from None
    attendant = Attendant(found, notifier, recycling, supervised=identity is not None)

    def ready() -> None:
        print_ready(service=found.service, bus=bus.text, pid=os.getpid())
        attendant.begin()

    with reporting():
        found.run(bus.text, drain_timeout=drain_timeout, identity=identity, on_ready=ready)
