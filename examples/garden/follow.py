"""Shows what the transport tells, as it comes, until it has played and is stopped. Behind a beat: how late it came."""

import sys
import time
from typing import Final

from hootbus.workers import Subscriber
from hootbus.workers.standard.broadcast_capnp import Broadcast

NS_PER_MS: Final = 1_000_000
INTERRUPTED: Final = 130


def shown(told: Broadcast) -> str:
    if told.which() == "beatTick":
        beat = told.beatTick
        late = (time.time_ns() - beat.timestamp.nanos) / NS_PER_MS
        return f"beat {beat.beat}  {late:+.1f} ms"
    if told.which() == "markerReached":
        marker = told.markerReached
        return f"marker {marker.markerType} at {marker.positionBeats:g}"
    changed = told.transportStateChanged
    return f"{changed.state} at {changed.positionBeats:g}, {changed.tempoBpm:g} bpm"


def follow(subscriber: Subscriber) -> None:
    """Returns when the transport has played and is stopped."""
    played = False
    for event in subscriber:
        if event.missed:
            print(f"{event.missed} lost")
        told = event.capnp(Broadcast)
        print(shown(told), flush=True)
        if told.which() == "transportStateChanged":
            state = told.transportStateChanged.state
            played = played or state == "playing"
            if played and state == "stopped":
                return


def main() -> None:
    try:
        with Subscriber("garden.") as subscriber:
            print("following", flush=True)
            follow(subscriber)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
