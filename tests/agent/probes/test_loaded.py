"""Maps are made with their bounds, programs are loaded once, and what the kernel refuses is said."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.probes import bpf_call
from agent.probes.bpf_call import MapShape
from agent.probes.compiler import Compiled
from agent.probes.instructions import INSTRUCTION
from agent.probes.loaded import LoadedPrograms, ProgramError, ToLoad

TABLE = MapShape("table", 1, 4, 8, 16)  # BPF_MAP_TYPE_HASH
USING = b"".join(INSTRUCTION.pack(*one) for one in ((0x18, 0x11, 0, 0), (0, 0, 0, 0))) + bpf_call.NOTHING
UNSET = INSTRUCTION.pack(0xBF, 0x50, 0, 0) + INSTRUCTION.pack(0x95, 0, 0, 0)  # r0 = r5; exit
KIND = ToLoad(bpf_call.KPROBE)
COMPILED = Compiled([TABLE], {"using": USING, "unset": UNSET})


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def loaded() -> Iterator[LoadedPrograms]:
    before = open_files()
    found = LoadedPrograms(COMPILED, {"using": KIND, "unset": KIND}, {"table": 32})
    yield found
    found.close()
    assert open_files() == before


@pytest.mark.root
def test_a_map_has_the_bound_that_is_asked_for(loaded: LoadedPrograms) -> None:
    assert bpf_call.shape_of(loaded.maps["table"]) == TABLE._replace(entries=32)


@pytest.mark.root
def test_a_program_is_loaded_when_it_is_asked_for_and_once(loaded: LoadedPrograms) -> None:
    before = open_files()
    assert loaded.descriptor("using") == loaded.descriptor("using")
    assert open_files() == before + 1


@pytest.mark.root
def test_a_refused_program_is_an_error_with_the_verifiers_reason(loaded: LoadedPrograms) -> None:
    for _ in range(2):
        with pytest.raises(ProgramError, match=r"^the kernel refused the program unset: .*: R5 !read_ok$"):
            loaded.descriptor("unset")
    assert loaded.descriptor("using")


@pytest.mark.root
def test_after_the_end_no_program_is_loaded(loaded: LoadedPrograms) -> None:
    loaded.close()
    with pytest.raises(ProgramError, match=r"^capture is ending$"):
        loaded.descriptor("using")


@pytest.mark.root
@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Compiled([TABLE, MapShape("odd", 1, 0, 0, 0)], {}), "^the kernel refused the map odd: Invalid"),
        (Compiled([TABLE], {"using": USING.replace(b"\x18\x11\0\0\0", b"\x18\x11\0\0\x05")}), "uses map 5"),
    ],
)
def test_what_cannot_be_made_is_an_error_and_leaves_nothing_open(broken: Compiled, why: str) -> None:
    before = open_files()
    with pytest.raises(ProgramError, match=why):
        LoadedPrograms(broken, {}, {})
    assert open_files() == before
