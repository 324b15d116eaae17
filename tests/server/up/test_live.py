"""What status documents say; a value of another type there says nothing."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event

import pytest

from server.analysis.json import JsonObject
from server.up import live
from server.up.live import HttpProbe, LiveCounts, counts_of, detaching, watching
from tests.served import served

STATUS: JsonObject = {
    "agent": "node-1",
    "backend": "bpf",
    "connections_open": 2,
    "ledger": {"exchanges": {"parsed": 5, "shipped": 4, "spool_expired": 1}},
    "watching": [{"what": "sockets"}, {"what": "openssl", "path": "/lib/libssl.so"}],
    "notes": ["a library is too new"],
    "detach": {"done": 1, "total": 3},
    "lag": {"total_s": 12.25},
    "captured": "heads",
}
ODD: JsonObject = {
    "agent": 7,
    "connections_open": "two",
    "ledger": {"exchanges": ["parsed"]},
    "watching": ["sockets"],
    "notes": {"a": 1},
    "detach": "done",
    "lag": {"total_s": "long"},
    "captured": 1,
}


def test_a_status_is_counted_and_told() -> None:
    counts = counts_of(STATUS, {"APIs": 1})
    assert (counts.agent, counts.exchanges, counts.stored, counts.connections) == ("node-1", 5, 4, 2)
    assert counts.facts()["server"] == {"APIs": 1}
    assert "lag 12.2 s · cannot keep up: without bodies" in counts.sentence()
    assert watching(STATUS) == [
        "capturing HTTP on this machine's sockets (through bpf)",
        "capturing TLS in openssl: /lib/libssl.so",
        "not captured: a library is too new",
    ]
    assert detaching(STATUS) == "1 of 3 probes detached"


def test_values_of_another_kind_count_as_absent() -> None:
    assert counts_of(ODD) == LiveCounts(exchanges=0, stored=0, lost_bytes=0, not_stored=0)
    assert watching(ODD) == watching({})
    assert detaching(ODD) == ""


class Slow(BaseHTTPRequestHandler):
    """Answers after ten times the patience."""

    def do_GET(self) -> None:
        Event().wait(10 * live.PATIENCE_S)
        with suppress(BrokenPipeError):
            self.send_response(200)
            self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_a_specification_may_take_longer_than_a_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE_S", 0.05)
    document = tmp_path / "spec.yaml"
    document.write_text("openapi: 3.1.0\n")
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Slow)) as port:
        probe = HttpProbe(f"http://127.0.0.1:{port}")
        assert not probe.ready()
        assert probe.upload("/api/v1/specs", document, {}) is None
        probe.close()
