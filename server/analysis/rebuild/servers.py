"""The URLs of an API's calls, from their Host headers."""

from __future__ import annotations

import re
from collections import Counter

from agent.wire import Record
from server.analysis.inventory import host_of

MOST_HOSTS = 50  # hosts of one API

_HOST = re.compile(r"[a-z0-9.-]{1,100}(:[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](:[0-9]{1,5})?")


class Servers:
    """Calls by URL, in bounded memory."""

    def __init__(self, calls: dict[str, int] | None = None) -> None:
        self.calls = Counter(calls or {})

    def record(self, record: Record) -> None:
        """Counts a call, if it has a host."""
        request, host = record.request, host_of(record)
        if request is not None and host and _HOST.fullmatch(host):
            self._count(f"{request.scheme}://{host}", 1)

    def absorb(self, other: Servers) -> None:
        """Adds another's calls."""
        for url, times in other.calls.items():
            self._count(url, times)

    def _count(self, url: str, times: int) -> None:
        if url in self.calls or len(self.calls) < MOST_HOSTS:
            self.calls[url] += times

    def busiest(self, most: int) -> list[str]:
        """URLs, the most frequent first."""
        return [url for url, _ in sorted(self.calls.items(), key=lambda one: (-one[1], one[0]))[:most]]
