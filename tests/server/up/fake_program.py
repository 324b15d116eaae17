"""Replaces a child of `spectap up`: `fake_program.py LOG ROLE BEHAVIOUR ARGUMENTS...`.

Serves the pages that `up` reads, logs what happens to it in LOG, and ends as BEHAVIOUR says.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG, ROLE, BEHAVIOUR = sys.argv[1:4]
TOTAL = 3
EXCHANGES = {"parsed": 1234, "shipped": 1230, "refused": 3}
LEDGER = {"bytes": {"seen": 5007, "parsed": 5000, "late": 7}, "exchanges": {**EXCHANGES, "in_flight": 1}}
API = {"exchanges": 617, "operations": 3, "verdicts": {"conforming": 615, "shadow": 2}}
stopping = threading.Event()
released = threading.Event()
done = 0
refusals = 3 if BEHAVIOUR == "shy" else 0  # of its status page, before the first response


def note(text: str) -> None:
    with open(LOG, "a") as out:
        out.write(f"{ROLE} {text}\n")


def deviations() -> list[dict[str, str]]:
    """Of three kinds, as soon as there are calls."""
    with open(LOG) as log:
        opened = "shop started" in log.read()
    one = {"operation": "GET /v1/orders", "where": "query", "pointer": "colour", "message": "\x1b[31m"}
    return [{**one, "kind": kind} for kind in ("unknown-parameter", "type", "enum") if opened]


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        global done, refusals
        if self.path == "/status" and refusals:
            refusals -= 1
            self.send_error(503)
            return
        if stopping.is_set() and self.path == "/status" and BEHAVIOUR != "stuck":
            done = min(TOTAL, done + 1)
            if done == TOTAL:
                released.set()
        self.answer(
            {
                "/readyz": {},
                "/status": {
                    "agent": "host-1",
                    "backend": "tracepoints",
                    "watching": [{"what": "openssl", "path": "/usr/lib/libssl.so.3", "probes": TOTAL}],
                    "connections_open": 2,
                    "ledger": {
                        "exchanges": EXCHANGES,
                        "bytes": {"late": 7},
                    },
                    "detach": {"done": done, "total": TOTAL if stopping.is_set() else 0},
                },
                "/api/v1/apis": {"items": [API]},
                "/api/v1/agents": {
                    "items": [
                        {"agent": "host-2", "first_seen": "2026-01-03", "ledger": {}},
                        {"agent": "host-1", "first_seen": "2026-01-02", "ledger": LEDGER},
                        {"agent": "host-1", "first_seen": "2026-01-01", "ledger": {}},
                    ]
                },
                "/api/v1/deviations": {"items": deviations()},
            }.get(self.path.partition("?")[0], {"items": []})
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        note(f"POST {self.path.partition('?')[0]}")
        self.answer({})

    def answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", "--status-listen", dest="listen")
    listen = parser.parse_known_args(sys.argv[4:])[0].listen
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in every thread: only sigwait takes it
    note(f"started {os.getpid()} {' '.join(sys.argv[4:])}")
    if BEHAVIOUR == "fails":
        sys.exit("the flux compensator is missing: buy one")
    if listen:
        host, port = listen.rsplit(":", 1)
        server = ThreadingHTTPServer((host, int(port)), Pages)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    else:
        sys.stdout.write("ready 1234\n")
        sys.stdout.flush()
    if BEHAVIOUR == "dies":
        signal.sigtimedwait({signal.SIGTERM}, 0.5)  # more meaningful if it was ready by then
        note("dies")
        os._exit(9)
    signal.sigwait({signal.SIGTERM})
    note("asked to stop")
    stopping.set()
    if ROLE == "agent" and BEHAVIOUR != "quick":
        released.wait()
    note("ended")


main()
