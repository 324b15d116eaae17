"""Dataclasses for facts created in bulk: frozen for the type checker, plain slots at run time.

A frozen dataclass sets each field through a call, which took up to a seventh of the agent's CPU. mypy rejects
writes to a fact in every module; nothing is checked at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    def dataclass(*, slots, frozen=False):
        """`dataclasses.dataclass` with slots, compared and hashed like a frozen one."""
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)
