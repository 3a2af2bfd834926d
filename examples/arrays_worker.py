"""A worker that computes on a million numbers where the network put them: Cap'n Proto, read in place by numpy.

Its types are those of series.capnp: `hoot schema gen series.capnp -o .` made series_capnp.py of it.
"""

import numpy as np

from hootbus.workers import Worker
from hootbus.workers.generated import Body
from series_capnp import Series, Summary

worker = Worker("series")


@worker.method
def summary(series: Series) -> Body[Summary]:
    # A read-only numpy array over the received frame: nothing is copied, however long it is.
    values = np.asarray(series.values)
    return {"count": len(values), "mean": values.mean()}


if __name__ == "__main__":
    worker.run()
