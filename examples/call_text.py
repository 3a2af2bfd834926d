"""A client of text_worker.py; as `hoot call text/upper '{"text": "hi"}'` does."""

from hootbus.workers import Client, HootError

with Client() as bus:
    reply = bus.call("text/upper", {"text": "hi"})
    print(reply.json())

    # Every request has an outcome. One that fails is an exception with a code.
    try:
        bus.call("text/lower", {"text": "HI"})
    except HootError as error:
        print(error.code)
