"""The server's log: text or JSON lines on standard error. Clients' errors cannot flood it."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable

SAY_EVERY_S = 60.0
LIBRARIES = ("uvicorn.error", "asyncio")  # they log each request that is not HTTP
QUIET = ("uvicorn", "httpx", "httpcore", "hpack", "mcp")
"""What uvicorn does, the server logs itself; the others log each request that it makes, with the URL, and at
level debug header fields, or each that assistants make.
"""
MOST_MESSAGES = 100  # remembered messages


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Sparse(logging.Filter):
    """Passes each message of a logger once a minute, with its count since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[
            str, tuple[float, int]
        ] = {}  # time of the last one, and how many were held back since

    def filter(self, record: logging.LogRecord) -> bool:
        now, text = self._clock(), str(record.msg)[:200]
        at, unsaid = self._said.get(text, (None, 0))
        if at is not None and now - at < SAY_EVERY_S:
            self._said[text] = (at, unsaid + 1)
            return False
        if len(self._said) >= MOST_MESSAGES:
            self._said.clear()
        self._said[text] = (now, 0)
        if unsaid:
            record.msg = f"{record.msg} (and {unsaid} more times before)"
        return True


def start(level: str, as_json: bool) -> None:
    """Sends all logs to standard error."""
    out = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    out.setFormatter(JsonLines() if as_json else text)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in LIBRARIES:
        logging.getLogger(name).addFilter(Sparse())
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
