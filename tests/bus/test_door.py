"""When the door of an ipc bus is closed, and when it is looked at: numbers alone."""

import pytest

from hootbus.bus.door import DESCRIPTORS_MIN, Door


@pytest.mark.parametrize("limit", [DESCRIPTORS_MIN, 256, 1024, 4096, 1_048_576])
def test_it_is_closed_while_there_is_room_for_all_that_wait_at_the_three_sockets(limit: int) -> None:
    door = Door(limit)
    highest = next(count for count in range(limit) if door.judge(count, 0.0))
    assert not door.open
    assert highest + 3 * door.waiting < limit
    # At least half of all can be used.
    assert highest >= limit // 2


def test_it_opens_again_once_some_have_gone_and_not_with_the_first() -> None:
    door = Door(1024)
    assert door.judge(768, 0.0)
    assert not door.judge(767, 1.0)
    assert not door.judge(704, 2.0)
    assert door.judge(703, 3.0)
    assert door.open


def test_it_is_looked_at_before_all_that_is_left_can_have_been_taken() -> None:
    door = Door(1_048_576)
    door.judge(100, 10.0)
    assert door.look_at == 11.0
    door = Door(1024)
    door.judge(568, 10.0)
    assert door.look_at == pytest.approx(10.01)
    door.judge(767, 10.0)
    assert door.look_at == pytest.approx(10.001)
    door.judge(900, 10.0)
    assert door.look_at == pytest.approx(10.05)
