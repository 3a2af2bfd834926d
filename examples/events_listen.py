"""Listens to three events whose topics begin with "jobs."; as `hoot listen jobs. --count 3` does."""

from hootbus.workers import Subscriber

with Subscriber("jobs.") as subscriber:
    # From here on nothing is missed, or it is counted in `subscriber.lost`.
    print("listening", flush=True)
    for _ in range(3):
        event = subscriber.receive()
        print(event.topic, event.sequence, event.json())
