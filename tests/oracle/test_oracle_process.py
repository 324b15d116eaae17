"""The server as a process, killed while it receives batches: what it acknowledged counts, and nothing
twice.
"""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from agent.wire import pack_batch
from server.ingest.decode import Delivery
from server.store.sqlite.connection import FILE
from tests.oracle.calls import SPAN
from tests.oracle.compare import differences
from tests.oracle.counters import counters
from tests.oracle.kinds import SPECIFICATION
from tests.oracle.model import Counts, counts
from tests.oracle.schedules import SKEWS, world
from tests.oracle.world import DESCRIBED, NODES
from tests.server.running import PATIENCE_S, wait_for
from tests.server.test_server_process import started

CALLS, KILLS = 300, 6


class Killed:
    """A server over one directory, restarted after each kill."""

    def __init__(self, data: Path, stack: ExitStack) -> None:
        self._data, self._stack = data, stack
        self.start()

    def start(self) -> None:
        process, url, _ = self._stack.enter_context(started(self._data, "--retention-days", "36500"))
        self.process: subprocess.Popen[str] = process
        self.url = f"{url}/api/v1"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def post(self, path: str, content: bytes) -> None:
        url = f"{self.url}{path}"
        httpx.post(url, content=content, trust_env=False, timeout=PATIENCE_S).raise_for_status()

    def post_and_kill(self, path: str, content: bytes) -> None:
        """Sends a complete batch, and kills the server before, while or after it is stored."""
        url = httpx.URL(f"{self.url}{path}")
        assert url.port is not None
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(content)}\r\n\r\n"
        with closing(socket.create_connection((url.host, url.port), PATIENCE_S)) as connection:
            connection.sendall(head.encode() + content)
            self.kill()


def packed(delivery: Delivery) -> bytes:
    batch = delivery.batch
    return pack_batch(batch.agent, batch.epoch, batch.seq, {}, [*delivery.packed])


def settled(data: Path) -> Counts | None:
    """The counters, once no view is held and all exchanges are validated."""
    with closing(sqlite3.connect(f"file:{data / FILE}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        (held,) = db.execute("SELECT count(*) FROM held").fetchone()
        (stale,) = db.execute(
            """SELECT count(*) FROM exchanges JOIN apis ON apis.number = api
            WHERE exchanges.revision <> apis.revision"""
        ).fetchone()
        return None if held or stale else counters(db)


@pytest.mark.parametrize("seed", [1])
def test_kills_lose_no_call_and_count_none_twice(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    skews = dict(zip(NODES, SKEWS, strict=True))
    calls, batches = world(seed, CALLS, skews, time.time_ns() - 2 * SPAN, in_order=False)
    chance.shuffle(batches)
    killing = {*chance.sample(range(len(batches)), KILLS)}
    with ExitStack() as stack:
        server = Killed(tmp_path, stack)
        for target in DESCRIBED:
            server.post(f"/specs?{target}", SPECIFICATION)
        for number, delivery in enumerate(batches):
            if number in killing:
                server.post_and_kill("/records", packed(delivery))
                server.start()
            server.post("/records", packed(delivery))
        for agent in sorted({one.batch.agent for one in batches}):
            server.post("/records", pack_batch(agent, "last", 1, {}, []))
        found = wait_for(lambda: settled(tmp_path), "all views settled")
    assert found is not None
    assert differences(counts(calls, skews), found) == {}
