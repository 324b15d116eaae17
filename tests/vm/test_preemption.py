"""Tasks that preempt each other within the agent's uprobes, under Debian's kernels, do not corrupt each
other.

Eight Python processes use TLS under the agent's capture, first as it is, then (the negative control) without
the guard in its programs, in one boot of each kernel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import pytest

from agent.probes import tls
from tests.vm import machine
from tests.vm.cases import EVERYTHING, cases, found, python
from tests.vm.machine import Kernel
from tests.vm.overheard import Account

pytestmark = pytest.mark.vm

FIRST_WITH_PRIVATE_STACKS = (6, 13)
UNGUARDED = "from here on without the guard"


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of the processes: `private` counts programs; None is what a crash cut off."""

    private: int | None
    account: Account | None
    crashes: list[str]


def parsed(output: str, console: str) -> Heard:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    private = next((line["private"] for line in lines if "private" in line), None)
    account = next((Account(**line) for line in lines if "said" in line), None)
    return Heard(private, account, machine.crashes(console))


@cache
def heard(kernel: Kernel, mode: str) -> tuple[Heard, Heard | None]:
    """With the guard, and without it; None if the kernel did not get that far."""
    guarded, unguarded = python("tests.vm.overheard"), python("tests.vm.overheard", "--unguarded")
    script = f"{guarded}; echo {UNGUARDED}; echo {UNGUARDED} >/dev/kmsg; {unguarded}"
    finished = machine.run(kernel, ["sh", "-c", script], append=f"preempt={mode}")
    output, console = finished.output.split(UNGUARDED), finished.console.split(UNGUARDED)
    return parsed(output[0], console[0]), parsed(output[-1], console[-1]) if len(console) > 1 else None


MODES = ("full", "lazy") if EVERYTHING else ("full",)
NEW = [kernel for kernel in found() if kernel.version >= FIRST_WITH_PRIVATE_STACKS]
OLD = [kernel for kernel in found() if kernel.version < FIRST_WITH_PRIVATE_STACKS]


def check_whole(heard: Heard) -> None:
    """Every byte was captured as its own process's or counted, and the kernel reported nothing."""
    account = heard.account
    assert account is not None, heard
    assert heard.crashes == []
    assert account.refusal is None
    assert account.events > 0
    assert (account.wrong, account.failed, account.unaccounted, account.table_full) == (0, 0, 0, 0)
    assert 0 <= account.said - account.told <= account.ring_full + account.unread


@pytest.mark.parametrize(("kernel", "mode"), cases(NEW, *MODES))
def test_preempted_tls_calls_are_captured_whole_and_the_kernel_stands(kernel: Kernel, mode: str) -> None:
    guarded, _ = heard(kernel, mode)
    assert guarded.private == 0
    check_whole(guarded)


@pytest.mark.parametrize(("kernel", "mode"), cases(NEW, *MODES))
def test_without_the_guard_the_same_load_breaks_the_kernel_or_the_capture(kernel: Kernel, mode: str) -> None:
    _, control = heard(kernel, mode)
    assert control is not None
    assert control.private is not None
    assert control.private > len(tls.PROGRAMS) // 2, "all but the smallest programs have one"
    with pytest.raises(AssertionError):
        check_whole(control)


@pytest.mark.parametrize(("kernel", "mode"), cases(OLD, "full"))
def test_where_there_are_no_private_stacks_none_is_reported_and_the_guard_does_no_harm(
    kernel: Kernel, mode: str
) -> None:
    for each in heard(kernel, mode):
        assert each is not None
        assert each.private == 0
        check_whole(each)


@pytest.mark.skipif(not EVERYTHING, reason="TIERS=all runs it")
@pytest.mark.parametrize(("kernel", "mode"), cases(NEW, "lazy", "full"))
def test_a_small_or_guarded_stack_is_its_tasks_own_and_a_larger_one_is_not(kernel: Kernel, mode: str) -> None:
    finished = machine.run(kernel, ["sh", "-c", python("tests.vm.slots")], append=f"preempt={mode}")
    corrupted = {name: count for name, (_runs, count) in json.loads(finished.output.splitlines()[-1]).items()}
    assert corrupted.pop("private") > 0
    assert corrupted == {"small": 0, "guarded": 0}
