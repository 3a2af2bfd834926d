"""Who drives a client's loop: the rule of `driver.py` on a bare loop, without a socket."""

import asyncio
import random
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from cli.shell import until
from hootbus.workers.driver import Driver

# Its other method sets a signal handler that raises, with which the main thread leads nothing.
pytestmark = pytest.mark.timeout(60, method="thread")


class Errand:
    """Something to wait for. Notes which threads began and ended it."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self._ended = threading.Event()
        self.begun_by: list[threading.Thread] = []
        self.ended_by: list[threading.Thread] = []

    def begin(self, *, now: bool = False) -> None:
        self.begun_by.append(threading.current_thread())
        self._bench.open.add(self)

    def begin_and_end(self, *, now: bool = False) -> None:
        self.begin()
        self._bench.loop.call_later(0, self.end)

    def end(self) -> None:
        self.ended_by.append(threading.current_thread())
        self._bench.open.discard(self)
        self._ended.set()
        if not self._bench.open:
            self._bench.driver.rest()

    def done(self) -> bool:
        return self._ended.is_set()

    def wait(self) -> None:
        assert self._ended.wait(10.0)


class Bench:
    """A driver with a loop and an own thread, and what is open on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.driver = Driver(self.loop)
        self.open: set[Errand] = set()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.driver.run(lambda: not self.open)
        self.loop.close()
        self.driver.close()

    def rest(self) -> None:
        until(lambda: self.driver.resting, "the loop rests")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.thread.start()
    bench.rest()
    yield bench
    bench.driver.end()
    bench.thread.join()


def test_who_waits_alone_drives(bench: Bench) -> None:
    for _ in range(3):
        errand = Errand(bench)
        assert bench.driver.lead(errand.begin_and_end, errand.done)
        assert errand.begun_by == errand.ended_by == [threading.current_thread()]
        assert bench.driver.resting


def test_what_is_posted_runs_on_the_own_thread(bench: Bench) -> None:
    errand = Errand(bench)
    assert bench.driver.post(errand.begin_and_end)
    errand.wait()
    assert errand.begun_by == errand.ended_by == [bench.thread]


def test_a_leader_leaves_to_the_own_thread_when_something_is_posted(bench: Bench) -> None:
    ours, theirs = Errand(bench), Errand(bench)
    left: list[bool] = []

    def lead() -> None:
        left.append(bench.driver.lead(ours.begin, ours.done))

    leader = threading.Thread(target=lead)
    leader.start()
    until(lambda: ours.begun_by == [leader], "it leads")
    assert bench.driver.post(theirs.begin_and_end)
    leader.join()
    theirs.wait()
    assert left == [True]
    assert not ours.done(), "it has to wait as anybody does"
    assert theirs.begun_by == theirs.ended_by == [bench.thread]
    bench.driver.post(ours.end)
    ours.wait()
    bench.rest()
    assert bench.driver.lead((again := Errand(bench)).begin_and_end, again.done)


def test_what_was_posted_before_comes_first(bench: Bench) -> None:
    gate = threading.Event()
    bench.driver.post(gate.wait)
    errand = Errand(bench)
    assert not bench.driver.lead(errand.begin, errand.done)
    assert errand.begun_by == []
    gate.set()


def test_a_post_whose_thread_was_interrupted_before_it_rang_is_found(bench: Bench) -> None:
    posted, errand = Errand(bench), Errand(bench)
    bench.driver._posted.append(posted.begin_and_end)
    assert not bench.driver.lead(errand.begin, errand.done), "what was posted comes first"
    posted.wait()
    assert posted.begun_by == [bench.thread]
    assert errand.begun_by == []
    bench.rest()


def test_what_is_left_to_do_is_handed_to_the_own_thread(bench: Bench) -> None:
    ours, left = Errand(bench), Errand(bench)

    def begin_both(*, now: bool = False) -> None:
        left.begin()
        ours.begin()
        ours.end()

    assert bench.driver.lead(begin_both, ours.done)
    later = Errand(bench)
    assert not bench.driver.lead(later.begin, later.done)
    bench.driver.post(left.end)
    left.wait()
    assert left.ended_by == [bench.thread]
    bench.rest()


def test_a_callback_that_fails_is_told_and_the_seat_is_left(bench: Bench) -> None:
    def fail(*, now: bool = False) -> None:
        raise ValueError("no such luck")

    with pytest.raises(ValueError, match="luck"):
        bench.driver.lead(fail, lambda: False)
    bench.rest()
    errand = Errand(bench)
    assert bench.driver.lead(errand.begin_and_end, errand.done)


def test_the_own_thread_rests_though_nothing_ended_but_what_was_posted(bench: Bench) -> None:
    errand = Errand(bench)
    bench.driver.post(errand.begin)
    until(lambda: errand.begun_by, "it drives")
    bench.driver.post(bench.open.clear)
    bench.rest()


def test_nobody_leads_within_a_running_loop(bench: Bench) -> None:
    async def main() -> None:
        errand = Errand(bench)
        assert not bench.driver.lead(errand.begin, errand.done)

    asyncio.run(main())


def test_a_callback_knows_that_it_is_driven_here(bench: Bench) -> None:
    errand = Errand(bench)
    here: list[bool] = []

    def begin(*, now: bool = False) -> None:
        bench.loop.call_soon(lambda: here.append(bench.driver.here()))
        errand.begin_and_end()

    assert not bench.driver.here()
    assert bench.driver.lead(begin, errand.done)
    assert here == [True]


def test_after_the_end_nothing_is_taken(bench: Bench) -> None:
    bench.driver.end()
    bench.thread.join()
    errand = Errand(bench)
    assert not bench.driver.lead(errand.begin, errand.done)
    assert not bench.driver.post(errand.begin)
    assert errand.begun_by == []


def test_an_interrupt_ends_the_leading_but_no_callback(bench: Bench) -> None:
    errand = Errand(bench)
    finished: list[bool] = []

    def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        finished.append(True)

    def begin(*, now: bool = False) -> None:
        errand.begin()
        bench.loop.call_soon(interrupted)

    with pytest.raises(KeyboardInterrupt):
        bench.driver.lead(begin, errand.done)
    assert finished == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    bench.driver.post(errand.end)
    errand.wait()
    assert errand.ended_by == [bench.thread], "it took over"
    bench.rest()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP])
def test_the_main_thread_leads_nothing_if_a_handler_of_the_programs_may_raise(
    bench: Bench, number: signal.Signals
) -> None:
    before = signal.signal(number, lambda *_: None)
    try:
        errand = Errand(bench)
        assert not bench.driver.lead(errand.begin, errand.done)
        leading = threading.Thread(target=partial(bench.driver.lead, errand.begin_and_end, errand.done))
        leading.start()
        errand.wait()
        leading.join()
        assert errand.begun_by == [leading], "no handler runs there"
    finally:
        signal.signal(number, before)
    bench.rest()


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_an_interrupt_that_raises_nothing_is_let_be(bench: Bench, handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        errand = Errand(bench)
        assert bench.driver.lead(errand.begin_and_end, errand.done)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_nobody_is_stranded(bench: Bench) -> None:
    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            errand = Errand(bench)
            ways: list[Callable[[], bool]] = [
                lambda errand=errand: bench.driver.lead(errand.begin_and_end, errand.done),  # type: ignore[misc]  # bound now
                lambda: False,
            ]
            if not chance.choice(ways)():
                assert bench.driver.post(errand.begin_and_end)
            errand.wait()
            assert len(errand.begun_by) == len(errand.ended_by) == 1
        answered.append(seed)

    answered: list[int] = []
    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answered) == list(range(8))
    bench.rest()
