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
import json, os, threading
from agent.pace import CpuPace

done = threading.Event()
threading.Thread(target=done.wait).start()

def ordinary():
    return [os.sched_getscheduler(int(task)) == os.SCHED_OTHER for task in os.listdir("/proc/self/task")]

pace = CpuPace(5.0, 64.0, idle=True)
states = []
pace.turn(60.0)
states.append(ordinary())
pace.start()
states.append(ordinary())
pace.turn(60.0)
states.append(ordinary())
pace.turn(0.0)
states.append(ordinary())
pace.stop()
pace.turn(0.0)
states.append(ordinary())
pace.start()
states.append(ordinary())
print(json.dumps(states))
done.set()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="raising a priority needs root")
def test_all_threads_have_normal_priority_before_the_start_in_a_spell_and_after_the_stop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, start_new_session=True
    )
    before, started, spell, caught_up, stopped, after = json.loads(done.stdout)
    assert before == spell == stopped == after == [True, True]
    assert started == caught_up == [False, False]


@pytest.mark.parametrize(("delivery_s", "gives_way"), [(WAITING_S, False), (WAITING_S + 1, True)])
def test_the_loop_gives_way_to_the_shipper_while_records_wait_that_the_server_would_take(
    delivery_s: float, gives_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    loop = CpuPace(floor=5.0, ceiling=64.0, idle=False)
    loop.start()
    loop.turn(0.0, delivery_s)
    loop.turn(0.0, 0.0)
    assert bool(pauses) == gives_way
    assert all(0 < one <= LONGEST_WAY_S for one in pauses)
