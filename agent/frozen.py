"""How facts are made that many of are made: frozen for the type checker, plain slots at run time.

A frozen dataclass sets each field through a call of its own, which took up to a seventh of the agent's CPU.
mypy holds every module to not writing to a fact; nothing is checked again while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    def dataclass(*, slots, frozen=False):
        """`dataclasses.dataclass`, compared and hashed as if it were frozen."""
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)
