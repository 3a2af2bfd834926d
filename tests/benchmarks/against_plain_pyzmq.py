"""Requests per second: hootbus beside broker, client and worker on plain pyzmq multipart calls, in one run.

Run it with `python tests/benchmarks/against_plain_pyzmq.py`. Three processes each, 100-byte bodies, 256 in flight, ipc,
alternating rounds. The plain side is what one writes from the ZeroMQ guide: ROUTER broker, DEALER worker, DEALER
client, `recv_multipart` and `send_multipart` of the same seven frames, no checks, no timeouts.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import zmq

BODY: Final = b"x" * 100
IN_FLIGHT: Final = 256
_HEADER: Final = [b"HOOT01", b"\0\2", b"\0\2"]


def plain_broker(folder: str) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(f"ipc://{folder}/plain")
    worker = b""
    clients: dict[bytes, bytes] = {}
    while True:
        identity, *frames = socket.recv_multipart()
        if frames[1] == b"\0\1":
            worker = identity
        elif frames[1] == b"\0\2":
            clients[frames[3]] = identity
            socket.send_multipart([worker, *frames])
        else:
            socket.send_multipart([clients.pop(frames[3]), *frames])


def plain_worker(folder: str) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(f"ipc://{folder}/plain")
    socket.send_multipart([b"HOOT01", b"\0\1", b"\0\0", bytes(16), b"echo", b"", b""])
    while True:
        frames = socket.recv_multipart()
        frames[1] = b"\0\3"
        socket.send_multipart(frames)


def plain_client(folder: str, count: int) -> float:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(f"ipc://{folder}/plain")

    def ask(number: int) -> None:
        socket.send_multipart([*_HEADER, number.to_bytes(16, "big"), b"echo", b"", BODY])

    # What comes before the worker is there is lost: this broker is that plain.
    probe = count + IN_FLIGHT
    ask(probe)
    while not socket.poll(500):
        probe += 1
        ask(probe)
    while socket.poll(100):
        socket.recv_multipart()
    began = time.perf_counter()
    for number in range(IN_FLIGHT):
        ask(number)
    for number in range(IN_FLIGHT, count + IN_FLIGHT):
        socket.recv_multipart()
        if number < count:
            ask(number)
    took = time.perf_counter() - began
    context.destroy(0)
    return count / took


def hoot_broker(folder: str) -> None:
    from hootbus.bus.broker import Broker
    from hootbus.frames.address import parse_address

    Broker(parse_address(f"ipc://{folder}/hoot")).run()


def hoot_worker(folder: str) -> None:
    from hootbus.workers import Request, Worker

    worker = Worker("echo", f"ipc://{folder}/hoot")

    @worker.method(inline=True)
    def echo(request: Request) -> memoryview:
        return request.raw

    worker.run()


async def hoot_client(folder: str, count: int) -> float:
    from hootbus.workers import AsyncClient

    async with AsyncClient(f"ipc://{folder}/hoot") as bus:
        await bus.call("echo", BODY, wait=True)

        async def caller(calls: int) -> None:
            for _ in range(calls):
                await bus.call("echo", BODY)

        began = time.perf_counter()
        await asyncio.gather(*(caller(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))
        return count / (time.perf_counter() - began)


@contextmanager
def running(*targets: Callable[[str], None], folder: str) -> Iterator[None]:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=target, args=(folder,), daemon=True) for target in targets]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=51_200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    plain, hoot = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(plain_broker, plain_worker, hoot_broker, hoot_worker, folder=folder),
    ):
        plain_client(folder, IN_FLIGHT)
        asyncio.run(hoot_client(folder, IN_FLIGHT))
        for _ in range(options.rounds):
            plain.append(plain_client(folder, options.requests))
            hoot.append(asyncio.run(hoot_client(folder, options.requests)))
            print(f"plain pyzmq {plain[-1]:9,.0f}/s   hootbus {hoot[-1]:9,.0f}/s", flush=True)
    ratio = statistics.median(hoot) / statistics.median(plain)
    print(f"{ratio:.1f} × plain pyzmq, medians of {options.rounds} rounds on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
