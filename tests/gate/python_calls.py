"""Python-level calls per request and event, by role and function: what the interpreter is asked to do."""

import sys
import threading
from collections import Counter, defaultdict
from types import CodeType, FrameType
from typing import Final

from gate.counts import Counts, Measured, quiet_steps
from gate.quiet import quiet
from gate.traffic import EVENTS, REQUESTS, Traffic
from hootbus.bus.embedded import EmbeddedBroker

_STEPS: Final = 60
# Until caches are filled and lazily made things are made.
_WARM_UP: Final = 20
# What is a call in one Python and none in another, so that one baseline does for all: comprehensions are inlined from
# 3.12 on (PEP 709), and from there on Cython runs a module without code for each line of a traceback.
_NO_CALLS: Final = ("<listcomp>", "<dictcomp>", "<setcomp>", "<module>")


class _Recorder:
    """Counts the calls of every thread that begins while it is installed."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._calls: defaultdict[str, Counter[CodeType]] = defaultdict(Counter)
        self._modules: dict[CodeType, str] = {}
        self._steps: defaultdict[str, list[Counter[str]]] = defaultdict(list)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            self._calls[threading.current_thread().name][code] += 1
            if code not in self._modules:
                self._modules[code] = frame.f_globals.get("__name__", "")

    def between(self) -> None:
        """The end of a step."""
        sys.setprofile(None)
        quiet()
        calls, self._calls = self._calls, defaultdict(Counter)
        self._end_step(calls)
        sys.setprofile(self)

    def _end_step(self, calls: dict[str, Counter[CodeType]]) -> None:
        step: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for thread, codes in calls.items():
            role = self._traffic.role(thread)
            if role is None:
                continue
            for code, count in codes.items():
                module = self._modules[code]
                if code.co_qualname.rpartition(".")[2] not in _NO_CALLS and not module.startswith("gate."):
                    step[role][f"{module}:{code.co_qualname}"] += count
        for role, places in step.items():
            self._steps[role].append(places)

    def counts(self) -> Counts:
        """Per request or event."""
        return {role: quiet_steps(steps[_WARM_UP:], self._traffic.per_step) for role, steps in self._steps.items()}


def _count(traffic: Traffic) -> Counts:
    recorder = _Recorder(traffic)
    threading.setprofile(recorder)
    try:
        with EmbeddedBroker() as bus:
            sys.setprofile(recorder)
            try:
                traffic.run(bus, _WARM_UP + _STEPS, recorder.between)
            finally:
                sys.setprofile(None)
    finally:
        threading.setprofile(None)
    return recorder.counts()


def measure() -> Measured:
    """All kinds of traffic."""
    return {f"python calls {traffic.name}": _count(traffic) for traffic in (*REQUESTS, *EVENTS)}
