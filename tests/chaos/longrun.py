"""The broker's memory over a long time: millions of messages, thousands of connections, and a client that never reads.

`make longrun` runs it at length; `make check` a little. It prints what it has sampled, and says whether memory is flat:
the slope of a line through the second half of the samples, in bytes for each message, and for each connection.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.crowd.procfs import descriptors
from benchmarks.crowd.requests import requester
from benchmarks.crowd.workers import crowd as answering
from benchmarks.crowd.workers import service_name
from benchmarks.processes import rss_bytes
from chaos import crowd
from chaos.stage import Stage
from cli.shell import until

_BODY_BYTES: Final = 200
_IN_FLIGHT: Final = 100
_CLIENTS: Final = 250
_NEVER_READ: Final = 2_000
_KIBIBYTE: Final = 1024
# What a leak of one byte for each message would be, which no allocator's unrest is; and of one for a connection.
_FLAT_PER_MESSAGE: Final = 1.0
_FLAT_PER_CONNECT: Final = 256.0
_WARM: Final = 2
_PATIENCE_S: Final = 600.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run is: requests with their replies, connections that come and go, and how often to look."""

    messages: int = 10_000_000
    connects: int = 10_000
    samples: int = 30


class Sample(msgspec.Struct, frozen=True):
    """What the broker has at one moment, after so many messages and connections."""

    messages: int
    connects: int
    resident: int
    proportional: int
    descriptors: int
    held_bytes: int


class Ran(msgspec.Struct, frozen=True):
    """What came of it. Growth is from the first sample after the warm-up to the last."""

    per_message: float
    per_connect: float
    grown_bytes: int
    descriptors_left: int
    held_bytes: int

    @property
    def is_flat(self) -> bool:
        """Whether nothing grows with what passes."""
        quiet = self.descriptors_left <= 0 and not self.held_bytes
        return quiet and self.per_message < _FLAT_PER_MESSAGE and self.per_connect < _FLAT_PER_CONNECT


def long_run(run: Run, folder: Path, say: Callable[[str], object]) -> Ran:
    """A broker and its peers in processes of their own."""
    with Stage(folder, f"ipc://{folder}/b") as stage:
        broker = stage.start_broker()
        stage.start(answering, address=stage.address, services=1).answer()
        asker = stage.start(requester, address=stage.address, services=1)
        asker.answer()
        visitor = stage.start(crowd.visit, address=stage.address)
        visitor.answer()
        mute = stage.start(crowd.never_read, address=stage.address)
        mute.answer()
        beginning = descriptors(broker.pid)
        say(f"{'messages':>12}{'connects':>10}{'RSS KiB':>10}{'PSS KiB':>10}{'files':>7}{'held':>8}{'s':>8}")
        began = time.monotonic()

        def look(messages: int, connects: int) -> Sample:
            until(lambda: descriptors(broker.pid) <= beginning, "connections are closed")
            held = stage.ask_broker("status")["heldBytes"]
            # The question's own connection, too.
            until(lambda: descriptors(broker.pid) <= beginning, "connections are closed")
            found = Sample(
                messages, connects, rss_bytes(broker.pid), _pss_bytes(broker.pid), descriptors(broker.pid), held
            )
            say(
                f"{found.messages:>12}{found.connects:>10}{found.resident // _KIBIBYTE:>10}"
                f"{found.proportional // _KIBIBYTE:>10}{found.descriptors:>7}{found.held_bytes:>8}"
                f"{time.monotonic() - began:>8.0f}"
            )
            return found

        passing: list[Sample] = []
        visiting: list[Sample] = []
        for number in range(1, run.samples + 1):
            # What it does not take in is kept for it up to a bound, and dropped beyond.
            mute.ask(requests=_NEVER_READ, service=service_name(0))
            requests = run.messages // (2 * run.samples)
            asker.ask(_PATIENCE_S, do="count", bytes=_BODY_BYTES, in_flight=_IN_FLIGHT, requests=requests)
            # Each is a message in and one out.
            passing.append(look(2 * requests * number, 0))
        for number in range(1, run.samples + 1):
            left = run.connects // run.samples
            while left > 0:
                clients = min(left, _CLIENTS)
                asked = visitor.ask(clients=clients, requests=1, service=service_name(0), rudely=number % 2 == 0)
                assert asked["right"] == clients
                left -= clients
            visiting.append(look(passing[-1].messages, run.connects // run.samples * number))
        last = visiting[-1]
        warm = passing[len(passing) // _WARM]
        return Ran(
            per_message=_slope([(float(sample.messages), sample.resident) for sample in passing]),
            per_connect=_slope([(float(sample.connects), sample.resident) for sample in visiting]),
            grown_bytes=last.resident - warm.resident,
            descriptors_left=last.descriptors - beginning,
            held_bytes=last.held_bytes,
        )


def _slope(samples: list[tuple[float, int]]) -> float:
    """Bytes for each, by the line through what was sampled after the warm-up."""
    warm = samples[len(samples) // _WARM :]
    return statistics.linear_regression([x for x, _ in warm], [float(y) for _, y in warm]).slope


def _pss_bytes(pid: int) -> int:
    """Memory that is its own, and its part of what it shares (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * _KIBIBYTE
    raise ValueError("no Pss in smaps_rollup")


def main() -> int:
    defaults = Run()
    parser = argparse.ArgumentParser(prog="make longrun", description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=defaults.messages, help="requests and replies (%(default)s)")
    parser.add_argument("--connects", type=int, default=defaults.connects, help="connections (%(default)s)")
    parser.add_argument("--samples", type=int, default=defaults.samples, help="of each kind (%(default)s)")
    run = msgspec.convert(vars(parser.parse_args()), Run)
    with tempfile.TemporaryDirectory(prefix="hoot") as folder:
        ran = long_run(run, Path(folder), lambda line: print(line, flush=True))
    print(f"{ran.per_message:+.3f} bytes a message, {ran.per_connect:+.1f} bytes a connection: ", end="")
    print("flat" if ran.is_flat else "NOT FLAT")
    return 0 if ran.is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
