"""The agent's log on standard error: plain lines or JSON lines."""

from __future__ import annotations

import json
import logging
import time


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, message."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def handler(as_json: bool) -> logging.Handler:
    """Writes to standard error."""
    found = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    found.setFormatter(JsonLines() if as_json else plain)
    return found


def start_logging(level: str, as_json: bool) -> None:
    """Logs everything of `level` and above to standard error."""
    logging.basicConfig(level=level.upper(), handlers=[handler(as_json)])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for chatty in ("httpcore", "hpack"):  # hpack would log the fields it decodes
        logging.getLogger(chatty).setLevel(logging.WARNING)


def sentence(error: Exception) -> str:
    """The error as one sentence; for a file, its path comes first."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
