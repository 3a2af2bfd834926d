"""`--log-format json`: the log as one JSON object per line."""

import json
import logging
import time


class JsonLines(logging.Formatter):
    """A record as `ts` (UTC), `level`, `logger` and `event`.

    What happened in the broker has a short name for its `event`, and its `facts`; everything else is told as text. What
    belongs to a request has its `traceparent` if that had one, an exception its `traceback`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line: JSON has no line breaks but those that are escaped."""
        told: dict[str, object] = {
            "ts": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or record.getMessage(),
        }
        for name, attribute in (("facts", "hoot"), ("traceparent", "traceparent")):
            if value := getattr(record, attribute, None):
                told[name] = value
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        # In ASCII, as a file's name may be no text at all.
        return json.dumps(told, default=str)
