"""`--log-format json`: the log as one JSON object per line."""

import json
import logging
import time

from hootbus.workers.trace import current, read_traceparent


class JsonLines(logging.Formatter):
    """A record as `ts` (UTC), `level`, `logger` and `event`.

    What happened in the broker has a short name for its `event`, and its `facts`; everything else is told as text. An
    exception has its `traceback`. What is logged in a handler, or about one, has the `trace_id` of its request if that
    is part of a trace, and its `traceparent` where it is at hand.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line: JSON has no line breaks but those that are escaped."""
        told: dict[str, object] = {
            "ts": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or record.getMessage(),
        }
        if facts := getattr(record, "hoot", None):
            told["facts"] = facts
        trace = current()
        if traceparent := getattr(record, "traceparent", None):
            told["traceparent"] = traceparent
            trace = read_traceparent(str(traceparent).encode()) or trace
        if trace is not None:
            told["trace_id"] = trace.id.decode()
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        # In ASCII, as a file's name may be no text at all.
        return json.dumps(told, default=str)
