"""Probes that are only recorded, for tests that attach nothing to the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from agent.probes.elf import Function
from agent.probes.programs import ProgramError


class Probes:
    """Replaces the kernel: returns handles and counts their release."""

    def __init__(self) -> None:
        self.attached: dict[int, str] = {}
        self.refuse = False
        self._next = 0

    def attach(self, file: IO[bytes], functions: dict[str, Function]) -> dict[int, int]:
        path = str(file.name)
        if self.refuse:
            raise ProgramError(f"refused: {path}")
        handles = {}
        for _ in functions:
            self._next += 1
            self.attached[self._next] = path
            handles[self._next] = 1
        return handles

    def detach(self, handles: Iterable[int]) -> None:
        for handle in handles:
            del self.attached[handle]
