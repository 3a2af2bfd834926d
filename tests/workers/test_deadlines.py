"""The heap of deadlines: what is due comes out in order, and what was discarded leaves nothing behind."""

from hypothesis import given
from hypothesis import strategies as st

from hootbus.workers.deadlines import Deadlines

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
MOMENTS = st.integers(0, 20).map(float)


def test_what_is_due_comes_earliest_first_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set(b"late", 3.0)
    deadlines.set(b"early", 1.0)
    assert deadlines.next() == 1.0
    assert deadlines.due(0.5) == []
    assert deadlines.due(3.0) == [b"early", b"late"]
    assert deadlines.due(9.0) == []
    assert deadlines.next() is None


def test_a_hundred_thousand_requests_that_end_at_once_leave_no_heap_behind() -> None:
    deadlines = Deadlines()
    largest = 0
    for number in range(100_000):
        deadlines.set(number.to_bytes(4, "big"), 30.0 + number)
        if number >= 256:
            deadlines.discard((number - 256).to_bytes(4, "big"))
        largest = max(largest, deadlines.entries)
    assert len(deadlines) == 256
    assert largest <= 2 * 257 + 65


@given(st.lists(st.tuples(st.sampled_from(["set", "discard", "due"]), KEYS, MOMENTS), max_size=60))
def test_it_agrees_with_a_dict_that_is_searched(steps: list[tuple[str, bytes, float]]) -> None:
    deadlines, model = Deadlines(), dict[bytes, float]()
    for step, key, moment in steps:
        if step == "set":
            deadlines.set(key, moment)
            model[key] = moment
        elif step == "discard":
            deadlines.discard(key)
            model.pop(key, None)
        else:
            due = deadlines.due(moment)
            assert sorted(due) == sorted(key for key, at in model.items() if at <= moment)
            assert [model[key] for key in due] == sorted(model[key] for key in due)
            for each in due:
                del model[each]
        assert len(deadlines) == len(model)
        assert deadlines.next() == min(model.values(), default=None)
