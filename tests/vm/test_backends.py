"""One suite for every backend of kernel programs: each way to send and receive, exact to the byte."""

from __future__ import annotations

import pytest

from agent.probes.backend import KPROBES, SYSCALLS
from tests.vm import machine
from tests.vm.cases import EVERYTHING, cases, found, python
from tests.vm.machine import Kernel

pytestmark = pytest.mark.vm

SUITE = "tests/agent/probes/test_probes_system_calls.py"
BODIES = "tests/agent/probes/test_probes_bodies.py"  # pages and arrays of buffers, cut at the cap
RUNS = [(KPROBES.name, SUITE)]
if EVERYTHING:
    RUNS += [(KPROBES.name, BODIES), (SYSCALLS.name, SUITE)]


@pytest.mark.parametrize(("backend", "suite"), RUNS)
@pytest.mark.parametrize(("kernel", "mode"), cases(found(), "lazy"))
def test_every_way_to_send_and_receive_is_captured(
    kernel: Kernel, mode: str, backend: str, suite: str
) -> None:
    command = f"SPECTAP_BACKEND={backend} {python('pytest', '-q', '-p', 'no:cacheprovider', suite)}"
    finished = machine.run(kernel, ["sh", "-c", command], append=f"preempt={mode}")
    assert finished.status == 0, finished.output[-3000:] + finished.console[-2000:]
    assert machine.crashes(finished.console) == []
