"""The examining thread: what hangs it hangs nobody else, and what it did is published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from agent.probes import examiner
from agent.probes.attachments import Attachments
from agent.probes.examiner import Examiner
from agent.probes.source import ProbedFile, Unprobed
from tests.e2e.processes import wait_until

HANGS, FAILS = 13, 99


class Library:
    """Stands in for Attachments: examining process HANGS waits until it may go on."""

    def __init__(self) -> None:
        self.examined: list[int] = []
        self.forgotten: list[int] = []
        self.failures: dict[str, str] = {}
        self.to_detach = self.forgotten_before = 0
        self.go_on = threading.Event()

    def pin_loader_libraries(self) -> None:
        self.examine(0)

    def examine(self, pid: int) -> None:
        if pid == HANGS:
            self.go_on.wait()
        if pid == FAILS:
            raise ZeroDivisionError
        self.examined.append(pid)

    def users(self) -> set[int]:
        return set(self.examined) - {0}

    def forget(self, pid: int, now_ns: int) -> None:
        self.forgotten.append(pid)

    def tidy(self, now_ns: int) -> bool:
        self.to_detach = max(0, self.to_detach - 1)
        return self.to_detach > 0

    def unprobed(self) -> dict[str, Unprobed]:
        return {"curl": Unprobed(5, 1)} if self.examined else {}

    def forget_before(self) -> None:
        self.forgotten_before += 1

    def probed(self) -> tuple[ProbedFile, ...]:
        return tuple(ProbedFile("a", str(pid), 1) for pid in self.examined)


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def thread(library: Library) -> Iterator[Examiner]:
    made = Examiner(cast(Attachments, library))
    yield made
    library.go_on.set()
    made.stop()


def never() -> bool:
    return False


def published(thread: Examiner, library: Library) -> Callable[[], bool]:
    return lambda: thread.examined.libraries == library.probed()


def test_all_that_was_added_is_examined_and_published(thread: Examiner, library: Library) -> None:
    thread.round([3, 4])
    thread.start()
    thread.settle(never)
    assert library.examined == [0, 3, 4]
    assert [one.path for one in thread.examined.libraries] == ["0", "3", "4"]
    assert thread.examined.unprobed == {"curl": Unprobed(5, 1)}
    wait_until(lambda: library.forgotten_before == 1, "the round's end")
    thread.add(5)
    wait_until(lambda: 5 in library.examined, "the process")
    wait_until(published(thread, library), "the snapshot")
    assert library.forgotten_before == 1  # not after each process: others may have used its files before


def test_what_hangs_it_keeps_nobody_waiting_and_is_said(
    thread: Examiner, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "SLOW_S", 0.0)
    thread.add(HANGS)
    thread.add(5)
    thread.start()
    thread.settle(lambda: False)
    wait_until(lambda: f"process {HANGS} " in str(thread.hung()), "the sentence")
    for pid in range(100, 100 + 2 * examiner.MAX_ENDED):
        thread.add(pid)
        thread.end(pid, 1)
    thread.round(range(9))
    assert thread.put_off > 0
    monkeypatch.setattr(examiner, "SLOW_S", 1e9)
    library.go_on.set()
    thread.settle(never)
    assert library.examined[:3] == [0, HANGS, 5]
    assert thread.hung() is None
    assert len(library.forgotten) >= examiner.MAX_ENDED


def test_a_hung_thread_does_not_hold_up_the_end(
    thread: Examiner, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "STOP_S", 0.0)
    thread.add(HANGS)
    thread.start()
    thread.settle(lambda: True)
    thread.stop()
    library.go_on.set()


def test_processes_that_a_round_does_not_name_have_ended(thread: Examiner, library: Library) -> None:
    thread.round([3, 4])
    thread.start()
    thread.settle(never)
    thread.round([4])
    wait_until(lambda: library.forgotten == [3], "the end")
    thread.end(4, 1)
    wait_until(lambda: library.forgotten == [3, 4], "the end")


def test_probes_are_detached_to_the_last_though_nothing_else_happens(
    thread: Examiner, library: Library
) -> None:
    library.to_detach = 5
    thread.start()
    thread.round([])
    wait_until(lambda: library.to_detach == 0, "all probes")


def test_a_fault_is_raised_where_the_capture_looks(thread: Examiner) -> None:
    thread.add(FAILS)
    thread.start()

    def failed() -> bool:
        try:
            thread.hung()
        except ZeroDivisionError:
            return True
        return False

    wait_until(failed, "the error")
