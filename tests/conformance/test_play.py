"""The player itself: a broker that breaks a rule is caught, and `--broker` reaches one that runs elsewhere."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import zmq

from conformance import capnp_bytes
from conformance.brokers import Endpoints, own
from conformance.notation import COMMANDS, Mismatch, Names
from conformance.play import Stage, Vector

HERE = Path(__file__).parent


@contextmanager
def false_broker(answers: Callable[[list[bytes]], list[list[bytes]]]) -> Iterator[Endpoints]:
    """A ROUTER that answers each message as it is told to, until the end of the block."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def serve() -> None:
        try:
            while True:
                for answer in answers(router.recv_multipart()):
                    router.send_multipart(answer)
        except zmq.ContextTerminated:
            router.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Endpoints(f"tcp://127.0.0.1:{port}")
    finally:
        context.term()
        thread.join()


def played(steps: str, endpoints: Endpoints) -> None:
    stage = Stage(endpoints)
    try:
        stage.play(Vector("a vector", {"client": "DEALER"}, steps), endpoints)
    finally:
        stage.close()


ASK = "client sends 'a' HOOT01 HEARTBEAT EMPTY id:1 - - -\n"
ECHO = "client receives 'a' HOOT01 HEARTBEAT EMPTY id:1 - - -\n"


def test_a_broker_that_keeps_the_rules_is_not_blamed() -> None:
    with false_broker(lambda frames: [frames]) as endpoints:
        played(ASK + ECHO + "client hears nothing", endpoints)


def test_a_second_answer_is_caught() -> None:
    with (
        false_broker(lambda frames: [frames, frames]) as endpoints,
        pytest.raises(AssertionError, match="client hears nothing: something was received"),
    ):
        played(ASK + ECHO + "client hears nothing", endpoints)


def test_a_lost_return_address_is_caught() -> None:
    with (
        false_broker(lambda frames: [[frames[0], *frames[2:]]]) as endpoints,
        pytest.raises(AssertionError, match="7 frames, not 8"),
    ):
        played(ASK + ECHO, endpoints)


def test_another_id_is_caught() -> None:
    with (
        false_broker(lambda frames: [[*frames[:5], bytes(16), *frames[6:]]]) as endpoints,
        pytest.raises(AssertionError, match="frame 4: id:1 expected"),
    ):
        played(ASK + ECHO, endpoints)


@pytest.mark.parametrize(
    ("word", "frame"),
    [
        ("READY", COMMANDS["REPLY"]),
        ("-", b"x"),
        ("*:16", b"x"),
        ("id:unseen", b"x"),
        ("options:flags=1", bytes(32)),
        ("options:", b""),
        ('json:{"a":1}', b'{"a":2,"b":1}'),
        ('json:{"a":"*"}', b'{"b":1}'),
        ("json:[1]", b"[1,2]"),
        ("capnp:error(denied)", capnp_bytes.envelope(bytes(16), capnp_bytes.PING)),
        ("capnp:pong", capnp_bytes.envelope(bytes(16), capnp_bytes.PING)),
    ],
)
def test_a_frame_that_differs_is_a_mismatch(word: str, frame: bytes) -> None:
    with pytest.raises(Mismatch):
        Names().check(word, frame)


@pytest.mark.parametrize("word", ["bytes:300", "json:[1]", "options:flags=3", "id:1", "service:up", "capnp:other"])
def test_what_is_sent_is_what_is_expected(word: str) -> None:
    names = Names()
    names.check(word, names.frame(word))


def test_the_vectors_run_against_a_broker_that_is_named() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE), "-k", "4: or REQ or hello"]
    with own("tcp") as endpoints:
        run = subprocess.run([*command, "--broker", endpoints.requests], capture_output=True, text=True, cwd=HERE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout
    assert "needs a broker of its own, with the settings" in run.stdout


def test_a_vector_with_a_word_that_is_none_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "a", "peers": {}, "step": ""}, Vector)
