"""An analysis server that tests can stop, kill and start again."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from tests.e2e.processes import Running, free_port
from tests.e2e.spectap import Server, command, ready


class Analysis:
    """`spectap server` on one port and one folder, over several starts."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder, self._data = folder, data or folder / "data"
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The latest start."""
        assert self._server is not None
        return self._server

    def start(self) -> None:
        listen = f"127.0.0.1:{self.port}"
        argv = [command("spectap"), "server", "--listen", listen, "--data", str(self._data)]
        process = Running("server", argv, self._folder)
        self._server = Server(process, self.url, self.port, self._data)
        process.wait_for(lambda: ready(f"{self.url}/readyz"), "readiness")

    def end(self, signum: int = signal.SIGKILL) -> None:
        self.server.process.process.send_signal(signum)
        self.server.process.process.wait()
        self._server = None

    def stored(self) -> int:
        """Records that the server has counted as stored."""
        return int(self.server.get("/ledger")["server"].get("stored", 0))

    def has(self, record: str) -> bool:
        return ready(f"{self.url}/api/v1/exchanges/{record}")

    def numbers(self) -> Counter[int]:
        """How often each record is stored."""
        items = self.server.settled().items("/exchanges")
        witnesses = sum(len(item["witnesses"]) for item in items)
        assert witnesses == len(items)
        return Counter(int(item["id"].removeprefix("record-")) for item in items)

    def ledgers(self) -> list[dict[str, dict[str, int]]]:
        """The ledger of each start of the agent, oldest first."""
        starts = sorted(self.server.items("/agents"), key=lambda item: item["first_seen"])
        return [start["ledger"] for start in starts]

    def totals(self) -> Counter[str]:
        """The exchanges of all starts of the agent, by bucket."""
        found: Counter[str] = Counter()
        for ledger in self.ledgers():
            found.update(ledger.get("exchanges", {}))
        return found
