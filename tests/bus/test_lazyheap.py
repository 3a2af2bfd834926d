"""The heap that picks workers and deadlines."""

import heapq

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.bus.lazyheap import LazyHeap


class Item(msgspec.Struct, eq=False):
    """Something in a heap."""

    name: int = 0
    ticket: int = 0


def drained(heap: LazyHeap[Item]) -> list[int]:
    return [item.name for item in iter(heap.pop, None)]


def test_the_smallest_key_comes_first_and_ties_in_the_order_they_were_pushed() -> None:
    heap: LazyHeap[Item] = LazyHeap()
    for name, key in enumerate((2.0, 1.0, 2.0, 1.0)):
        heap.push(key, Item(name))
    assert drained(heap) == [1, 3, 0, 2]


def test_pushing_again_moves_an_item_behind_its_equals() -> None:
    heap: LazyHeap[Item] = LazyHeap()
    one, two = Item(1), Item(2)
    heap.push(1.0, one)
    heap.push(1.0, two)
    heap.push(1.0, one)
    assert heap.first() == (1.0, two)
    assert drained(heap) == [2, 1]


def test_an_item_without_a_ticket_is_out_and_can_come_back() -> None:
    heap: LazyHeap[Item] = LazyHeap()
    item = Item(1)
    heap.push(1.0, item)
    item.ticket = 0
    assert heap.first() is None
    assert heap.pop() is None
    heap.push(1.0, item)
    assert heap.pop() is item
    assert item.ticket == 0


def test_the_first_is_left_where_it_is() -> None:
    heap: LazyHeap[Item] = LazyHeap()
    item = Item(1)
    heap.push(3.0, item)
    assert heap.first() == heap.first() == (3.0, item)
    assert len(heap) == 1


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0.0, 0.5, 1.0, None])), max_size=200))
def test_it_agrees_with_a_list_that_is_searched(changes: list[tuple[int, float | None]]) -> None:
    heap: LazyHeap[Item] = LazyHeap()
    items = [Item(name) for name in range(9)]
    live: dict[int, tuple[float, int]] = {}
    for pushed, (name, key) in enumerate(changes):
        if key is None:
            items[name].ticket = 0
            live.pop(name, None)
        else:
            heap.push(key, items[name])
            live[name] = key, pushed
        first = heap.first()
        expected = min(live, key=live.__getitem__, default=None)
        assert (first[1].name if first is not None else None) == expected
    assert drained(heap) == sorted(live, key=live.__getitem__)


def test_stale_entries_are_let_go_behind_one_that_stays() -> None:
    heap: LazyHeap[Item] = LazyHeap()
    heap.push(0.0, Item(0))
    busy = [Item(name) for name in range(10)]
    most = 0
    for number in range(10_000):
        heap.push(1.0, busy[number % 10])
        most = max(most, len(heap))
    assert most < 200
    assert len(drained(heap)) == 11


def test_letting_go_costs_no_more_than_a_few_steps_for_each_push(monkeypatch: pytest.MonkeyPatch) -> None:
    heapified = 0

    def counted(entries: list[int]) -> None:
        nonlocal heapified
        heapified += len(entries)
        heapify(entries)

    heapify = heapq.heapify
    monkeypatch.setattr(heapq, "heapify", counted)
    heap: LazyHeap[Item] = LazyHeap()
    items = [Item(name) for name in range(1000)]
    pushes = 50_000
    for number in range(pushes):
        heap.push(float(number), items[number % 1000])
    assert heapified < 2 * pushes
