"""A backend attaches its probes one by one, and each can be detached: with a module that records the
calls.
"""

from __future__ import annotations

from itertools import islice

from agent.probes.backend import SYSCALLS


class Written:
    """Replaces BCC's module."""

    def __init__(self) -> None:
        self.attached: dict[bytes, bytes] = {}

    def attach_tracepoint(self, *, tp: bytes, fn_name: bytes) -> None:
        self.attached[tp] = fn_name

    def detach_tracepoint(self, tp: bytes) -> None:
        del self.attached[tp]


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


def test_a_tracepoint_that_is_needed_is_one_of_those_attached() -> None:
    module = Written()
    list(SYSCALLS.attach(module))
    assert {name.replace("/", ":").encode() for name in SYSCALLS.needed} <= module.attached.keys()
