"""The garden example: its core by a clock of the test's own, and its programs on a bus."""

import itertools
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import standard, type_id
from hootbus.workers import BadBody
from hootbus.workers.standard.broadcast_capnp import Broadcast
from hootbus.workers.standard.garden_bus import GardenClient
from hootbus.workers.standard.garden_capnp import Marker as MarkerReader
from hootbus.workers.standard.garden_capnp import Position, Region, TransportState
from timeline import GRID, LOOP, Marker, Refused
from transport import HELD_UP_NS_MAX, BeatReached, Event, MarkerReached, Transport

FOLDER = Path(__file__).parents[2] / "examples" / "garden"
TIMEOUT_S = 30
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
# A moment as good as any other: a clock need not begin at 0.
START = 7_000_000_123


class World:
    """A transport, and a clock that goes from one of its moments to the next."""

    def __init__(self, tempo: float = 60.0) -> None:
        self.transport = Transport(tempo)
        self.now = START

    def until(self, seconds: float) -> list[Event]:
        """What happens up to this many seconds after the start, each thing at the moment that was foretold."""
        until = START + round(seconds * SECOND)
        events: list[Event] = []
        while (moment := self.transport.next_moment()) is not None and moment <= until:
            self.now = max(self.now, moment)
            events += self.transport.due(self.now)
        self.now = until
        return events

    def play(self, beat: float = 0.0) -> None:
        if beat:
            self.transport.seek(self.now, beat)
        self.transport.play(self.now)

    def add_marker(self, position: float, kind: str = "cue") -> Marker:
        return self.transport.timeline(self.now).add_marker(position, kind, "")

    def add_loop(self, start: float, length: float) -> str:
        return self.transport.timeline(self.now).create_region(start, length, LOOP, "").id


@pytest.fixture
def world() -> World:
    return World()


def told(events: list[Event]) -> list[str]:
    """`what where @seconds`, as one reads it."""

    def place(event: Event) -> str:
        if isinstance(event, BeatReached):
            return f"beat {event.beat}"
        if isinstance(event, MarkerReached):
            return f"{event.marker.kind} {float(event.marker.position):g}"
        return f"{event.state.value} {float(event.position):g}"

    return [f"{place(event)} @{(event.moment - START) / SECOND:g}" for event in events]


def beats(events: list[Event]) -> list[int]:
    return [event.beat for event in events if isinstance(event, BeatReached)]


# The core.


def test_beats_come_at_their_exact_moments_and_the_first_one_at_once(world: World) -> None:
    world.transport.play(world.now)
    assert told(world.until(3)) == ["playing 0 @0", "beat 0 @0", "beat 1 @1", "beat 2 @2", "beat 3 @3"]


def test_nothing_drifts_at_a_tempo_that_no_clock_can_divide_though_it_is_always_asked_late() -> None:
    transport = Transport(tempo=133.7)
    transport.play(START)
    transport.due(START)
    for beat in range(1, 2000):
        moment = transport.next_moment()
        assert moment == START + math.ceil(beat * MINUTE / Fraction(133.7))
        late = moment + beat * 1_000_003 % 50_000_000
        assert transport.due(late) == [BeatReached(moment=moment, beat=beat, tempo=Fraction(133.7))]


def test_before_play_and_after_stop_there_is_nothing_to_wait_for(world: World) -> None:
    assert world.transport.next_moment() is None
    world.play()
    assert beats(world.until(2)) == [0, 1, 2]
    world.transport.stop(world.now)
    assert told(world.until(9)) == ["stopped 0 @2"]
    assert world.transport.next_moment() is None
    assert world.transport.position(world.now) == 0


def test_pause_keeps_the_position_and_play_goes_on_without_telling_a_beat_twice(world: World) -> None:
    world.play()
    assert beats(world.until(2)) == [0, 1, 2]
    world.transport.pause(world.now)
    assert told(world.until(5)) == ["paused 2 @2"]
    world.transport.play(world.now)
    assert told(world.until(7)) == ["playing 2 @5", "beat 3 @6", "beat 4 @7"]


