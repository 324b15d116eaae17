"""A backend attaches its probes one by one, and each can be detached: with a module that records the
calls.
"""

from __future__ import annotations

import re
from itertools import islice

import pytest

from agent.probes.backend import BACKENDS, KPROBES, SYSCALLS, Backend
from agent.probes.programs import source_text


class Written:
    """Replaces BCC's module."""

    def __init__(self) -> None:
        self.attached: dict[bytes, bytes] = {}

    def attach_tracepoint(self, *, tp: bytes, fn_name: bytes) -> None:
        self.attached[tp] = fn_name

    def detach_tracepoint(self, tp: bytes) -> None:
        del self.attached[tp]

    def attach_kprobe(self, *, event: bytes, fn_name: bytes) -> None:
        self.attached[event] = fn_name

    def detach_kprobe(self, event: bytes, fn_name: bytes) -> None:
        assert self.attached.pop(event) == fn_name


def test_each_system_call_is_attached_at_its_return_before_its_entry() -> None:
    module = Written()
    probes = list(SYSCALLS.attach(module))
    assert len(probes) == len(module.attached) == 2 * len(SYSCALLS.calls)
    order = [name.decode().split(":sys_")[1] for name in module.attached]
    assert order == [f"{edge}_{call}" for call in SYSCALLS.calls for edge in ("exit", "enter")]
    assert module.attached[b"syscalls:sys_enter_sendto"] == b"enter_write"
    assert module.attached[b"syscalls:sys_exit_sendto"] == SYSCALLS.exit.encode()


def test_what_was_attached_before_a_failure_can_be_taken_away() -> None:
    module = Written()
    for detach in list(islice(SYSCALLS.attach(module), 3)):
        detach()
    assert module.attached == {}


def test_kprobes_are_attached_and_taken_away_after_the_ends_of_their_calls() -> None:
    module = Written()
    probes = list(KPROBES.attach(module))
    functions = list(module.attached)[-len(KPROBES.functions) :]
    assert functions == [b"inet_sendmsg", b"inet6_sendmsg", b"inet_recvmsg", b"inet6_recvmsg"]
    for detach in probes:
        detach()
    assert module.attached == {}


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_tracepoint_that_is_needed_is_attached_by_hand_or_by_bcc(backend: Backend) -> None:
    module = Written()
    list(backend.attach(module))
    by_name = set(re.findall(r"^RAW_TRACEPOINT_PROBE\((\w+)\)", source_text(backend), re.MULTILINE))
    for name in backend.needed:
        assert name.replace("/", ":").encode() in module.attached or name.split("/")[1] in by_name
