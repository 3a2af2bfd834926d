"""Deadlines: what is due comes out in order, and what was discarded leaves nothing behind."""

from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.deadlines import Deadlines

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
MOMENTS = st.integers(0, 200).map(lambda number: number / 16)


def test_what_is_due_comes_earliest_first_and_once() -> None:
    deadlines: Deadlines[bytes] = Deadlines()
    deadlines.set(b"late", 3.0)
    deadlines.set(b"early", 1.0)
    assert deadlines.next() == 1.0
    assert deadlines.due(0.5) == []
    assert deadlines.due(3.0) == [b"early", b"late"]
    assert deadlines.due(9.0) == []
    assert deadlines.next() is None


def test_a_hundred_thousand_requests_that_end_at_once_leave_no_heap_behind() -> None:
    deadlines: Deadlines[bytes] = Deadlines()
    largest = 0
    for number in range(100_000):
        deadlines.set(number.to_bytes(4, "big"), 30.0 + number)
        if number >= 256:
            deadlines.discard((number - 256).to_bytes(4, "big"), 30.0 + number - 256)
        largest = max(largest, deadlines.entries)
    assert len(deadlines) == 256
    assert largest <= 3 * 257 + 65


def test_different_timeouts_leave_no_slices_behind() -> None:
    deadlines: Deadlines[bytes] = Deadlines()
    largest = 0
    for number in range(10_000):
        moment = 30.0 + number * 7919 % 86_400
        deadlines.set(b"one", moment)
        deadlines.discard(b"one", moment)
        largest = max(largest, deadlines.entries)
    assert deadlines.next() is None
    assert largest <= 70


@given(st.lists(st.tuples(st.sampled_from(["set", "discard", "due"]), KEYS, MOMENTS), max_size=60))
def test_it_agrees_with_a_dict_that_is_searched(steps: list[tuple[str, bytes, float]]) -> None:
    deadlines: Deadlines[bytes] = Deadlines()
    model: dict[bytes, float] = {}
    for step, key, moment in steps:
        if key in model and step != "due":
            deadlines.discard(key, model.pop(key))
        if step == "set":
            deadlines.set(key, moment)
            model[key] = moment
        elif step == "due":
            due = deadlines.due(moment)
            assert sorted(due) == sorted(key for key, at in model.items() if at <= moment)
            assert [model[key] for key in due] == sorted(model[key] for key in due)
            for each in due:
                del model[each]
        assert len(deadlines) == len(model)
        assert all(deadlines.holds(key, at) for key, at in model.items())
        ask, earliest = deadlines.next(), min(model.values(), default=None)
        assert (ask is None) == (earliest is None)
        assert ask is None or earliest is None or earliest - 0.125 < ask <= earliest


@given(st.lists(st.floats(0, 50), min_size=1, max_size=20))
def test_whoever_asks_when_told_to_gets_each_key_at_its_moment(moments: list[float]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    for key, moment in enumerate(moments):
        deadlines.set(key, moment)
    looks = 0
    while (now := deadlines.next()) is not None:
        looks += 1
        assert all(moments[key] == now for key in deadlines.due(now))
    assert len(deadlines) == 0
    assert looks <= 2 * len(moments), "a slice's beginning is looked at once, and then what is in it"
