"""The log tells the same only so often."""

from hootbus.bus.ration import Ration


def test_a_kind_is_told_so_often_in_a_minute_and_then_how_often_it_was_not() -> None:
    ration = Ration(2)
    assert ration.grants("gone", 0.0) == ""
    assert ration.grants("gone", 1.0) == " (and no more like this for the rest of a minute)"
    assert [ration.grants("gone", 2.0 + second) for second in range(50)] == [None] * 50
    assert ration.grants("gone", 60.0) == " (50 more like this were not told)"


def test_one_kind_takes_nothing_from_another() -> None:
    ration = Ration(1)
    assert [ration.grants(kind, 0.0) for kind in ("a", "b", "a", "b")] == ["", "", None, None]


def test_what_is_remembered_is_bounded() -> None:
    ration = Ration(1)
    for number in range(5000):
        ration.grants(str(number), 0.0)
    assert len(ration._told) <= 1000  # a bound that shows nowhere else
