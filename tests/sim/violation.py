"""A promise was broken: what a world raises, with all that is needed to look into it."""

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

_KEPT: Final = 20_000
_SHOWN: Final = 60

Fact: TypeAlias = tuple[float, str, Callable[[], str]]


class Violation(AssertionError):
    """What does not hold. The trace and the command that shows it again are added by the world."""


class Trace:
    """What happened, kept as it was and put into words only for a failure."""

    def __init__(self) -> None:
        self._facts: deque[Fact] = deque(maxlen=_KEPT)

    def add(self, now: float, who: str, what: Callable[[], str]) -> None:
        """One line, whose words are asked for later."""
        self._facts.append((now, who, what))

    def lines(self) -> list[str]:
        """All of it in words."""
        return [f"{now - 1000:9.4f}  {who:<10} {what()}" for now, who, what in self._facts]

    def about(self, text: str) -> str:
        """The last of it, and before that what mentions any of the names (`t17`, `c1`, an id) in the text."""
        lines = self.lines()
        names = {word.strip(".,:()'") for word in text.split()}
        named = {name for name in names if len(name) == 8 or (name[:1] == "t" and name[1:].isdigit())}
        earlier = [line for line in lines[:-_SHOWN] if any(name in line.replace("=", " ").split() for name in named)]
        return "\n".join([*earlier[-_SHOWN:], "   ...", *lines[-_SHOWN:]])
