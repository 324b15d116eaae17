"""Rules for every test run: no process is left behind, and no test fails for being slow."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.strays import running_descendants
from tests.thorough import PROFILE, repeat

TIERS = ("cluster", "vm", "compiled", "browser", "root")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2): adopts orphaned descendants, so that none escapes
SECONDS_TO_LEAVE = 20

settings.load_profile(PROFILE)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    repeat(pyfuncitem)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a cluster come last: what it is made of is built meanwhile."""
    items.sort(key=lambda item: "cluster" in item.keywords)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the minutes of each tier."""
    spent: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for one in (report for report in reports if isinstance(report, pytest.TestReport)):
            tier = next((name for name in TIERS if name in one.keywords), "pure")
            spent[tier] = spent.get(tier, 0) + one.duration
    minutes = ", ".join(f"{tier} {seconds / 60:.1f}" for tier, seconds in spent.items())
    terminalreporter.write_line(f"minutes by tier: {minutes}")


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    while (strays := running_descendants(os.getpid())) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in strays:
        os.kill(pid, signal.SIGKILL)
    assert not strays, f"processes left behind: {strays}"
