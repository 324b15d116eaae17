"""The maps and programs of one agent, by name.

Maps are made at once; a program is loaded when it is first asked for. The verifier takes up to half a second
of CPU for one, and few hosts have programs of every TLS library.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from agent.probes import bpf_call, perf_event
from agent.probes.bpf_call import MapShape
from agent.probes.compiler import Compiled
from agent.probes.instructions import InstructionError, renamed

RAW_PREFIX = "raw_tracepoint__"
"""What BCC's macro RAW_TRACEPOINT_PROBE puts before the tracepoint's name."""

Detach = Callable[[], None]
"""Removes one probe."""


class ProgramError(RuntimeError):
    """The kernel refused a program or a probe; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class ToLoad:
    """How a program is loaded: its bpf_prog_type and expected_attach_type."""

    type: int
    attach_type: int = 0


class LoadedPrograms:
    """Maps and programs of these kinds by name. `entries` are the bounds of maps that have another one than
    compiled. Raises ProgramError.
    """

    def __init__(self, compiled: Compiled, kinds: Mapping[str, ToLoad], entries: Mapping[str, int]) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._programs: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._closed = False
        allow_locked_memory()
        self.maps = _made(compiled.maps, entries)
        try:
            numbers = dict(enumerate(self.maps.values()))
            self._code = {name: renamed(code, numbers) for name, code in compiled.programs.items()}
        except InstructionError as error:
            self.close()
            raise ProgramError(f"the capture programs are broken: {error}") from None

    def descriptor(self, program: str) -> int:
        """A program's descriptor; raises ProgramError if the kernel refuses it."""
        with self._lock:
            if program not in self._programs and program not in self._refused:
                self._load(program)
            if program in self._refused:
                raise ProgramError(f"the kernel refused the program {program}: {self._refused[program]}")
            return self._programs[program]

    def _load(self, program: str) -> None:
        if self._closed:
            raise ProgramError("capture is ending")
        kind = self._kinds[program]
        try:
            self._programs[program] = bpf_call.load_program(
                kind.type, self._code[program], program, kind.attach_type
            )
        except OSError as error:
            self._refused[program] = str(error.strerror)

    def code(self, program: str) -> bytes:
        """A program's eBPF instructions, as loaded."""
        return self._code[program]

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
        """Closes all maps and programs; no more are loaded."""
        with self._lock:
            self._closed = True
            for descriptor in (*self.maps.values(), *self._programs.values()):
                os.close(descriptor)
            self.maps, self._programs = {}, {}


def _made(shapes: list[MapShape], entries: Mapping[str, int]) -> dict[str, int]:
    """Makes maps. Raises ProgramError."""
    made: dict[str, int] = {}
    try:
        for shape in shapes:
            bound = entries.get(shape.name, shape.entries)
            made[shape.name] = bpf_call.create_map(shape._replace(entries=bound))
    except OSError as error:
        for descriptor in made.values():
            os.close(descriptor)
        raise ProgramError(f"the kernel refused the map {shape.name}: {error.strerror}") from None
    return made


def allow_locked_memory() -> None:
    """Before Linux 5.11 maps and programs count as locked memory, of which little is allowed."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _closing(descriptor: int) -> Detach:
    return lambda: os.close(descriptor)
