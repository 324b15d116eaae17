"""The output of `spectap up`: lines, and one live line that is rewritten in place on a terminal.

Capture continues without a screen (a closed terminal, a broken pipe).
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

from server.analysis.json import Json
from server.analysis.printable import printable

PLAIN_EVERY_S = 10.0  # between live lines that cannot be rewritten
CLEAR = "\r\x1b[K"


class Screen:
    """Writes to `out`; as JSON lines with `log_json`."""

    def __init__(self, log_json: bool, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._json = log_json
        self._rewrites = not log_json and self._out.isatty()
        self._live = ""
        self._live_at: float | None = None

    @property
    def live_every_s(self) -> float:
        """The interval of live lines."""
        return 1.0 if self._rewrites else PLAIN_EVERY_S

    def write(self, text: str, **facts: Json) -> None:
        """Writes a permanent line."""
        if self._json:
            line = {"time": _now(), "level": "info", "from": "up", "message": text, **facts}
            self._put(json.dumps(line, ensure_ascii=False) + "\n")
        elif self._rewrites:
            self._put(f"{CLEAR}{printable(text)}\n{self._live}")
        else:
            self._put(printable(text) + "\n")

    def relay(self, name: str, line: str) -> None:
        """Writes a child's line; one that is already JSON passes unchanged."""
        if self._json and line.startswith("{"):
            self._put(line + "\n")
        elif self._json:
            self.write(line, **{"from": name})
        else:
            self.write(f"{name}: {line}")

    def live(self, text: str, **facts: Json) -> None:
        """Writes the live line: it replaces the last one on a terminal, and is written at intervals
        otherwise.
        """
        if self._rewrites:
            width = shutil.get_terminal_size().columns - 1
            self._live = printable(text)[:width]
            self._put(f"{CLEAR}{self._live}")
            return
        now = time.monotonic()
        if self._live_at is None or now - self._live_at >= PLAIN_EVERY_S:
            self._live_at = now
            self.write(text, **facts)

    def still(self) -> None:
        """Ends the live line: the next one starts a new line."""
        if self._live:
            self._put(CLEAR)
        self._live, self._live_at = "", None

    def _put(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            self._put = _nowhere  # type: ignore[method-assign]


def _nowhere(text: str) -> None:
    pass


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
