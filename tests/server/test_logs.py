"""Repeated misbehaviour of a client is not logged each time."""

from __future__ import annotations

import logging

from server.logs import SAY_EVERY_S, Sparse


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
