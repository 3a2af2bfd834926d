"""`hoot recorder` as a process of its own: what it keeps, and what is left when it is killed."""

import asyncio
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.shell import refused, run_here, started, until
from hootbus.bus.cli import record
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.recorder import Recorder
from hootbus.bus.recording import RecordingLimits
from hootbus.frames.address import parse_address
from hootbus.frames.buffer import Frames
from hootbus.frames.event import EventHeader, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.workers import Publisher, Subscriber

PATIENCE_S = 20.0
FLOOD = 30_000


def test_the_defaults_are_those_of_the_recording() -> None:
    limits = RecordingLimits()
    options = {option.name: option.default for option in record.recorder.params}
    assert (options["per_topic"], options["topics"], options["bytes"]) == (
        limits.events_per_topic,
        limits.topics,
        limits.bytes,
    )


class Marked:
    """A subscription whose mark has come, and behind it, in the same moment, an event."""

    def __init__(self, behind: Frames) -> None:
        self.behind = [behind]

    def mark(self, take: Callable[[Frames], None], timeout: float | None) -> Iterator[float]:
        return iter(())

    def receive(self) -> Frames | None:
        return self.behind.pop() if self.behind else None


def test_what_comes_right_behind_a_mark_is_recorded_though_nothing_follows_it() -> None:
    recorder = Recorder(parse_address("ipc:///nowhere/at/all"), limits=RecordingLimits())
    recorder._ended = False
    recorder._subscription = Marked([b"a", write_event_header(EventHeader(ContentType.EMPTY)), b""])  # type: ignore[assignment]  # what it needs of one

    async def catch_up() -> None:
        recorder._catching_up = asyncio.Lock()
        recorder._loop = asyncio.get_running_loop()
        await recorder._catch_up()

    asyncio.run(catch_up())
    assert recorder.recording.events == 1


def test_listeners_that_come_late_get_what_was(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    bus = hoot_bus.address
    options = ("--topic", "jobs.", "--topic", "logs.", "--per-topic", "2")
    with started("recorder", *options, bus=bus, log=tmp_path / "log") as recorder:
        assert recorder.line() == {"ready": True, "service": "hoot.recorder", "bus": bus, "pid": recorder.pid}
        for number in range(3):
            assert run_here("publish", "jobs.done", str(number), bus=bus).status == 0
        assert run_here("publish", "other", "3", bus=bus).status == 0
        ran = run_here("listen", "--replay", "5", "--count", "2", "--timeout", "20", bus=bus)
        assert [(line["topic"], line["body"], line["replayed"]) for line in ran.lines] == [
            ("jobs.done", 1, True),
            ("jobs.done", 2, True),
        ]
        ran = run_here("listen", "jobs.", "--latest", "--count", "1", "--timeout", "20", bus=bus)
        assert [line["body"] for line in ran.lines] == [2]
        status = run_here("call", "hoot.recorder/status", bus=bus).json
        assert (status["recorded"], status["events"]) == (3, 2)
        assert recorder.end() == 0
        assert "Traceback" not in recorder.err
    ran = run_here("listen", "--latest", "--count", "1", "--timeout", "20", bus=bus)
    assert (ran.status, ran.out) == (1, "")
    assert re.fullmatch(r"unknown_service: nobody on .* start one with `hoot recorder`\n", ran.err)


def test_a_signal_ends_one_that_waits_for_a_broker(tmp_path: Path) -> None:
    with started("recorder", bus=f"ipc://{tmp_path}/bus", log=tmp_path / "log") as recorder:
        until(lambda: "waiting for a broker" in recorder.err, "it waits")
        assert recorder.end(signal.SIGTERM) == 0
        assert "Traceback" not in recorder.err


def test_what_makes_no_sense_is_refused() -> None:
    assert "--per-topic" in refused("recorder", "--per-topic", "0")
    assert "--replay" in refused("listen", "--replay", "-1")


def test_a_recorder_is_killed_and_comes_back_while_late_joiners_meet_a_flood(
    hoot_bus: EmbeddedBroker, tmp_path: Path
) -> None:
    """Each late joiner's sums balance to the message, and what it saw first is where its account begins."""
    bus = hoot_bus.address
    published = 0
    half, go_on = threading.Event(), threading.Event()

    def flood() -> None:
        nonlocal published
        with Publisher(bus) as publisher:
            for number in range(FLOOD):
                publisher.publish("flood", number.to_bytes(8, "big"))
                published += 1
                if number == FLOOD // 2:
                    half.set()
                    go_on.wait(PATIENCE_S)
            publisher.publish("flood", "end")
            published += 1

    flooding = threading.Thread(target=flood)
    joiners: list[tuple[Subscriber, int]] = []
    with started("recorder", "--per-topic", "100", bus=bus, log=tmp_path / "first") as first:
        first.line()
        flooding.start()
        joiners.append((joined(bus, 50), 0))
        assert half.wait(PATIENCE_S)
        until(
            lambda: run_here("call", "hoot.recorder/status", bus=bus).json["recorded"] > FLOOD // 2, "it has the half"
        )
        # While nothing is published the replay is exactly what was asked for.
        joiners.append((joined(bus, 50), FLOOD // 2 + 1 - 50))
        first.end(signal.SIGKILL)
    with started("recorder", "--per-topic", "100", bus=bus, log=tmp_path / "second") as second:
        second.line()
        # The next one knows nothing of before, so this one begins with what is published now.
        joiners.append((joined(bus, 50), FLOOD // 2 + 1))
        go_on.set()
        joiners.append((joined(bus, 50), FLOOD // 2 + 1))
        flooding.join()
        rest = FLOOD - FLOOD // 2
        until(lambda: run_here("call", "hoot.recorder/status", bus=bus).json["recorded"] >= rest, "it has the rest")
        with joined(bus, 50) as last:
            assert [last.receive(PATIENCE_S).sequence for _ in range(50)] == list(range(FLOOD - 49, FLOOD + 1))
    assert published == FLOOD + 1
    for number, (subscriber, earliest) in enumerate(joiners):
        begin, seen, missed = account(subscriber)
        assert begin + seen + missed == published, f"joiner {number}"
        assert begin >= earliest
        assert begin == earliest or number in (0, 3), f"joiner {number}"
        subscriber.close()


def joined(bus: str, replay: int) -> Subscriber:
    subscriber = Subscriber("flood", address=bus, replay=replay)
    subscriber.ready(PATIENCE_S)
    return subscriber


def account(subscriber: Subscriber) -> tuple[int, int, int]:
    """Of one topic of one publisher: where it began, how much was seen, and how much missed, up to the end."""
    event = subscriber.receive(PATIENCE_S)
    begin, seen, missed = event.sequence, 1, event.missed
    while bytes(event.raw) != b'"end"':
        event = subscriber.receive(PATIENCE_S)
        seen += 1
        missed += event.missed
        assert event.sequence == begin + seen + missed - 1, "in order, and no double"
    return begin, seen, missed
