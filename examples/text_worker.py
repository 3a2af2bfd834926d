"""A worker: `hoot worker text_worker:worker`, or four processes of it: `hoot worker -n 4 text_worker:worker`."""

from hootbus.workers import Request, Worker

worker = Worker("text")


@worker.method
def upper(request: Request) -> dict[str, str]:
    return {"text": request.json()["text"].upper()}


if __name__ == "__main__":
    worker.run()
