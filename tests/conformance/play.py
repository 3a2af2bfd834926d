"""Plays a vector: peers made of plain ZeroMQ sockets that send and receive frames, in the order that the steps say.

    PEER sends FRAMES
    PEER receives FRAMES               the next message is this one
    PEER hears nothing                 what it is sent next is the answer to something it asks only now
    PEER sends FRAMES until OTHER receives FRAMES
    PEER closes / PEER opens           goes away without a word, and comes (back)
    broker counts REASON               `dropped` in hoot.broker/status has grown since the vector began

"Nothing" is proved without waiting. Messages to one peer arrive in the order in which the broker sent them, and it
answers a peer's messages in turn; so if the answer to a question is the next thing to arrive, nothing came before.

Once a peer has said READY, or if it binds, heartbeats reach it at any time: those that no step expects are passed over.
To any other peer every message counts.
"""

import json
import secrets
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import zmq

from conformance.brokers import Endpoints
from conformance.notation import COMMANDS, CONTENT_TYPES, SIGNATURE, Mismatch, Names, shown

VECTORS: Final = Path(__file__).parent / "vectors"
# Only a broker that fails makes a test wait for this long.
PATIENCE_MS: Final = 5_000
_RESEND_MS: Final = 20


class Vector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One story. `broker` has the settings it needs, `alone` asks for a broker that nobody uses afterwards.

    `private` asks for one at an address that only its user reaches: elsewhere not everybody may do what it does.
    """

    name: str
    peers: dict[str, str]
    steps: str
    broker: dict[str, Any] = {}
    alone: bool = False
    private: bool = False
    each: list[str] = []
    extension: bool = False


# Gives the endpoints of a broker for this vector with these settings, and ends what it started with the test.
Brokers: TypeAlias = Callable[[Vector, dict[str, Any], ExitStack], Endpoints]


class VectorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of them. `requirement` is its number in WIRE §1, 0 for our extension."""

    title: str
    requirement: int
    vector: list[Vector]


def load() -> dict[str, Vector]:
    """All vectors by their full names. One with `each` stands for several.

    `<each>` in its steps is each in turn, `<0>`, `<1>`… its words.
    """
    found: dict[str, Vector] = {}
    for path in sorted(VECTORS.glob("*.toml")):
        file = msgspec.convert(tomllib.loads(path.read_text()), VectorFile)
        for vector in file.vector:
            for index, value in enumerate(vector.each or [""]):
                steps = vector.steps.replace("<each>", value)
                for place, word in enumerate(value.split()):
                    steps = steps.replace(f"<{place}>", word)
                name = f"{file.requirement}: {vector.name}" + (f" [{value or 'none'}]" if vector.each else "")
                assert name not in found, name
                found[name] = msgspec.structs.replace(
                    vector, steps=steps, extension=file.requirement == 0, name=f"{vector.name} {index}"
                )
    return found


