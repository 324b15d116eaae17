"""eBPF instructions that name maps: by descriptor as loaded, by number in a list of maps as kept.

By Documentation/bpf/standardization/instruction-set.rst of the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

INSTRUCTION = struct.Struct("<BBhi")  # struct bpf_insn
LOAD_64, OF_MAP = 0x18, 1  # BPF_LD | BPF_IMM | BPF_DW; BPF_PSEUDO_MAP_FD
CALL = 0x85  # BPF_JMP | BPF_CALL
SOURCE_REGISTER = 0xF0  # of a call 0 for a helper; of a load 0 for a number
IMMEDIATE_AT = 4


class InstructionError(ValueError):
    """The code refers to something other than maps and helpers, or to a map that is not there."""


def named_maps(code: bytes) -> list[int]:
    """What the instructions call the maps that they use, in order. Raises InstructionError."""
    return [name for _, name in _map_loads(code)]


def renamed(code: bytes, names: Mapping[int, int]) -> bytes:
    """The code with other names for its maps. Raises InstructionError."""
    changed = bytearray(code)
    for at, name in _map_loads(code):
        if name not in names:
            raise InstructionError(f"the code uses map {name}, which is not there")
        struct.pack_into("<i", changed, at + IMMEDIATE_AT, names[name])
    return bytes(changed)


def _map_loads(code: bytes) -> Iterator[tuple[int, int]]:
    """Where maps are loaded, and which. The second half of a load has operation 0, as nothing else has."""
    if len(code) % INSTRUCTION.size:
        raise InstructionError("the code does not end with an instruction")
    for number, (operation, registers, _, immediate) in enumerate(INSTRUCTION.iter_unpack(code)):
        source = (registers & SOURCE_REGISTER) >> 4
        if operation == LOAD_64 and source == OF_MAP:
            yield number * INSTRUCTION.size, immediate
        elif operation in (LOAD_64, CALL) and source:
            raise InstructionError(f"instruction {number} refers to something other than a map")
