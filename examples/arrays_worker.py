"""A worker that computes on a million numbers where the network put them: Cap'n Proto, read in place by numpy."""

from pathlib import Path

from hootbus.schemas import Builder, load
from hootbus.workers import Request, Worker

series = load(Path(__file__).with_name("series.capnp"))
worker = Worker("series")


@worker.method
def summary(request: Request) -> Builder:
    # A read-only numpy array over the received frame: nothing is copied, however long it is.
    values = request.array("values", series.Series)
    return series.Summary.new_message(count=len(values), mean=float(values.mean()))


if __name__ == "__main__":
    worker.run()
