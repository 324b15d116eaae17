"""What starts and ends the stop deadline. commands/test_run_hung shows that it ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from agent.deadline import STOP_S, Deadline, waiting_at

PATIENCE_S = 20.0  # less than STOP_S, which would end the test run


@pytest.fixture(autouse=True)
def signals_that_are_handled() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_sigterm_starts_the_clock_and_no_other_signal_does() -> None:
    asked = threading.Event()
    with Deadline() as deadline:
        deadline.hurry = asked.set
        os.kill(os.getpid(), signal.SIGUSR1)
        assert deadline.left == float("inf")
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.wait(PATIENCE_S)
        assert 0 < deadline.left <= STOP_S


def test_leaving_without_a_signal_leaves_nothing_behind() -> None:
    with Deadline():
        assert "deadline" in {thread.name for thread in threading.enumerate()}
    assert "deadline" not in {thread.name for thread in threading.enumerate()}
    assert signal.set_wakeup_fd(-1) == -1


def test_each_thread_is_said_with_its_place() -> None:
    released = threading.Event()
    thread = threading.Thread(target=released.wait, args=(PATIENCE_S,), name="waits")
    thread.start()
    try:
        assert any(text.startswith("waits at ") and "threading.py:" in text for text in waiting_at())
    finally:
        released.set()
        thread.join()
