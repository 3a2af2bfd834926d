"""Whether a proof proves what it claims to: terms of the typed lambda calculus, and the types they have.

A proof of `A -> B` is a function, one of `A & B` a pair, one of `A | B` a value of either side (Curry and Howard).
Nothing here knows of goals, tactics or searches. Whatever found a term, the formula that `type_of` gives is proved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from logic import FALSE, Formula, TermKind

Types: TypeAlias = Mapping[str, Formula]
_CLOSED: Final[Types] = MappingProxyType({})


@dataclass(frozen=True)
class Variable:
    name: str


@dataclass(frozen=True)
class Function:
    """From any proof of `domain`, here called `name`, to a proof of what `body` proves."""

    name: str
    domain: Formula
    body: "Proof"


@dataclass(frozen=True)
class Call:
    function: "Proof"
    argument: "Proof"


@dataclass(frozen=True)
class Pair:
    first: "Proof"
    second: "Proof"


@dataclass(frozen=True)
class Part:
    """The first (0) or second (1) part of a pair."""

    pair: "Proof"
    index: int


@dataclass(frozen=True)
class Side:
    """A proof of the left (0) or right (1) side of a disjunction whose other side is `other`."""

    proof: "Proof"
    index: int
    other: Formula


@dataclass(frozen=True)
class Cases:
    """What follows either way: in `left` and `right`, `name` is the side that holds."""

    either: "Proof"
    name: str
    left: "Proof"
    right: "Proof"


@dataclass(frozen=True)
class Absurd:
    """Anything, from falsehood."""

    falsehood: "Proof"
    target: Formula


Proof: TypeAlias = Variable | Function | Call | Pair | Part | Side | Cases | Absurd


class WrongProof(Exception):
    """A term that has no type, or another one than was claimed."""


def check(proof: Proof, formula: Formula) -> None:
    """Raises WrongProof unless this is a proof of the formula, from nothing."""
    found = type_of(proof)
    if found != formula:
        raise WrongProof(f"it proves {found}, not {formula}")


def type_of(proof: Proof, types: Types = _CLOSED) -> Formula:
    """The formula it proves, from variables of these types. Raises WrongProof."""
    match proof:
        case Variable(name):
            if name not in types:
                raise WrongProof(f"{name} is not bound")
            return types[name]
        case Function(name, domain, body):
            return Formula(TermKind.IMPLICATION, parts=(domain, type_of(body, {**types, name: domain})))
        case Call(function, argument):
            implication = _expect(type_of(function, types), TermKind.IMPLICATION)
            _same(type_of(argument, types), implication.left)
            return implication.right
        case Pair(first, second):
            return Formula(TermKind.CONJUNCTION, parts=(type_of(first, types), type_of(second, types)))
        case Part(pair, index):
            return _expect(type_of(pair, types), TermKind.CONJUNCTION).parts[index]
        case Side(inner, index, other):
            found = type_of(inner, types)
            return Formula(TermKind.DISJUNCTION, parts=(found, other) if index == 0 else (other, found))
        case Cases(either, name, left, right):
            sides = _expect(type_of(either, types), TermKind.DISJUNCTION)
            found = type_of(left, {**types, name: sides.left})
            _same(type_of(right, {**types, name: sides.right}), found)
            return found
        case Absurd(falsehood, target):
            _same(type_of(falsehood, types), FALSE)
            return target


def show(proof: Proof) -> str:
    """As text: `fun x1 => x1.1`."""
    match proof:
        case Variable(name):
            return name
        case Function(name, _, body):
            return f"fun {name} => {show(body)}"
        case Call(function, argument):
            return f"{_closed(function, also_call=True)} {_closed(argument)}"
        case Pair(first, second):
            return f"({show(first)}, {show(second)})"
        case Part(pair, index):
            return f"{_closed(pair)}.{index + 1}"
        case Side(inner, index, _):
            return f"{'right' if index else 'left'} {_closed(inner)}"
        case Cases(either, name, left, right):
            return f"cases {_closed(either)} (fun {name} => {show(left)}) (fun {name} => {show(right)})"
        case Absurd(falsehood, _):
            return f"absurd {_closed(falsehood)}"


def _closed(proof: Proof, *, also_call: bool = False) -> str:
    whole = isinstance(proof, Variable | Pair | Part) or (also_call and isinstance(proof, Call))
    return show(proof) if whole else f"({show(proof)})"


def _expect(formula: Formula, kind: TermKind) -> Formula:
    if formula.kind is not kind:
        raise WrongProof(f"{formula} is no {kind.name.lower()}")
    return formula


def _same(found: Formula, expected: Formula) -> None:
    if found != expected:
        raise WrongProof(f"a proof of {found} stands where one of {expected} has to")
