"""Bugs planted at random: `python -m sim.mutate` changes one place of a module at a time and asks who notices.

First the simulator's worlds, then the unit tests. A change that neither of them notices is named with its line: either
it makes no difference to anybody, or a test is missing. By hand, and with patience: it is minutes for a module.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_VARIABLE: Final = "HOOT_MUTANT"
MODULES: Final = (
    "bus.admission",
    "bus.core",
    "bus.endings",
    "bus.ledger",
    "bus.queues",
    "bus.requests",
    "bus.roster",
    "bus.gate",
    "bus.state",
    "workers.account",
    "workers.client_session",
    "workers.inflows",
    "workers.replies",
    "workers.understanding",
    "workers.worker_session",
)
_UNIT_TESTS: Final = {"bus": ["tests/bus"], "workers": ["tests/workers", "--ignore=tests/workers/test_uvloop.py"]}
# A mutant that never ends is noticed as well.
_PATIENCE_S: Final = 240
_FLIPPED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            body = getattr(node, name, None)
            if isinstance(body, list) and not isinstance(node, ast.Module | ast.ClassDef):
                yield body


def _changes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Makes one change after the other in place, and takes each back when it is asked for the next: line and words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
            before, text = node.ops[0], ast.unparse(node)
            node.ops[0] = _FLIPPED[type(before)]()
            yield node.lineno, f"{text}  ->  {ast.unparse(node)}"
            node.ops[0] = before
        elif isinstance(node, ast.BoolOp):
            operator, text = node.op, ast.unparse(node)
            node.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield node.lineno, f"{text}  ->  {ast.unparse(node)}"
            node.op = operator
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            text, inner = ast.unparse(node), node.operand
            node.operand = ast.UnaryOp(ast.Not(), inner)
            yield node.lineno, f"{text}  ->  {ast.unparse(inner)}"
            node.operand = inner
    for body in _bodies(tree):
        for at, statement in enumerate(body):
            is_done = isinstance(statement, ast.Assign | ast.AugAssign | ast.Delete | ast.Continue) or (
                isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            )
            if is_done:
                body[at] = ast.copy_location(ast.Pass(), statement)
                yield statement.lineno, f"{ast.unparse(statement)}  ->  pass"
                body[at] = statement


def _source(module: str) -> Path:
    return _ROOT / (module.replace(".", "/") + ".py")


def mutants(module: str) -> list[tuple[int, str]]:
    """Every change there is to a module: its line, and what it is."""
    return list(_changes(ast.parse(_source(module).read_text())))


def mutated(module: str, number: int) -> CodeType:
    """The module with one change."""
    tree = ast.parse(_source(module).read_text())
    for at, _ in enumerate(_changes(tree)):
        if at == number:
            # The loop would take it back.
            tree = copy.deepcopy(tree)
            break
    return compile(ast.fix_missing_locations(tree), str(_source(module)), "exec")


class _Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, module: str, number: int) -> None:
        self._name = f"hootbus.{module}"
        self._code = mutated(module, number)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


if planted := os.environ.get(_VARIABLE):
    sys.meta_path.insert(0, _Planter(planted.partition(":")[0], int(planted.partition(":")[2])))


def _notices(command: Sequence[str], mutant: str) -> bool:
    environment = os.environ | {_VARIABLE: mutant, "PYTHONPATH": str(_ROOT / "tests")}
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=_ROOT,
            env=environment,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.mutate", description="Who notices a changed line?")
    parser.add_argument("modules", nargs="*", default=MODULES, help=f"of {', '.join(MODULES)} (all)")
    parser.add_argument("--sample", type=int, default=None, help="so many changes, drawn at random (all)")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--worlds", type=int, default=100, help="how many worlds look at each (100)")
    asked = parser.parse_args()
    every = [(module, number, *each) for module in asked.modules for number, each in enumerate(mutants(module))]
    if asked.sample is not None:
        every = sorted(random.Random(asked.seed).sample(every, min(asked.sample, len(every))))
    pytest = ["-m", "pytest", "-x", "-q", "-p", "interpreted", "-p", "sim.mutate", "-p", "no:cacheprovider"]
    by_worlds = by_tests = 0
    for module, number, line, words in every:
        mutant = f"{module}:{number}"
        if _notices([*pytest, "tests/sim/test_storm.py", "--sim-seeds", f"0:{asked.worlds}"], mutant):
            by_worlds += 1
        elif _notices([*pytest, *_UNIT_TESTS[module.partition(".")[0]]], mutant):
            by_tests += 1
        else:
            print(f"nobody notices {mutant}, line {line}: {words}", flush=True)
    print(f"{len(every)} changes: the worlds notice {by_worlds}, the unit tests {by_tests} more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
