"""The pace of a real process: its threads' priority in and out of a spell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from agent.pace import LONGEST_WAY_S, WAITING_S, CpuPace

PROGRAM = """
import json, os, threading, time
from agent.pace import CpuPace

done = threading.Event()
threading.Thread(target=done.wait, name="other").start()
lag_s = 60.0

def ordinary():
    return {
        one.name: os.sched_getscheduler(one.native_id) == os.SCHED_OTHER for one in threading.enumerate()
    }

def becomes(wanted):
    until = time.monotonic() + 30
    while ordinary() != wanted and time.monotonic() < until:
        time.sleep(0.01)
    states.append(ordinary())

pace = CpuPace(5.0, 64.0, lambda: lag_s, idle=True)
states = [ordinary()]
lag_s = 0.0
pace.start()
becomes({"MainThread": False, "other": False, "pace": True})
lag_s = 60.0
becomes({"MainThread": True, "other": True, "pace": True})
lag_s = 0.0
becomes({"MainThread": False, "other": False, "pace": True})
pace.stop()
becomes({"MainThread": True, "other": True})
pace.start()
states.append(ordinary())
print(json.dumps([one.get("MainThread") for one in states]))
assert all(one["MainThread"] == one["other"] and one.get("pace", True) for one in states), states
done.set()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="raising a priority needs root")
def test_all_threads_have_normal_priority_before_the_start_in_a_spell_and_after_the_stop() -> None:
    """The main loop does not turn meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, start_new_session=True
    )
    before, started, spell, caught_up, stopped, after = json.loads(done.stdout)
    assert before is spell is stopped is after is True
    assert started is caught_up is False


@pytest.mark.parametrize(("delivery_s", "gives_way"), [(WAITING_S, False), (WAITING_S + 1, True)])
def test_the_loop_gives_way_to_the_shipper_while_records_wait_that_the_server_would_take(
    delivery_s: float, gives_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    loop = CpuPace(5.0, 64.0, lambda: 0.0, idle=False)
    loop.start()
    loop.turn(delivery_s)
    loop.turn(0.0)
    assert bool(pauses) == gives_way
    assert all(0 < one <= LONGEST_WAY_S for one in pauses)
