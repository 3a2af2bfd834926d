"""A worker whose replies come in pieces: a handler that is a generator."""

from collections.abc import Iterator

from hootbus.workers import Request, Worker

worker = Worker("numbers")


@worker.method
def squares(request: Request) -> Iterator[int]:
    for number in range(request.json()["to"]):
        yield number * number


if __name__ == "__main__":
    worker.run()
