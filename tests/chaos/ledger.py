"""The outside ledger: what clients asked and what came of it, what workers carried out, and whether the two agree.

Everyone writes a file of their own, a line before and a line behind each request, straight into the kernel: what a
process has written stays when it is killed in mid-word. The judge reads all of it when the story is over.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

OK: Final = "ok"
# A reply that says something else than was asked for. No outcome that the bus promises.
WRONG: Final = "wrong"
# Its own client has cancelled it.
GIVEN_UP: Final = "given_up"
# A stream that was refused, or an item of which was lost: `overloaded` says nothing of what was done then.
CUT: Final = "cut"

# What a request that was to be carried out once at most must not have been if this came of it: nobody had it yet.
_NOTHING_DONE: Final = frozenset({"unknown_service", "overloaded", "broker_stopping"})
_OUTCOMES: Final = _NOTHING_DONE | {OK, GIVEN_UP, CUT, "worker_lost", "deadline_exceeded", "quarantined"}
_SHOWN: Final = 20


class Book:
    """One writer's file. Lines of several processes do not mix, as each is a single write at the end (O_APPEND)."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def asked(self, number: str, *, idempotent: bool) -> None:
        """A client is about to ask."""
        self._write(f"asked {number} {'often' if idempotent else 'once'}")

    def came(self, number: str, code: str) -> None:
        """This is what its client was told."""
        self._write(f"came {number} {code}")

    def did(self, number: str) -> None:
        """A worker begins to carry it out."""
        self._write(f"did {number} {os.getpid()}")

    def _write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


class Entries(msgspec.Struct):
    """All that was written down: whether a request may be repeated, its outcomes, and who carried it out."""

    repeatable: dict[str, bool] = {}
    outcomes: dict[str, list[str]] = {}
    executions: dict[str, list[int]] = {}

    def read(self, paths: Iterable[Path]) -> None:
        for path in paths:
            for line in path.read_text().splitlines():
                kind, number, fact = line.split()
                if kind == "asked":
                    assert number not in self.repeatable, f"two requests are called {number}"
                    self.repeatable[number] = fact == "often"
                elif kind == "came":
                    self.outcomes.setdefault(number, []).append(fact)
                else:
                    self.executions.setdefault(number, []).append(int(fact))


class Balance(msgspec.Struct, frozen=True):
    """The sums of a ledger that is right: outcomes by code, of all requests and of those that may be repeated."""

    asked: int
    executed: int
    outcomes: Counter[str]
    of_repeatable: Counter[str]
    # Requests whose client was killed before it could write down what came of them.
    untold: int

    def __str__(self) -> str:
        outcomes = ", ".join(f"{code} {count}" for code, count in self.outcomes.most_common())
        return f"{self.asked} asked = {outcomes or 'nothing'}, untold {self.untold}; {self.executed} executions"


class Unbalanced(AssertionError):
    """A promise was broken; the text says which, and for which requests."""


def balance(entries: Entries, killed: Iterable[str] = ()) -> Balance:
    """Judges the ledger. Of the clients that were `killed` requests may lack an outcome. Raises Unbalanced."""
    wrong: list[str] = []
    orphans = tuple(f"{name}." for name in killed)
    untold = 0
    for number, repeatable in entries.repeatable.items():
        came = entries.outcomes.get(number, [])
        times = len(entries.executions.get(number, []))
        if not came and number.startswith(orphans):
            untold += 1
        elif len(came) != 1:
            wrong.append(f"{number} has {len(came)} outcomes: {came}")
        wrong += [f"{number} came to {code!r}" for code in came if code not in _OUTCOMES]
        if times > 1 and not repeatable:
            wrong.append(f"{number} was carried out {times} times and may be once")
        if OK in came and not times:
            wrong.append(f"{number} is ok, and nobody has carried it out")
        if times and not repeatable and _NOTHING_DONE.intersection(came):
            wrong.append(f"{number} is {came[0]}, and was carried out")
    wrong += [
        f"{number} was carried out, and nobody asked" for number in entries.executions.keys() - entries.repeatable
    ]
    wrong += [f"{number} has an outcome, and nobody asked" for number in entries.outcomes.keys() - entries.repeatable]
    if wrong:
        raise Unbalanced("\n".join((f"{len(wrong)} entries are wrong", *wrong[:_SHOWN])))
    return Balance(
        asked=len(entries.repeatable),
        executed=sum(map(len, entries.executions.values())),
        outcomes=Counter(code for came in entries.outcomes.values() for code in came),
        of_repeatable=Counter(
            code for number, came in entries.outcomes.items() if entries.repeatable[number] for code in came
        ),
        untold=untold,
    )
