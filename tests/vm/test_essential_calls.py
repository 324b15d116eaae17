"""The whole agent by kprobes, as on most kernels: each essential call is stored once, from both ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.probes.backend import KPROBES
from tests.e2e import go_programs
from tests.vm import machine
from tests.vm.cases import EVERYTHING, cases, found, python
from tests.vm.essential_calls import CALLS, GO, KINDS
from tests.vm.machine import Kernel

pytestmark = pytest.mark.vm


@pytest.mark.skipif(not EVERYTHING, reason="TIERS=all runs it: the machine takes minutes")
@pytest.mark.parametrize(("kernel", "mode"), cases(found()[-1:], "lazy"))
def test_each_essential_call_is_stored_once_from_both_ends(kernel: Kernel, mode: str, tmp_path: Path) -> None:
    program = go_programs.STRIPPED.make(tmp_path)
    command = python("tests.vm.essential_calls", KPROBES.name, str(program))
    finished = machine.run(kernel, ["sh", "-c", command], append=f"preempt={mode}")
    assert finished.status == 0, finished.output[-3000:] + finished.console[-2000:]
    seen = json.loads(finished.output.splitlines()[-1])
    assert KPROBES.title in seen["backend"]
    assert seen["stored"] == {name: {"200 client+server": CALLS} for name in (*KINDS, GO)}
    assert machine.crashes(finished.console) == []
