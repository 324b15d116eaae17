"""Asked to stop, the server ends hanging parts, reports what was not finished, and keeps its data."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.deadline import STOP_S, Deadline
from tests.server.records import batch, record
from tests.server.running import PATIENCE_S, wait_for
from tests.server.test_server_process import started


@pytest.fixture
def handled() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_sigterm_starts_the_clock_and_no_other_signal_does(handled: None) -> None:
    with Deadline(list) as deadline:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert deadline.left == STOP_S
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: deadline.left < STOP_S, "start of the clock")


def test_leaving_leaves_nothing_behind(handled: None) -> None:
    with Deadline(list):
        assert "deadline" in {thread.name for thread in threading.enumerate()}
    assert "deadline" not in {thread.name for thread in threading.enumerate()}
    assert signal.set_wakeup_fd(-1) == -1


def hung(part: str) -> list[str]:
    return [sys.executable, "-m", "tests.server.hung", part]


def store(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as http:
        for seq in range(1, 4):
            records = [record(n, id=f"{seq}-{n}") for n in range(20)]
            assert http.post("/api/v1/records", content=batch(seq, records)).json() == {"acked": seq}


@pytest.mark.parametrize(
    ("part", "unfinished"),
    [
        ("learning", "could not finish learning in the 5 s"),
        ("jobs", "could not finish jobs in the 5 s"),
        (
            "main",
            "could not finish learning, jobs, settling, the database's writer (0 pieces of work wait)",
        ),
    ],
)
def test_whatever_hangs_the_server_ends_and_what_was_accepted_is_stored(
    part: str, unfinished: str, tmp_path: Path
) -> None:
    with started(tmp_path, program=hung(part)) as (process, url, lines):
        store(url)
        process.terminate()
        assert process.wait(PATIENCE_S) == 1
    (said,) = [line for line in lines if "could not finish" in line]
    assert unfinished in said
    with started(tmp_path) as (_, url, _):
        ledger = httpx.get(f"{url}/api/v1/ledger", trust_env=False).json()
    assert ledger["server"]["stored"] == 60


def test_a_request_that_hangs_does_not_keep_the_server(tmp_path: Path) -> None:
    with started(tmp_path, program=hung("request")) as (process, url, lines):
        store(url)
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, PATIENCE_S) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            wait_for(lambda: "hangs\n" in lines, "request that hangs")
            process.terminate()
            assert process.wait(PATIENCE_S) == 1
    (said,) = [line for line in lines if "could not finish" in line]
    assert "could not finish requests under way in" in said


def test_a_writer_that_hangs_does_not_keep_the_server(tmp_path: Path) -> None:
    with started(tmp_path, program=hung("writer"), ready="/healthz") as (process, _, lines):
        process.terminate()
        assert process.wait(PATIENCE_S) == 1
    (said,) = [line for line in lines if "could not finish" in line]
    assert "the database's writer" in said
