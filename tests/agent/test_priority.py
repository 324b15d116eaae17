"""The agent lowers its priority: of all its threads, and of its session if the session is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys, threading
from pathlib import Path
from agent import priority
if sys.argv[1:]:
    priority._CALLS = {}

done = threading.Event()
threading.Thread(target=done.wait).start()

def state():
    group = Path("/proc/self/autogroup")
    policies = [os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")]
    return policies, group.read_text().split()[-1] if group.exists() else None

priority.lower()
lowered = state()
priority.restore()
print(json.dumps([lowered, state()]))
done.set()
"""


def states(*arguments: str, own_session: bool = True) -> list[tuple[list[int], str | None]]:
    """The policies of both threads and the session's share: lowered, and restored.

    A session that is not the program's own is a shell's. The one in which the tests run may have no share at
    all (if nothing has called setsid(2) since the machine started).
    """
    program = [sys.executable, "-c", PROGRAM, *arguments]
    command = program if own_session else ["sh", "-c", '"$@"; exit $?', "sh", *program]
    done = subprocess.run(command, capture_output=True, check=True, start_new_session=True)
    return [(policies, share) for policies, share in json.loads(done.stdout)]


def test_every_thread_gives_way_and_takes_it_back() -> None:
    (lowered, _), (ordinary, _) = states()
    assert lowered in ([os.SCHED_BATCH] * 2, [os.SCHED_IDLE] * 2)
    if os.geteuid() == 0:
        assert ordinary == [os.SCHED_OTHER] * 2


def test_where_the_kernel_grants_no_slices_every_thread_is_idle() -> None:
    (lowered, _), _ = states("without slices")
    assert lowered == [os.SCHED_IDLE] * 2


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions share no CPU here")
def test_a_session_of_its_own_takes_the_least_share_and_another_is_left_alone() -> None:
    (_, own), _ = states()
    (_, shells), _ = states(own_session=False)
    assert (own, shells) == ("19", "0")
