"""Code is bound to maps by what its instructions say, and to nothing else."""

from __future__ import annotations

import pytest

from agent.probes.instructions import INSTRUCTION, InstructionError, named_maps, renamed

MOVE, LOAD, CALL, EXIT = 0xB7, 0x18, 0x85, 0x95
OF_MAP, OF_VALUE, OF_FUNCTION = 0x11, 0x21, 0x10  # pseudo source registers, 1 in r1


def code(*instructions: tuple[int, int, int]) -> bytes:
    return b"".join(INSTRUCTION.pack(op, registers, 0, number) for op, registers, number in instructions)


def using(*maps: int) -> bytes:
    loads = [half for name in maps for half in ((LOAD, OF_MAP, name), (0, 0, 0))]
    number = [(LOAD, 0x01, 7), (0, 0, 0)]  # whatever has the value of a map's name
    return code((MOVE, 1, 7), *number, *loads, (CALL, 0, 1), (EXIT, 0, 0))


def test_maps_are_named_in_the_order_of_their_use() -> None:
    assert named_maps(using(7, 9, 7)) == [7, 9, 7]


def test_only_maps_get_other_names() -> None:
    assert renamed(using(7, 9, 7), {7: 0, 9: 1}) == using(0, 1, 0)


def test_a_map_without_a_name_is_an_error() -> None:
    with pytest.raises(InstructionError, match="the code uses map 9, which is not there"):
        renamed(using(7, 9), {7: 0})


@pytest.mark.parametrize(
    "other", [code((LOAD, OF_VALUE, 7), (0, 0, 0)), code((CALL, OF_FUNCTION, 1)), using(7)[:-1]]
)
def test_code_that_refers_to_anything_else_or_is_cut_is_an_error(other: bytes) -> None:
    with pytest.raises(InstructionError):
        named_maps(other)
