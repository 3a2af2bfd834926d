"""Takes the pieces of a reply of stream_worker.py as they come."""

from hootbus.workers import Client

with Client() as bus:
    for item in bus.stream("numbers/squares", {"to": 5}):
        print(item.json())

    # Who does not stream gets them all in one list.
    print(bus.call("numbers/squares", {"to": 5}).json())
