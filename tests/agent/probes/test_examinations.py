"""Which process is examined next: by numbers alone, without processes."""

from __future__ import annotations

import pytest

from agent.probes import examinations
from agent.probes.examinations import Examinations


def taken(queue: Examinations) -> list[int]:
    found: list[int] = []
    while (pid := queue.take()) is not None:
        found.append(pid)
    return found


def test_a_new_process_is_examined_before_all_of_a_round() -> None:
    queue = Examinations()
    for pid in (1, 2, 3):
        queue.add(pid)
    for pid in (3, 4):
        queue.add_new(pid)
    queue.add(4)
    assert taken(queue) == [3, 4, 1, 2]


def test_a_process_that_waits_is_examined_once() -> None:
    queue = Examinations()
    for _ in range(3):
        queue.add_new(7)
        queue.add(7)
    assert taken(queue) == [7]


def test_each_queue_is_bounded_and_what_has_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examinations, "MAX_QUEUED", 2)
    queue = Examinations()
    for pid in (1, 1, 2, 3):
        queue.add(pid)
    assert queue.overflowed == 1
    for pid in (4, 5, 6):
        queue.add_new(pid)
    assert queue.overflowed == 2
    assert taken(queue) == [4, 5, 1, 2]
