"""A server whose answers a test can replace, and a shipper with short waits."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
import zstandard

from agent.ship.shipper import ShipLimits, Shipper, SpoolConfig
from tests.served import served

QUICK = ShipLimits(
    keep_s=0.01,
    keep_again_s=0.01,
    flush_s=0.02,
    retry_first_s=0.01,
    retry_most_s=0.05,
    retry_slow_s=0.05,
    say_again_s=3600,
)
PATIENCE_S = 30.0

Reply = tuple[int, bytes]


class Store:
    """A server that stores each (epoch, seq) once. `script` replaces the first answers, in order; later ones
    are normal.

    An entry of the script gets the batch and returns (status, body), or None for the normal answer. With
    `commit_first` the batch is stored before the answer is replaced, as if the answer had been lost.
    """

    def __init__(
        self, script: list[Callable[[dict[str, Any]], Reply | None]], commit_first: bool = False
    ) -> None:
        self.script = script
        self.commit_first = commit_first
        self.always: Callable[[dict[str, Any]], Reply | None] = lambda batch: None
        self.change = threading.Condition()
        self.posts: list[tuple[int, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.stored: dict[tuple[str, int], list[int]] = {}
        self.ledgers: list[dict[str, dict[str, int]]] = []
        self.epochs: list[str] = []  # of each
        self.captures: list[dict[str, Any] | None] = []  # of each

    def answer(self, raw: bytes) -> Reply:
        batch = msgpack.unpackb(raw)
        with self.change:
            self.posts.append((batch["seq"], raw))
            spoil = self.script.pop(0) if self.script else self.always
            self.change.notify_all()
        spoilt = spoil(batch)
        with self.change:
            if spoilt is None or self.commit_first:
                self.stored.setdefault((batch["epoch"], batch["seq"]), batch["records"])
                self.ledgers.append(batch["ledger"])
                self.epochs.append(batch["epoch"])
                self.captures.append(batch["capture"])
            self.change.notify_all()
        return spoilt or (200, json.dumps({"acked": batch["seq"]}).encode())

    def records(self) -> Counter[int]:
        return Counter(record for records in self.stored.values() for record in records)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.change:
            assert self.change.wait_for(condition, PATIENCE_S), f"posts so far: {len(self.posts)}"


def plain(body: bytes, headers: Message) -> bytes:
    """A request's body without its content coding."""
    if headers["content-encoding"] is None:
        return body
    assert headers["content-encoding"] == "zstd"
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        return reader.read()


@contextmanager
def serving(store: Store, port: int = 0) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/api/v1/records"
            store.headers.append({name.lower(): value for name, value in self.headers.items()})
            sent = self.rfile.read(int(self.headers["content-length"]))
            try:
                status, body = store.answer(plain(sent, self.headers))
            except zstandard.ZstdError:
                status, body = 400, b"not a batch"
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    server.daemon_threads = True
    with served(server) as found:
        yield f"http://127.0.0.1:{found}"


def shipper(
    url: str,
    limits: ShipLimits = QUICK,
    token: str | None = None,
    place: SpoolConfig | None = None,
    epoch: str = "epoch-1",
) -> Shipper:
    return Shipper(url, token, "agent-1", epoch, dict, limits, place)


def packed(number: int) -> bytes:
    raw: bytes = msgpack.packb(number)
    return raw


def status(code: int, body: bytes = b"no") -> Callable[[dict[str, Any]], Reply]:
    return lambda batch: (code, body)


def refusing(bad: int) -> Callable[[dict[str, Any]], Reply | None]:
    return lambda batch: (422, b"no") if bad in batch["records"] else None


def totals(ship: Shipper) -> dict[str, int]:
    """The counts of all records put, by outcome. Asserts that none is missing."""
    counts = ship.totals()["exchanges"]
    assert counts.pop("parsed", 0) == sum(counts.values())
    return counts


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{reserved.getsockname()[1]}"