class Peer:
    """A socket, described as in `DEALER`, `REQ`, `ROUTER bound`, `DEALER 'identity'`, `XPUB at publish`."""

    def __init__(self, stage: "Stage", description: str) -> None:
        kind, *words = description.split()
        self._stage = stage
        self._kind = kind
        self._bound = "bound" in words
        self._at = words[words.index("at") + 1] if "at" in words else "requests"
        self._identity = next((word.strip("'").encode() for word in words if word.startswith("'")), b"")
        self._partner = b""
        self.registered = self._bound
        # What was sent until it received it, and may come once more: the frames as the vector writes them.
        self.repeated: list[str] = []
        self.endpoint = ""
        self.socket: zmq.Socket[bytes] | None = None
        if self._bound:
            self.open()

    def open(self) -> None:
        """Binds, or connects."""
        socket = self.socket = self._stage.context.socket(getattr(zmq, self._kind))
        socket.setsockopt(zmq.LINGER, 0)
        if self._identity:
            socket.setsockopt(zmq.ROUTING_ID, self._identity)
        if self._kind == "SUB":
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        if self._kind == "ROUTER":
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if self._bound:
            socket.bind(self.endpoint or "tcp://127.0.0.1:*")
            found = socket.getsockopt(zmq.LAST_ENDPOINT)
            assert isinstance(found, bytes)
            self.endpoint = found.rstrip(b"\0").decode()
        else:
            socket.connect(getattr(self._stage.endpoints, self._at))

    def close(self) -> None:
        """Goes away without a word."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def send(self, frames: list[bytes]) -> None:
        """A message; a service that binds sends to whoever spoke to it last, which is the broker."""
        if [SIGNATURE, COMMANDS["READY"]] in [frames[at : at + 2] for at in range(len(frames))]:
            self.registered = True
        assert self.socket is not None
        self.socket.send_multipart([self._partner, *frames] if self._bound else frames)

    def next(self) -> list[bytes]:
        """The next message, whatever it is."""
        assert self.socket is not None
        if not self.socket.poll(PATIENCE_MS):
            raise Mismatch("nothing was received")
        frames = self.socket.recv_multipart()
        if self._bound:
            self._partner, *frames = frames
        return frames


class Stage:
    """The peers of one vector, and what its placeholders stand for."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.endpoints = endpoints
        self.names = Names()
        self.peers: dict[str, Peer] = {}
        self._before: dict[str, int] = {}

    def close(self) -> None:
        """Everyone leaves."""
        self.context.destroy(linger=0)

    def cast(self, vector: Vector) -> dict[str, Any]:
        """Makes those peers that bind, and returns the settings of the broker that can dial them."""
        for name, description in vector.peers.items():
            if "bound" in description:
                self.peers[name] = Peer(self, description)
        settings = dict(vector.broker)
        if "default_service" in settings:
            settings["default_service"] = self.names.service(settings["default_service"])
        settings["connect"] = [self._dial(text) for text in settings.get("connect", [])]
        return settings

    def _dial(self, text: str) -> str:
        name, _, rest = text.partition("=")
        peer, semicolon, slots = rest.partition(";")
        return f"{self.names.service(name)}={self.peers[peer].endpoint}{semicolon}{slots}"

    def play(self, vector: Vector, endpoints: Endpoints) -> None:
        """All steps in turn. Raises AssertionError that names the step."""
        self.endpoints = endpoints
        for name, description in vector.peers.items():
            if name not in self.peers:
                self.peers[name] = Peer(self, description)
                self.peers[name].open()
        if "broker counts" in vector.steps and vector.extension:
            self._before = self._dropped()
        for line in vector.steps.splitlines():
            step = line.partition("#")[0].split()
            if step:
                try:
                    self._step(step, vector.extension)
                except (Mismatch, AssertionError) as error:
                    raise AssertionError(f"{' '.join(step)}: {error}") from error

    def _step(self, step: list[str], extension: bool) -> None:
        name, verb, *words = step
        if name == "broker":
            if extension:
                (reason,) = words
                # Of a malformed message's frames only those are named that were once wrong.
            assert self._dropped().get(reason, 0) > self._before.get(reason, 0), f"not counted as {reason}"
            return
        peer = self.peers[name]
        match verb:
            case "sends" if "until" in words:
                at = words.index("until")
                other, _, *wanted = words[at + 1 :]
                self._send_until(peer, words[:at], self.peers[other], wanted)
            case "sends":
                peer.send([self.names.frame(word) for word in words])
            case "receives":
                self._receive(peer, words)
            case "hears":
                self._fence(peer)
            case "closes":
                peer.close()
            case "opens":
                peer.open()
            case _:
                raise ValueError(f"no step: {verb}")

    def _receive(self, peer: Peer, words: list[str]) -> None:
        end = time.monotonic() + PATIENCE_MS / 1000
        while True:
            frames = peer.next()
            before = self.names.binding()
            try:
                return self._compare(frames, words)
            except Mismatch:
                self.names.rebind(before)
                passed_over = (peer.registered and is_heartbeat(frames)) or self._fits(frames, peer.repeated)
                if not passed_over or time.monotonic() > end:
                    raise

    def _fits(self, frames: list[bytes], words: list[str]) -> bool:
        try:
            self._compare(frames, words)
        except Mismatch:
            return False
        return True

    def _compare(self, frames: list[bytes], words: list[str]) -> None:
        if len(frames) != len(words):
            raise Mismatch(f"{len(frames)} frames, not {len(words)}: {' '.join(map(shown, frames))}")
        for index, (word, frame) in enumerate(zip(words, frames, strict=True)):
            try:
                self.names.check(word, frame)
            except Mismatch as error:
                raise Mismatch(f"frame {index}: {error}; all: {' '.join(map(shown, frames))}") from None

    def _send_until(self, peer: Peer, words: list[str], other: Peer, wanted: list[str]) -> None:
        """Sends again, whenever the answer is an error, or there are no answers, until the other has got it."""
        assert other.socket is not None
        assert peer.socket is not None
        end = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < end:
            peer.send([self.names.frame(word) for word in words])
            poller = zmq.Poller()
            poller.register(other.socket, zmq.POLLIN)
            answers = peer.socket.type in (zmq.DEALER, zmq.REQ)
            if answers:
                poller.register(peer.socket, zmq.POLLIN)
            while ready := dict(poller.poll(PATIENCE_MS if answers else _RESEND_MS)):
                if peer.socket in ready and answers:
                    peer.next()
                    break
                frames = other.next()
                if not (other.registered and is_heartbeat(frames)):
                    self._compare(frames, wanted)
                    other.repeated = wanted if other.socket.type == zmq.SUB else []
                    return
        raise Mismatch("it was never received")

    def _fence(self, peer: Peer) -> None:
        """Asks something; what comes next must be the answer."""
        identifier = secrets.token_bytes(16)
        if not peer.registered:
            ask = [SIGNATURE, COMMANDS["HEARTBEAT"], CONTENT_TYPES["EMPTY"], identifier, b"", b"", b""]
            peer.send(ask)
            frames = peer.next()
            if frames != ask:
                raise Mismatch(f"something was received: {' '.join(map(shown, frames))}")
            return
        # A worker's heartbeats are not answered, but a request to a service that nobody offers is.
        service = self.names.frame("service:nobody")
        peer.send([SIGNATURE, COMMANDS["REQUEST"], CONTENT_TYPES["JSON"], identifier, service, b"", b"{}"])
        while is_heartbeat(frames := peer.next()):
            pass
        if frames[:2] != [SIGNATURE, COMMANDS["REPLY"]] or frames[3] != identifier:
            raise Mismatch(f"something was received: {' '.join(map(shown, frames))}")

    def _dropped(self) -> dict[str, int]:
        status = ask_broker(self.context, self.endpoints.requests, b"hoot.broker/status")
        dropped: dict[str, int] = status["dropped"]
        return dropped


def is_heartbeat(frames: list[bytes]) -> bool:
    """Whether these are a HEARTBEAT without return addresses."""
    return frames[:2] == [SIGNATURE, COMMANDS["HEARTBEAT"]]


def ask_broker(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, service: bytes) -> dict[str, Any]:
    """What one of the broker's own services answers in JSON."""
    with context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(endpoint)
        head = [SIGNATURE, COMMANDS["REQUEST"], CONTENT_TYPES["JSON"], secrets.token_bytes(16)]
        socket.send_multipart([*head, service, b"", b"{}"])
        if not socket.poll(PATIENCE_MS):
            raise Mismatch(f"no answer from {service.decode()}")
        answer: dict[str, Any] = json.loads(socket.recv_multipart()[6])
        return answer


def speaks_extension(endpoint: str) -> bool:
    """Whether the broker answers a HEARTBEAT that has options with one that has them too."""
    vector = Vector("probe", {"peer": "DEALER"}, "peer sends HOOT01 HEARTBEAT EMPTY id:1 - - - options:")
    stage = Stage(Endpoints(endpoint))
    try:
        stage.play(vector, stage.endpoints)
        return len(stage.peers["peer"].next()) > 7
    finally:
        stage.close()
