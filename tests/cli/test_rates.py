"""Rates and latencies between two looks at a bus, and how `hoot top` draws them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hootbus.bus.cli.rates import (
    Histogram,
    Latencies,
    Look,
    Rates,
    Service,
    ServiceLatencies,
    Status,
    Worker,
    percentile,
    rates,
)
from hootbus.bus.cli.top_view import draw, print_block
from hootbus.bus.latencies import BOUNDS_S
from hootbus.bus.latencies import Latencies as Counted

BOUNDS = (0.1, 0.2, 0.4)


def look(at: float, services: dict[str, tuple[int, int, int]], *, broker: str = "b1", **more: Any) -> Look:  # noqa: ANN401  # fields
    """A look at a broker with these services: their requests, replies and errors."""
    status = Status(broker, "serving", 7, 0, 0, 0, more.get("errors", {}), more.get("dropped", {}))
    found = tuple(Service(name, 1, 4, 0, 0, *counts) for name, counts in services.items())
    return Look(at, status, found, more.get("workers", ()), more.get("latencies", Latencies()))


def took(name: str, *counts: int) -> Latencies:
    return Latencies(BOUNDS, (ServiceLatencies(name, Histogram(), Histogram(counts)),))


def per_s(found: Rates) -> dict[str, tuple[float, float, float]]:
    return {each.name: (each.requests_per_s, each.replies_per_s, each.errors_per_s) for each in found.services}


def of_only(found: Rates) -> tuple[float | None, float | None]:
    """The percentiles of the only service's replies."""
    (service,) = found.services
    return service.took.p50_ms, service.took.p95_ms


def test_rates_are_what_was_counted_since_over_the_time_since() -> None:
    found = rates(look(10.0, {"a": (5, 5, 0), "b": (0, 0, 0)}), look(12.0, {"a": (9, 8, 1), "b": (30, 20, 10)}))
    assert found.seconds == 2.0
    # The busiest first.
    assert list(per_s(found)) == ["b", "a"]
    assert per_s(found) == {"a": (2.0, 1.5, 0.5), "b": (15.0, 10.0, 5.0)}
    assert (found.requests_per_s, found.replies_per_s, found.errors_per_s) == (17.0, 11.5, 5.5)


def test_a_service_that_is_new_or_came_back_has_counted_from_nothing() -> None:
    found = rates(look(1.0, {"back": (100, 100, 9)}), look(2.0, {"back": (3, 2, 1), "new": (4, 4, 0)}))
    assert per_s(found) == {"new": (4.0, 4.0, 0.0), "back": (3.0, 2.0, 1.0)}


def test_another_broker_has_counted_from_nothing() -> None:
    before = look(1.0, {"a": (5, 5, 0)}, broker="b1", errors={"overloaded": 5}, latencies=took("a", 5, 0, 0, 0))
    now = look(2.0, {"a": (7, 7, 0)}, broker="b2", errors={"overloaded": 6}, latencies=took("a", 0, 7, 0, 0))
    found = rates(before, now)
    assert per_s(found) == {"a": (7.0, 7.0, 0.0)}
    assert found.errors == {"overloaded": 6}
    assert of_only(found) == pytest.approx((150.0, 195.0))


def test_errors_and_drops_are_those_since_the_last_look() -> None:
    before = look(1.0, {}, errors={"overloaded": 2, "denied": 1}, dropped={"client_gone": 3})
    now = look(2.0, {}, errors={"overloaded": 5, "denied": 1}, dropped={"client_gone": 3, "reply_late": 1})
    found = rates(before, now)
    assert (found.errors, found.dropped) == ({"overloaded": 3}, {"reply_late": 1})


def test_workers_are_told_by_how_much_they_do() -> None:
    def worker(name: str, done: int) -> Worker:
        return Worker(name, "a", "", "ready", 1, 4, 2, done)

    found = rates(
        look(1.0, {}, workers=(worker("w1", 5), worker("w2", 5))),
        look(3.0, {}, workers=(worker("w1", 6), worker("w2", 9), worker("w3", 1))),
    )
    assert [(each.id, each.done_per_s) for each in found.workers] == [("w2", 2.0), ("w1", 0.5), ("w3", 0.5)]


def test_percentiles_are_of_what_ended_since_the_last_look() -> None:
    before = look(1.0, {"a": (0, 0, 0)}, latencies=took("a", 1000, 0, 0, 0))
    now = look(2.0, {"a": (0, 0, 0)}, latencies=took("a", 1000, 100, 0, 0))
    assert of_only(rates(before, now)) == pytest.approx((150.0, 195.0))
    assert of_only(rates(now, now)) == (None, None)
    # A service that came back, and a broker that does not count them.
    assert of_only(rates(now, before)) == pytest.approx((50.0, 95.0))
    assert of_only(rates(before, look(2.0, {"a": (0, 0, 0)}))) == (None, None)


def test_what_took_longer_than_all_bounds_is_told_as_the_last_one() -> None:
    assert percentile(BOUNDS, (0, 0, 0, 5), 0.5) == 0.4


@given(st.lists(st.floats(0.0, 299.0), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_percentile_is_in_the_bucket_of_the_time_it_stands_for(times: list[float], share: float) -> None:
    counted = Counted()
    for seconds in times:
        counted.add(seconds)
    found = percentile(BOUNDS_S, counted.counts, share)
    assert found is not None
    exact = next(seconds for at, seconds in enumerate(sorted(times), 1) if at >= share * len(times))
    upper = next(bound for bound in BOUNDS_S if exact <= bound)
    lower = max((bound for bound in BOUNDS_S if bound < exact), default=0.0)
    assert lower <= found <= upper * 1.000001


def shown(found: Rates | None, height: int = 40) -> str:
    console = Console(width=120, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(draw(found, "tcp://127.0.0.1:1", height))
    return capture.get()


def a_busy_bus(services: int, workers: int) -> Rates:
    found = tuple(Worker(f"w{at}", "a", "[bold]\x1b[31m", "ready", 1, 4, 2, at) for at in range(workers))
    counts = {f"service{at:02}": (at, at, 0) for at in range(services)}
    return rates(look(1.0, {}), look(2.0, counts, workers=found, dropped={"reply_late": 3}))


def test_the_screen_has_services_workers_and_drops() -> None:
    text = shown(a_busy_bus(3, 2))
    assert "tcp://127.0.0.1:1  serving, up 7 s" in text
    assert "requests 3.0/s" in text
    assert "dropped: reply_late 3" in text
    assert text.index("service02") < text.index("service01") < text.index("w1")
    # A peer's text is neither markup nor a command to the terminal.
    assert "[bold]?[31m" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("services", "workers"), [(50, 50), (50, 2), (2, 50), (0, 50)])
def test_the_screen_fits_and_says_what_it_left_out(services: int, workers: int) -> None:
    text = shown(a_busy_bus(services, workers), height=30)
    assert len(text.splitlines()) <= 30
    rows_of_services, rows_of_workers = text.count("service") - 2, text.count(" ready ")
    for all_of_them, rows in ((services, rows_of_services), (workers, rows_of_workers)):
        assert rows == all_of_them or f"and {all_of_them - rows} more" in text


def test_without_a_broker_the_screen_says_so() -> None:
    assert "no broker answers at tcp://127.0.0.1:1" in shown(None)


def test_a_block_for_a_pipe_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_block(a_busy_bus(50, 2))
    text = capsys.readouterr().out
    assert text.startswith("serving, up 7 s\n")
    assert text.endswith("\n\n")
    assert sum(line.startswith("service") for line in text.splitlines()) == 50
    assert msgspec.json.encode(a_busy_bus(1, 1))
