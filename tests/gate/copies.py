"""Copies of a body between where a program or the network put it and who reads it, by role and place: none shall be.

Four witnesses, as each sees what the others cannot. The memory where a received body lies must be the one that the
handler, the caller and the next hop get. Python must not have allocated a body's size meanwhile, not even for a moment.
Whoever reads Cap'n Proto counts what it had to copy first, and a Wire what it had to copy to send it.
"""

import sys
import threading
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Final

import numpy as np

from gate.counts import Counts, Measured, rounded
from gate.quiet import quiet
from gate.traffic import role_of
from gate.wire_spy import watched
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.buffer import Buffer, Frames
from hootbus.frames.context import address_of
from hootbus.schemas import COPIES, CapnpBody, load, write_struct
from hootbus.workers import Request, Worker

_SCHEMA: Final = load(Path(__file__).with_name("clip.capnp"))
_SAMPLES: Final = 500_000
_WARM_UP: Final = 2
_STEPS: Final = 10
_PATIENCE_S: Final = 20.0
# One thread's work is not interrupted by another's while it does not wait: what was allocated is its own.
_NO_SWITCH_S: Final = 1.0


class _Witness:
    """Notes each copy of a body that has at least so many bytes."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._main = "client"
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._into_libzmq: defaultdict[str, Counter[str]] = defaultdict(Counter)
        # Where the body lies that a role has got, from the network or from its caller.
        self._holds: dict[str, int] = {}
        self._traced = 0
        self._misread = 0

    def begin(self, main: str) -> None:
        """Counts from here on; the main thread is in that role."""
        self._main = main
        self._counts.clear()
        self._into_libzmq.clear()
        self._misread = COPIES.copied

    def counts(self) -> Counts:
        """Per request or event. Whose the bodies were that lay badly is not known."""
        misread = (COPIES.copied - self._misread) / _STEPS
        return _per_step(self._counts) | {
            "all roles": rounded({"hootbus.schemas.segments: lay at an odd address": misread})
        }

    def into_libzmq(self) -> Counts:
        """Bodies that were copied for libzmq. What was received goes on as it is, what cannot change is lent."""
        return _per_step(self._into_libzmq)

    # The memory.

    def got(self, role: str, body: Buffer) -> None:
        """The role has got a body."""
        self._holds[role] = address_of(body)
        self._counts[role] += Counter()

    def same(self, role: str, place: str, body: Buffer) -> None:
        """The role uses the body that it has got, or a copy."""
        if address_of(body) != self._holds[role]:
            self._counts[role][place] += 1

    def message(self, thread: str, way: str, frames: Frames, copied: int) -> None:
        """A message crosses a Wire."""
        role = role_of(thread, self._main)
        # The body is all that is large in it.
        for frame in frames:
            if role is not None and len(frame) >= self._least:
                if way == "received":
                    self.got(role, frame)
                else:
                    self.same(role, "between where it lay and Wire.send", frame)
                    self._into_libzmq[role][f"Wire.send of {type(frame).__name__}"] += copied

    # What Python allocates.

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """As a profile function: looks what was allocated at most since its last call."""
        size, peak = tracemalloc.get_traced_memory()
        role = role_of(threading.current_thread().name, self._main)
        if role is not None and peak - self._traced >= self._least:
            # Before a call it was the caller, before all else it was who runs.
            maker = frame.f_back if event == "call" and frame.f_back is not None else frame
            place = f"{maker.f_globals.get('__name__')}:{maker.f_code.co_qualname}"
            self._counts[role][place] += (peak - self._traced) // self._least
        tracemalloc.reset_peak()
        self._traced = size


def _per_step(counts: Mapping[str, Counter[str]]) -> Counts:
    return {
        role: rounded({place: count / _STEPS for place, count in places.items()}) for role, places in counts.items()
    }


def _requests(bus: EmbeddedBroker, witness: _Witness, body: CapnpBody) -> None:
    worker = Worker("gate")

    @worker.method(inline=True)
    def echo(request: Request) -> CapnpBody:
        witness.same("worker", "between where it lay and the handler", request.raw)
        assert len(request.array("samples", _SCHEMA.Clip)) == _SAMPLES
        return CapnpBody(request.raw, body.type_id)

    bus.worker(worker)
    client = bus.client()

    def step() -> None:
        witness.got("client", body.buffer)
        reply = client.call("gate/echo", body)
        witness.same("client", "between where it lay and the caller", reply.raw)
        assert len(reply.array("samples", _SCHEMA.Clip)) == _SAMPLES

    _run(step, witness, "client")


def _events(bus: EmbeddedBroker, witness: _Witness, body: CapnpBody) -> None:
    subscriber, publisher = bus.subscriber("gate.clip"), bus.publisher()
    publisher.ready(_PATIENCE_S)

    # Both are the main thread's, one after the other.
    def step() -> None:
        witness.got("publisher", body.buffer)
        publisher.publish("gate.clip", body)
        event = subscriber.receive(_PATIENCE_S)
        witness.same("publisher", "between where it lay and the subscriber's program", event.raw)
        assert len(event.array("samples", _SCHEMA.Clip)) == _SAMPLES

    _run(step, witness, "publisher")


def _run(step: Callable[[], None], witness: _Witness, main: str) -> None:
    for number in range(_WARM_UP + _STEPS):
        if number == _WARM_UP:
            quiet()
            witness.begin(main)
        step()
    quiet()


def measure() -> Measured:
    """One body of two megabytes at a time, read as Cap'n Proto at both ends."""
    body = write_struct(_SCHEMA.Clip, samples=np.arange(_SAMPLES, dtype=np.float32))
    witness = _Witness(len(body.buffer) * 9 // 10)
    sys.setswitchinterval(_NO_SWITCH_S)
    tracemalloc.start()
    threading.setprofile(witness)
    measured: Measured = {}
    for per, run in (("request", _requests), ("event", _events)):
        with watched(witness.message), EmbeddedBroker() as bus:
            sys.setprofile(witness)
            try:
                run(bus, witness, body)
            finally:
                sys.setprofile(None)
        measured[f"copies of a body per {per}"] = witness.counts()
        measured[f"copies of a body into libzmq per {per}"] = witness.into_libzmq()
    return measured
