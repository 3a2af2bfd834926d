"""Looking at the core from other threads: answered by the loop, or cancelled."""

import pytest

from bus_world.world import World
from hootbus.bus.core import Core
from hootbus.bus.looks import Looks


def state_and_time(core: Core, now: float) -> tuple[str, float]:
    return core.state, now


def test_a_look_is_answered_when_the_loop_comes_to_it() -> None:
    looks = Looks()
    asked = looks.ask(state_and_time)
    assert not asked.done()
    looks.answer(World().core, 5.0)
    assert asked.result(0) == ("serving", 5.0)


def test_a_look_that_was_given_up_is_not_taken() -> None:
    looks = Looks()
    asked = looks.ask(lambda core, now: pytest.fail("nobody wants to know"))
    asked.cancel()
    other = looks.ask(state_and_time)
    looks.answer(World().core, 5.0)
    assert other.result(0) == ("serving", 5.0)


def test_what_a_look_raises_belongs_to_who_asked_and_not_to_the_loop() -> None:
    looks = Looks()
    asked = looks.ask(lambda core, now: 1 / 0)
    other = looks.ask(state_and_time)
    looks.answer(World().core, 5.0)
    with pytest.raises(ZeroDivisionError):
        asked.result(0)
    assert other.result(0) == ("serving", 5.0)


def test_when_the_loop_has_ended_all_looks_are_cancelled() -> None:
    looks = Looks()
    before = looks.ask(state_and_time)
    looks.end()
    assert before.cancelled()
    assert looks.ask(state_and_time).cancelled()


def test_of_a_loop_that_does_not_answer_only_so_many_ask() -> None:
    looks = Looks()
    asked = [looks.ask(state_and_time) for _ in range(65)]
    assert [each.cancelled() for each in asked] == [False] * 64 + [True]
    looks.answer(World().core, 5.0)
    assert not looks.ask(state_and_time).cancelled()
