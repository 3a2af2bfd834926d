"""What a system must bring to be measured: its parts as roles, each a function that is the whole of a process."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import Child, Processes, find_program
from benchmarks.role import Role

GET_PEERS = "`make bench-peers` installs it"


class Middle(NamedTuple):
    """What runs between clients and workers: the address that both are given, and the process, if there is one."""

    address: str
    broker: Child | None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One system, as its own documentation says that it is fastest.

    A worker is started as `worker(line, address=, service=, handler=, loops=)` and answers each request with its body;
    before that it burns `loops` (see `benchmarks.work`). A client is started as `client(line, address=, service=)` and
    serves the orders of `benchmarks.load`. Publishers and subscribers are started with the address alone and serve
    those of `benchmarks.flood`.
    """

    system: str
    # Shown with the numbers: what a reader has to know to compare them fairly.
    note: str = ""
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    start_middle: Callable[[Processes, Path], Middle]
    worker: Role
    # The fastest with many requests in flight, and with one at a time.
    client: Role
    single_client: Role
    publisher: Role | None = None
    subscriber: Role | None = None
    # Why several worker processes do not share the work of one service, where they do not.
    one_worker: str = ""
    worker_options: Mapping[str, Any] = field(default_factory=dict)
    client_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> str | None:
        """Why it cannot be measured here and how that is changed; None if it can."""
        wanted = [f"Python package {name}" for name in self.modules if importlib.util.find_spec(name) is None]
        wanted += [f"program {name}" for name in self.programs if find_program(name) is None]
        return f"no {', no '.join(wanted)}: {GET_PEERS}" if wanted else None
