"""Sends a million numbers to arrays_worker.py, copied once: into the message."""

from pathlib import Path

import numpy as np

from hootbus.schemas import load, write_struct
from hootbus.workers import Client

series = load(Path(__file__).with_name("series.capnp"))
values = np.linspace(0.0, 1.0, 1_000_001)
body = write_struct(series.Series, name="ramp", values=values)

with Client() as bus:
    reply = bus.call("series/summary", body)
    summary = reply.capnp(series.Summary)
    print(summary.count, round(summary.mean, 6))
