"""Sends a million numbers to arrays_worker.py, copied once: into the message."""

import numpy as np

from hootbus.schemas import write_struct
from hootbus.workers import Client
from series_capnp import Series, Summary

values = np.linspace(0.0, 1.0, 1_000_001)
body = write_struct(Series, name="ramp", values=values)

with Client() as bus:
    summary = bus.call("series/summary", body).capnp(Summary)
    print(summary.count, round(summary.mean, 6))
