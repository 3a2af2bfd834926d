"""A broker whose core is asked through two hundred calls more than it takes."""

from unittest import mock

from hootbus.bus.core import Core
from hootbus.bus.effects import Effect
from hootbus.bus.inputs import Input

_CALLS = 100


class Wasteful(Core):
    """As a slip would do it: the right thing, the long way."""

    def handle(self, event: Input, now: float) -> list[Effect]:
        """As Core's."""
        for _ in range(_CALLS):
            needless()
        return super().handle(event, now)


def needless() -> None:
    """Nothing."""


mock.patch("hootbus.bus.broker.Core", Wasteful).start()
