"""A subscriber's process that reads one event, and counts the rest when it is asked."""

from contextlib import suppress

from benchmarks.role import Line
from hootbus.workers import Subscriber


def listen_slowly(line: Line, *, address: str, topic: str) -> None:
    """Serves {"seconds"}: how many events it has received and lost, once none has come for so long."""
    with Subscriber(topic, address=address) as subscriber:
        line.ready()
        line.answer(sequence=subscriber.receive().sequence)
        received = 1
        while True:
            order = line.order()
            with suppress(TimeoutError):
                while True:
                    subscriber.receive(order["seconds"])
                    received += 1
            line.answer(received=received, lost=subscriber.lost)
