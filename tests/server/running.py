"""The real server on a real port, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from agent.wire import Capture, Record, Residents
from server.api.metrics import Metrics
from server.app import create_app
from server.config import ServerSettings
from server.connections import Connections
from server.core import Core
from server.ingest.holding import BACKLOG_S
from server.listening import bind
from server.run import configured
from server.specification import Load
from server.store.sqlite.store import SqliteStore
from server.tls import RenewedTls
from tests.server import engine
from tests.server.records import batch

T = TypeVar("T")

PATIENCE_S = 60.0


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Returns the first truthy result of `condition`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"no {what} in {PATIENCE_S} s"
        time.sleep(0.01)
    return value


@dataclass
class Client:
    """Requests to the server. `seq` numbers the batches sent."""

    http: httpx.Client
    core: Core
    metrics: Metrics
    seq: int = 0

    def send(self, *records: Record) -> None:
        """Sends a batch and settles all views."""
        self.deliver(*records)
        self.settle()

    def deliver(self, *records: Record) -> None:
        """Sends a batch; its views may wait for their other halves."""
        self.seq += 1
        answer = self.http.post("/api/v1/records", content=batch(self.seq, list(records)))
        assert answer.json() == {"acked": self.seq}, answer.text

    def report(self, capture: Capture, agent: str = "agent-1") -> None:
        """Delivers an agent's state of capture, without a record."""
        self.seq += 1
        content = batch(self.seq, [], agent=agent, capture=capture)
        assert self.http.post("/api/v1/records", content=content).json() == {"acked": self.seq}

    def report_pods(self, residents: Residents) -> None:
        """Delivers an agent's pods, without a record."""
        self.seq += 1
        content = batch(self.seq, [], residents=residents)
        assert self.http.post("/api/v1/records", content=content).json() == {"acked": self.seq}

    def settle(self) -> None:
        """Settles all views as if they had waited long enough."""
        now, at = time.time_ns(), time.monotonic() + BACKLOG_S
        self.core.store.write(lambda unit: self.core.acceptor.settle_due(now, at)).result(PATIENCE_S)

    def get(self, path: str, /, **params: Any) -> Any:
        answer = self.http.get(f"/api/v1{path}", params=params, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, path: str, /, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **params, **cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    def operations(self) -> dict[str, dict[str, Any]]:
        """All operations of all APIs by key. A key that two APIs have is an error."""
        found: dict[str, dict[str, Any]] = {}
        for api in self.items("/apis"):
            for operation in self.items(f"/apis/{api['id']}/operations"):
                assert operation["operation"] not in found
                found[operation["operation"]] = operation
        return found

    def server_ledger(self) -> dict[str, int]:
        return dict(self.get("/ledger")["server"])


@contextmanager
def serving(data: Path, load: Load = engine.load, **options: Any) -> Iterator[Client]:
    """`options` are the server's settings, and its `connections`."""
    connections: Connections = options.pop("connections", None) or Connections()
    settings = ServerSettings("127.0.0.1", 0, data, **options)
    listener = bind(settings.host, settings.port, connections, settings.tls is not None)
    core = Core(settings, SqliteStore(data), load)
    app = create_app(settings, core, connections)
    tls = None if settings.tls is None else RenewedTls(settings.tls)
    server = uvicorn.Server(configured(app, connections, tls))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}"
    try:
        wait_for(lambda: server.started or not thread.is_alive(), "server")
        with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
            yield Client(http, core, app.state.context.metrics)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
