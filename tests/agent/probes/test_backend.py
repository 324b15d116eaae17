"""A backend attaches its probes one by one, and each can be detached: with a module that records the
calls.
"""

from __future__ import annotations

import re
from itertools import islice

import pytest

from agent.probes.backend import BACKENDS, KPROBES, SYSCALLS, Backend
from agent.probes.loaded import RAW_PREFIX, Detach
from agent.probes.programs import LIFECYCLE, source_text


class Written:
    """Replaces the loaded programs."""

    def __init__(self) -> None:
        self.attached: dict[str, str] = {}

    def attach_tracepoint(self, tracepoint: str, program: str) -> Detach:
        return self._attach(tracepoint, program)

    def attach_raw_tracepoint(self, tracepoint: str) -> Detach:
        return self._attach(f"sock:{tracepoint}", RAW_PREFIX + tracepoint)

    def attach_kprobe(self, function: str, program: str) -> Detach:
        return self._attach(function, program)

    def _attach(self, event: str, program: str) -> Detach:
        self.attached[event] = program

        def detach() -> None:
            del self.attached[event]

        return detach


def test_each_system_call_is_attached_at_its_return_before_its_entry() -> None:
    module = Written()
    probes = list(SYSCALLS.attach(module))
    assert len(probes) == len(module.attached) == 2 * len(SYSCALLS.calls)
    order = [name.split(":sys_")[1] for name in module.attached]
    assert order == [f"{edge}_{call}" for call in SYSCALLS.calls for edge in ("exit", "enter")]
    assert module.attached["syscalls:sys_enter_sendto"] == "enter_write"
    assert module.attached["syscalls:sys_exit_sendto"] == SYSCALLS.exit


def test_what_was_attached_before_a_failure_can_be_taken_away() -> None:
    module = Written()
    for detach in list(islice(SYSCALLS.attach(module), 3)):
        detach()
    assert module.attached == {}


def test_kprobes_are_attached_and_taken_away_after_the_ends_of_their_calls() -> None:
    module = Written()
    probes = list(KPROBES.attach(module))
    functions = list(module.attached)[-len(KPROBES.functions) :]
    assert functions == ["inet_sendmsg", "inet6_sendmsg", "inet_recvmsg", "inet6_recvmsg"]
    for detach in probes:
        detach()
    assert module.attached == {}


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_tracepoint_that_is_needed_is_attached(backend: Backend) -> None:
    module = Written()
    list(backend.attach(module))
    assert {name.replace("/", ":") for name in backend.needed} <= module.attached.keys()


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_every_program_of_a_raw_tracepoint_is_attached(backend: Backend) -> None:
    defined = set(re.findall(r"^RAW_TRACEPOINT_PROBE\((\w+)\)", source_text(backend), re.MULTILINE))
    assert {*LIFECYCLE, *backend.raw} == defined
