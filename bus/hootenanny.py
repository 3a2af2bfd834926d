"""The event feed that Hootenanny's own subscribers expect: one bare frame per event, no topic, no header."""

import threading

import zmq

from hootbus.bus.guard import CannotServe
from hootbus.bus.proxy import SUBSCRIBE_INSIDE
from hootbus.frames.buffer import Buffer, Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import JOINED, read_event, split
from hootbus.frames.protocol import ContentType
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import Wire
from hootbus.schemas import standard, type_id


class BareEventFeed:
    """Republishes the events whose body is a Cap'n Proto `Broadcast`, in a thread that ends with the context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self._thread = threading.Thread(target=self._run, name="hoot-bare-events", daemon=True)
        self._schema_id = type_id(standard.broadcast.Broadcast)
        self._subscriber = Wire(event_socket(context, zmq.SUB))
        self._feed = Wire(event_socket(context, zmq.PUB))
        try:
            self._feed.socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._subscriber.close(0)
            self._feed.close(0)
            raise CannotServe(f"cannot serve the Hootenanny events at {endpoint}: {error}") from None
        self._subscriber.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._subscriber.socket.connect(SUBSCRIBE_INSIDE)

    def start(self) -> None:
        """Begins to republish."""
        self._thread.start()

    def join(self) -> None:
        """Waits for the thread, once the context is being ended."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._subscriber.socket.poll()
                while (frames := self._subscriber.receive()) is not None:
                    for body in self._bodies(frames):
                        self._feed.send([body])
        except zmq.ContextTerminated:
            pass
        finally:
            self._subscriber.close(0)
            self._feed.close(0)

    def _bodies(self, frames: Frames) -> list[Buffer]:
        """The `Broadcast` bodies in an event, none if it is of another kind or no event at all."""
        try:
            _, header, body = read_event(frames)
            if header.content_type is not ContentType.CAPNPROTO or header.schema_id != self._schema_id:
                return []
            return list(split(body, header.count)) if header.flags & JOINED else [body]
        except BadFrame:
            return []