def test_a_change_of_tempo_between_two_beats_keeps_the_position(world: World) -> None:
    world.play()
    assert beats(world.until(1.5)) == [0, 1]
    world.transport.set_tempo(world.now, 30.0)
    assert world.transport.position(world.now) == Fraction(3, 2)
    # Half a beat is left, at two seconds for each.
    assert told(world.until(4.5)) == ["playing 1.5 @1.5", "beat 2 @2.5", "beat 3 @4.5"]


def test_seek_goes_on_from_there_and_tells_what_lies_there(world: World) -> None:
    world.add_marker(8.0)
    world.play()
    assert beats(world.until(1.5)) == [0, 1]
    world.transport.seek(world.now, 8.0)
    assert told(world.until(2.5)) == ["playing 8 @1.5", "beat 8 @1.5", "cue 8 @1.5", "beat 9 @2.5"]


def test_a_marker_between_two_beats_is_told_by_who_seeks_to_it(world: World) -> None:
    world.add_marker(2.5)
    world.play(beat=2.5)
    assert told(world.until(0.5))[-2:] == ["cue 2.5 @0", "beat 3 @0.5"]


@pytest.mark.parametrize(
    ("command", "last"),
    [
        (lambda transport, now: transport.stop(now), "stopped 0 @1.5"),
        (lambda transport, now: transport.pause(now), "paused 1.5 @1.5"),
        (lambda transport, now: transport.seek(now, 8.5), "playing 8.5 @1.5"),
        (lambda transport, now: transport.set_tempo(now, 90.0), "playing 1.5 @1.5"),
    ],
)
def test_a_command_comes_behind_what_was_due_before_it(
    world: World, command: Callable[[Transport, int], None], last: str
) -> None:
    world.play()
    command(world.transport, START + 3 * SECOND // 2)
    assert told(world.transport.due(START + 3 * SECOND // 2)) == ["playing 0 @0", "beat 0 @0", "beat 1 @1", last]


def test_positions_stay_on_the_grid_however_often_the_tempo_changes() -> None:
    transport = Transport(tempo=100.1)
    transport.play(START)
    for step in range(1, 100):
        transport.set_tempo(START + step * 1_234_567, 100.1 + step / 7)
    transport.pause(START + SECOND)
    assert GRID % transport.position(START + SECOND).denominator == 0


def test_seek_between_two_beats_waits_for_the_rest_of_one(world: World) -> None:
    world.play(beat=2.25)
    assert told(world.until(1))[-1:] == ["beat 3 @0.75"]


def test_a_loop_goes_back_on_time_and_its_end_is_never_reached(world: World) -> None:
    world.add_loop(1.0, 1.5)
    world.play()
    assert told(world.until(4.5)) == [
        "playing 0 @0",
        "beat 0 @0",
        "beat 1 @1",
        "beat 2 @2",
        "playing 1 @2.5",
        "beat 1 @2.5",
        "beat 2 @3.5",
        "playing 1 @4",
        "beat 1 @4",
    ]


def test_a_thousand_passes_of_a_loop_end_where_the_sum_of_them_does() -> None:
    world = World(tempo=6000.0 / 7)
    world.add_loop(0.0, 1.0)
    world.play()
    moments = [event.moment for event in world.until(100) if isinstance(event, BeatReached)]
    assert moments[1000] == START + math.ceil(1000 * MINUTE / Fraction(6000.0 / 7))


def test_a_marker_is_told_once_in_each_pass_behind_the_beat_at_its_place(world: World) -> None:
    world.add_loop(0.0, 2.0)
    world.add_marker(1.0, "second")
    world.add_marker(1.0, "third")
    world.add_marker(0.5, "first")
    world.add_marker(2.0, "never")
    world.play()
    kinds = [event.marker.kind for event in world.until(3.9) if isinstance(event, MarkerReached)]
    assert kinds == ["first", "second", "third"] * 2


def test_of_two_loops_the_one_that_ends_first_is_gone_through_until_it_is_deleted(world: World) -> None:
    inner = world.add_loop(1.0, 1.0)
    world.add_loop(0.0, 3.0)
    world.play()
    assert beats(world.until(2.5)) == [0, 1, 1]
    world.transport.timeline(world.now).delete_region(inner)
    assert beats(world.until(6.5)) == [2, 0, 1, 2]


def test_of_two_loops_with_one_end_the_shorter_is_gone_through(world: World) -> None:
    world.add_loop(0.0, 3.0)
    world.add_loop(2.0, 1.0)
    world.play()
    assert beats(world.until(4.5)) == [0, 1, 2, 2, 2]


def test_who_seeks_to_the_end_of_a_loop_is_out_of_it(world: World) -> None:
    world.add_loop(0.0, 2.0)
    world.play(beat=2.0)
    assert beats(world.until(2.0)) == [2, 3, 4]
    assert world.transport.loop() is None


def test_a_marker_put_behind_the_transport_waits_for_the_next_pass(world: World) -> None:
    world.play()
    assert beats(world.until(1.75)) == [0, 1]
    behind = world.add_marker(1.5, "behind")
    world.add_marker(1.875, "ahead")
    moved = world.add_marker(5.0, "moved")
    world.transport.timeline(world.now).move_marker(moved.id, 0.25)
    assert told(world.until(2)) == ["ahead 1.875 @1.875", "beat 2 @2"]
    world.transport.timeline(world.now).delete_marker(behind.id)
    world.transport.seek(world.now, 0.125)
    assert [line.split()[0] for line in told(world.until(3.85))[1:]] == ["moved", "beat", "ahead"]


def test_regions_are_found_by_where_they_lie_and_end_before_their_ends(world: World) -> None:
    timeline = world.transport.timeline(world.now)
    verse = timeline.create_region(0.0, 4.0, "play", "a")
    chorus = timeline.create_region(4.0, 4.0, "play", "b")
    assert timeline.regions() == [verse, chorus]
    assert timeline.regions(0.0, 4.0) == timeline.regions_at(Fraction(0)) == [verse]
    assert timeline.regions_at(Fraction(4)) == [chorus]
    moved = timeline.move_region(verse.id, 8.0)
    assert timeline.regions() == [chorus, moved]
    assert (float(moved.start), float(moved.end)) == (8.0, 12.0)
    assert timeline.markers(0.0, 9.0) == []


@pytest.mark.parametrize(
    "command",
    [
        lambda transport: transport.set_tempo(START, 0.0),
        lambda transport: transport.set_tempo(START, float("nan")),
        lambda transport: transport.seek(START, -0.5),
        lambda transport: transport.seek(START, float("inf")),
        lambda transport: transport.timeline(START).create_region(0.0, 0.0, LOOP, ""),
        lambda transport: transport.timeline(START).move_region("region-9", 1.0),
        lambda transport: transport.timeline(START).delete_marker("marker-9"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(world: World, command: Callable[[Transport], None]) -> None:
    with pytest.raises(Refused):
        command(world.transport)
    assert world.transport.due(START) == []
    assert world.transport.position(START) == 0
    assert world.transport.timeline(START).regions() == []


def test_a_transport_that_was_held_up_goes_on_instead_of_telling_all_it_missed(world: World) -> None:
    world.play()
    assert beats(world.until(2)) == [0, 1, 2]
    late = world.now + HELD_UP_NS_MAX + 2 * SECOND
    assert beats(world.transport.due(late)) == [3]
    assert world.transport.next_moment() == late + SECOND


COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.floats(0.0, 20.0)),
        st.tuples(st.just("set_tempo"), st.floats(20.0, 600.0)),
        st.tuples(st.just("add_marker"), st.floats(0.0, 20.0)),
        st.tuples(st.just("add_loop"), st.floats(0.0, 20.0)),
        st.tuples(st.just("pause"), st.none()),
        st.tuples(st.just("play"), st.none()),
    ),
    max_size=12,
)


def carry_out(world: World, command: str, value: float | None) -> None:
    if command == "add_loop":
        assert value is not None
        world.add_loop(value, 1.0 + value / 7)
    elif command == "add_marker":
        assert value is not None
        world.add_marker(value)
    else:
        arguments = () if value is None else (value,)
        getattr(world.transport, command)(world.now, *arguments)


@given(COMMANDS, st.lists(st.integers(0, SECOND), min_size=13, max_size=13))
def test_it_makes_no_difference_how_often_it_is_asked(
    commands: list[tuple[str, float | None]], pauses: list[int]
) -> None:
    often, seldom = World(), World()
    told_often: list[Event] = []
    told_seldom: list[Event] = []
    for (command, value), pause in zip([("play", None), *commands], pauses, strict=False):
        for world in (often, seldom):
            carry_out(world, command, value)
        told_often += often.until((often.now + pause - START) / SECOND)
        seldom.now = often.now
        told_seldom += seldom.transport.due(seldom.now)
    assert told_often == told_seldom
    assert often.transport.position(often.now) == seldom.transport.position(seldom.now)


@given(COMMANDS, st.lists(st.integers(0, SECOND), min_size=13, max_size=13))
def test_beats_follow_each_other_unless_something_else_was_told(
    commands: list[tuple[str, float | None]], pauses: list[int]
) -> None:
    world = World()
    events: list[Event] = []
    for (command, value), pause in zip([("play", None), *commands], pauses, strict=False):
        carry_out(world, command, value)
        events += world.until((world.now + pause - START) / SECOND)
    moments = [event.moment for event in events]
    assert moments == sorted(moments)
    steps = [event for event in events if not isinstance(event, MarkerReached)]
    for before, after in itertools.pairwise(steps):
        if isinstance(before, BeatReached) and isinstance(after, BeatReached):
            assert after.beat == before.beat + 1


# The programs.


@contextmanager
def running(bus: EmbeddedBroker | str, *command: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, FOLDER / command[0], *command[1:]],
        env={**os.environ, "HOOT_BUS": bus if isinstance(bus, str) else bus.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: "subprocess.Popen[str]") -> list[str]:
    """What it has said, once it has ended well."""
    said, complaints = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, complaints) == (0, "")
    return said.splitlines()


@pytest.fixture
def clock(hoot_bus: EmbeddedBroker) -> Iterator[GardenClient]:
    """A client of a bus with the clock on it."""
    with running(hoot_bus, "clock_worker.py") as process:
        client = GardenClient(hoot_bus.client())
        client.with_options(wait=True, timeout=TIMEOUT_S).status()
        yield client
        process.terminate()
        assert ended(process) == []


def marker(garden: GardenClient, beat: float, kind: str) -> MarkerReader:
    return garden.addMarker(positionBeats=beat, markerType=kind, metadata="{}")


def region(garden: GardenClient, start: float, length: float, behavior: str) -> Region:
    return garden.createRegion(position=start, duration=length, behaviorType=behavior, contentId="c")


def test_a_follower_sees_the_whole_piece_without_a_gap(hoot_bus: EmbeddedBroker, clock: GardenClient) -> None:
    with running(hoot_bus, "follow.py") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "following\n"
        with running(hoot_bus, "conduct.py", "3000") as conductor:
            moves = [line.partition(":")[0] for line in ended(conductor)]
        seen = [re.sub("  .*| at .*", "", line) for line in ended(follower)]
    assert moves == ["setTempo", "seek", "play", "setTempo", "seek", "stop"]

    def expected(first: int, last: int) -> list[str]:
        return [f"beat {beat}" for beat in range(first, last + 1)]

    # How often it went round before the loop was deleted is a matter of the machine, so that is left to count.
    turn = ["playing", *expected(8, 10), "marker chorus", "beat 11"]
    turns = seen.count("marker chorus") - 1
    assert turns >= 2
    begin = ["stopped", "stopped", "playing", *expected(0, 10), "marker chorus", "beat 11"]
    assert seen[: len(begin) + turns * len(turn)] == begin + turns * turn
    rest = seen[len(begin) + turns * len(turn) :]
    # A beat or two may pass before the conductor has turned back.
    assert rest[:4] == [*expected(12, 14), "marker ending"]
    again = rest.index("playing", rest.index("playing") + 1)
    assert all(line.startswith(("beat", "playing")) for line in rest[4:again])
    assert rest[again + 1 : again + 4] == ["beat 13", "beat 14", "marker ending"]
    assert rest[-1] == "stopped"


def state_of(position: Position) -> TransportState:
    return TransportState(position.state)


def left_behind(garden: GardenClient) -> list[str]:
    """What lies on the timeline."""
    regions, markers = garden.getRegions().regions, garden.getMarkers().markers
    return [region.regionId for region in regions] + [marker.markerId for marker in markers]


def test_the_piece_is_played_from_its_beginning_wherever_the_transport_was_left(
    hoot_bus: EmbeddedBroker, clock: GardenClient
) -> None:
    clock.seek(beat=16.0)
    clock.play()
    with running(hoot_bus, "conduct.py", "3000") as conductor:
        assert ended(conductor)[-1].startswith("stop: beat 0.000")
    assert left_behind(clock) == []


def complaint(process: "subprocess.Popen[str]", status: int) -> str:
    """The one line with which it has ended."""
    _, complaints = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, complaints.count("\n")) == (status, 1)
    return complaints.strip()


def playing(conductor: "subprocess.Popen[str]") -> None:
    """Returns when the conductor has said that it plays."""
    assert conductor.stdout is not None
    assert any(line.startswith("play:") for line in iter(conductor.stdout.readline, ""))


def test_a_conductor_that_is_interrupted_cleans_up_and_ends_without_a_word(
    hoot_bus: EmbeddedBroker, clock: GardenClient
) -> None:
    with running(hoot_bus, "conduct.py", "60") as conductor:
        playing(conductor)
        conductor.send_signal(signal.SIGINT)
        said, complaints = conductor.communicate(timeout=TIMEOUT_S)
    assert (conductor.returncode, complaints) == (130, "")
    assert said.splitlines()[-1].startswith("stop:")
    assert state_of(clock.status()) == TransportState.stopped
    assert left_behind(clock) == []


def test_a_follower_that_is_interrupted_ends_without_a_word(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "follow.py") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "following\n"
        follower.send_signal(signal.SIGINT)
        assert follower.communicate(timeout=TIMEOUT_S) == ("", "")
        assert follower.returncode == 130


def test_a_conductor_whose_clock_dies_says_so(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "clock_worker.py") as clock:
        hoot_bus.client().call("garden/status", wait=True, timeout=TIMEOUT_S)
        with running(hoot_bus, "conduct.py", "60") as conductor:
            playing(conductor)
            clock.kill()
            assert "no worker offers 'garden'" in complaint(conductor, 1)


def test_a_conductor_whose_transport_is_led_astray_gives_up_and_cleans_up(
    hoot_bus: EmbeddedBroker, clock: GardenClient
) -> None:
    with running(hoot_bus, "conduct.py", "600") as conductor:
        playing(conductor)
        # Behind all of its markers it goes on for ever.
        clock.seek(beat=1000.0)
        assert "was not reached within 5 s" in complaint(conductor, 1)
    assert state_of(clock.status()) == TransportState.stopped
    assert left_behind(clock) == []


def test_a_conductor_without_a_worker_or_a_broker_says_what_is_missing(
    hoot_bus: EmbeddedBroker, tmp_path: Path
) -> None:
    with running(hoot_bus, "conduct.py") as conductor:
        error = complaint(conductor, 1)
    assert error.startswith("conduct.py: unknown_service: no worker offers 'garden'")
    assert error.endswith("`python examples/garden/clock_worker.py` starts one")
    with running(f"ipc://{tmp_path}", "conduct.py") as conductor:
        _, complaints = conductor.communicate(timeout=TIMEOUT_S)
    assert conductor.returncode == 1
    assert complaints.splitlines() == [
        f"waiting for a broker: no broker at ipc://{tmp_path}",
        "conduct.py: no broker within 3 s; `hoot broker` starts one",
    ]


@pytest.mark.parametrize("bpm", ["abc", "-5", "0", "3001", "nan"])
def test_what_is_no_tempo_is_refused(hoot_bus: EmbeddedBroker, bpm: str) -> None:
    with running(hoot_bus, "conduct.py", bpm) as conductor:
        _, complaints = conductor.communicate(timeout=TIMEOUT_S)
    assert conductor.returncode == 2
    assert complaints.endswith(f"error: argument BPM: {bpm!r} is no tempo from 1 to 3000\n")


def test_the_conductor_says_how_it_is_used(hoot_bus: EmbeddedBroker) -> None:
    with running(hoot_bus, "conduct.py", "--help") as conductor:
        assert "beats per minute, 1 to 3000; without it 120" in " ".join(" ".join(ended(conductor)).split())


def test_what_is_told_is_a_broadcast_as_hootenannys_subscribers_know_it(
    hoot_bus: EmbeddedBroker, clock: GardenClient
) -> None:
    subscriber = hoot_bus.subscriber("garden.")
    marker(clock, 1.0, "cue")
    clock.setTempo(bpm=6000.0)
    clock.play()
    told: list[str] = []
    while "markerReached" not in told:
        event = subscriber.receive(timeout=TIMEOUT_S)
        assert event.schema_id == type_id(Broadcast)
        broadcast = event.capnp(Broadcast)
        told.append(broadcast.which())
        if broadcast.which() == "beatTick":
            tick = broadcast.beatTick
            assert (tick.positionBeats, tick.tempoBpm) == (tick.beat, 6000.0)
            assert tick.timestamp.nanos <= event.time_ns
    assert told == ["transportStateChanged", "transportStateChanged", "beatTick", "beatTick", "markerReached"]
    reached = broadcast.markerReached
    assert (reached.positionBeats, reached.markerType, reached.metadata) == (1.0, "cue", "{}")
    assert subscriber.lost == 0


def test_each_move_replies_where_the_transport_is(clock: GardenClient) -> None:
    loop = region(clock, 2.0, 4.0, LOOP)
    other = region(clock, 1.0, 2.0, "play")
    position = clock.seek(beat=2.5)
    assert (state_of(position), position.positionBeats) == (TransportState.stopped, 2.5)
    assert list(position.regionIds) == [other.regionId, loop.regionId]
    assert position.loopRegionId == loop.regionId
    assert state_of(clock.play()) == TransportState.playing
    paused = clock.pause()
    assert (state_of(paused), paused.loopRegionId) == (TransportState.paused, loop.regionId)
    assert clock.status().positionBeats == paused.positionBeats >= 2.5
    assert clock.setTempo(bpm=90.0).tempoBpm == 90.0
    stopped = clock.stop()
    assert (state_of(stopped), stopped.positionBeats) == (TransportState.stopped, 0.0)
    assert stopped.timestamp.nanos > position.timestamp.nanos


def test_regions_and_markers_are_made_moved_found_and_deleted(clock: GardenClient) -> None:
    made = region(clock, 4.0, 2.0, "play")
    assert (made.position, made.duration, made.behaviorType, made.contentId) == (4.0, 2.0, "play", "c")
    assert clock.moveRegion(regionId=made.regionId, newPosition=8.0).position == 8.0
    assert [found.regionId for found in clock.getRegions(start=9.0, end=12.0).regions] == [made.regionId]
    clock.deleteRegion(regionId=made.regionId)
    assert len(clock.getRegions(start=9.0, end=12.0).regions) == 0

    cue = marker(clock, 3.0, "cue")
    assert clock.moveMarker(markerId=cue.markerId, newPositionBeats=5.0).positionBeats == 5.0
    assert [found.markerType for found in clock.getMarkers(fromBeats=5.0, toBeats=5.0).markers] == ["cue"]
    clock.deleteMarker(markerId=cue.markerId)
    assert len(clock.getMarkers(fromBeats=5.0, toBeats=5.0).markers) == 0


def test_what_the_transport_refuses_is_a_bad_body_that_names_the_field(clock: GardenClient) -> None:
    with pytest.raises(BadBody, match="bpm: 0"):
        clock.setTempo(bpm=0.0)
    with pytest.raises(BadBody, match="regionId: there is no region 'nowhere'"):
        clock.deleteRegion(regionId="nowhere")
    assert clock.status().tempoBpm == 120.0


def test_the_service_has_the_methods_that_the_schema_declares(hoot_bus: EmbeddedBroker, clock: GardenClient) -> None:
    (service,) = hoot_bus.client().call("hoot.broker/services").json()["services"]
    assert set(service["methods"]) == set(standard.garden.Garden.schema.method_names_inherited)
