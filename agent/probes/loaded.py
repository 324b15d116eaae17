"""The loaded programs of one agent, by name."""

from __future__ import annotations

import os
from collections.abc import Callable

from agent.probes import bpf_call, compiler, perf_event
from agent.probes.compiler import CompilerError, Source

RAW_PREFIX = "raw_tracepoint__"
"""What BCC's macro RAW_TRACEPOINT_PROBE puts before the tracepoint's name."""

Detach = Callable[[], None]
"""Removes one probe."""


class ProgramError(RuntimeError):
    """The kernel refused a program or a probe; the message names it and the reason."""


class LoadedPrograms:
    """Compiles and loads. Raises ProgramError."""

    def __init__(self, source: Source) -> None:
        try:
            self._loaded = compiler.load(source)
        except CompilerError as error:
            raise ProgramError(f"the kernel refused the capture programs: {error}") from None
        self.maps = self._loaded.maps

    def descriptor(self, program: str) -> int:
        """A program's descriptor; raises ProgramError if the kernel refused it."""
        descriptor = self._loaded.programs.get(program)
        if descriptor is None:
            reason = self._loaded.refused.get(program, "it is not among the sources")
            raise ProgramError(f"the kernel refused the program {program}: {reason}")
        return descriptor

    def code(self, program: str) -> bytes:
        """A program's eBPF instructions, as compiled."""
        return self._loaded.code[program]

    def attach_tracepoint(self, tracepoint: str, program: str) -> Detach:
        """Attaches to a tracepoint, such as syscalls:sys_enter_read. Raises OSError and ProgramError."""
        return _closing(perf_event.attach_tracepoint(tracepoint, self.descriptor(program)))

    def attach_raw_tracepoint(self, tracepoint: str) -> Detach:
        """Attaches the program that the sources define for it. Raises OSError and ProgramError."""
        program = self.descriptor(RAW_PREFIX + tracepoint)
        return _closing(bpf_call.open_raw_tracepoint(tracepoint.encode(), program))

    def attach_kprobe(self, function: str, program: str) -> Detach:
        """Attaches to the entry of a kernel function. Raises OSError and ProgramError."""
        return _closing(perf_event.attach_kprobe(function, self.descriptor(program)))

    def close(self) -> None:
        """Closes all maps and programs."""
        self._loaded.close()


def _closing(descriptor: int) -> Detach:
    return lambda: os.close(descriptor)
