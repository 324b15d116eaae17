"""Each row of the table in `server/background.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from server.background import BackgroundThread, Pace

PATIENCE_S = 60


@contextmanager
def running(
    turn: Callable[[set[int]], Pace], period: float, pace: Pace = Pace.WHEN_ASKED, asked: int | None = None
) -> Iterator[BackgroundThread]:
    thread = BackgroundThread("test", turn, period)
    if asked is not None:
        thread.request(asked)
    thread.start(pace)
    yield thread
    thread.stop()


class Turns:
    """Records the arguments of each turn; the first turns return or raise as configured."""

    def __init__(self, *answers: Pace | Exception) -> None:
        self.asked: list[set[int]] = []
        self._answers = iter(answers)
        self._happened = threading.Semaphore(0)

    def __call__(self, asked: set[int]) -> Pace:
        self.asked.append(set(asked))
        self._happened.release()
        answer = next(self._answers, Pace.WHEN_ASKED)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, times: int) -> None:
        for _ in range(times):
            assert self._happened.acquire(timeout=PATIENCE_S)


def test_a_turn_begins_when_something_is_asked_for() -> None:
    turns = Turns()
    with running(turns, period=3600) as thread:
        thread.request(7, 8)
        turns.wait(1)
        thread.request(9)
        turns.wait(1)
    assert turns.asked == [{7, 8}, {9}]


def test_a_turn_begins_after_a_period() -> None:
    turns = Turns()
    with running(turns, period=0.001):
        turns.wait(3)
    assert turns.asked[:3] == [set(), set(), set()]


def test_a_turn_begins_at_once_where_more_waits() -> None:
    turns = Turns(Pace.AT_ONCE, Pace.AT_ONCE)
    with running(turns, period=3600, pace=Pace.AT_ONCE):
        turns.wait(3)


def test_what_was_asked_for_in_a_turn_that_failed_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = Turns(RuntimeError("captured-secret"), RuntimeError("captured-secret"))
    with running(turns, period=0.001, asked=7):
        turns.wait(3)
    assert turns.asked[:3] == [{7}, {7}, {7}]
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
    assert "secret" not in caplog.text


def test_after_a_failure_nothing_that_is_asked_for_begins_a_turn_early() -> None:
    turns = Turns(Pace.LATER)
    with running(turns, period=3600) as thread:
        thread.request(7)
        turns.wait(1)
        thread.request(8)
    assert turns.asked == [{7}]


def test_stopping_ends_the_wait_and_runs_the_last_turn_once() -> None:
    last: list[str] = []
    thread = BackgroundThread("test", Turns(), period=3600)
    thread.start(last=lambda: last.append("last"))
    thread.stop()
    assert last == ["last"]
