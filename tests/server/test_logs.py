"""Repeated misbehaviour of a client is not logged each time."""

from __future__ import annotations

import logging
import subprocess
import sys

from server.logs import SAY_EVERY_S, Sparse

REQUESTING = """
import logging

import httpx
from server.logs import start
start("debug", False)
answer = httpx.Response(200, headers={"set-cookie": "Quokka-1"})
with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
    client.get("http://127.0.0.1/?key=Quokka-2", headers={"authorization": "Quokka-3"})
logging.getLogger("mcp.server.streamable_http").info("Quokka-4")
"""


def test_a_message_comes_once_a_minute_with_how_often_it_was_meant() -> None:
    now = 0.0
    sparse = Sparse(lambda: now)
    said: list[str] = []

    def log(message: str, *values: object) -> None:
        record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, message, values, None)
        if sparse.filter(record):
            said.append(record.getMessage())

    for _ in range(1000):
        log("Invalid HTTP request received.")
    log("%d things", 1)
    now += SAY_EVERY_S
    log("Invalid HTTP request received.")
    log("Invalid HTTP request received.")
    assert said == [
        "Invalid HTTP request received.",
        "1 things",
        "Invalid HTTP request received. (and 999 more times before)",
    ]


def test_a_request_that_the_server_makes_is_not_logged_with_its_url_or_header_fields() -> None:
    done = subprocess.run([sys.executable, "-c", REQUESTING], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
