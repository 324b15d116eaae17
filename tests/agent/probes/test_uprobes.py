"""Both ways of attaching run the program at every place, and not once the probe is closed."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.probes import bpf_call, elf, uprobes
from agent.probes.programs import FOLDER
from agent.probes.uprobes import ENTRY, RETURN, ByEvents, ByLinks, Places, Way

CODE = "int one(int n) { return n + 1; }\nint two(int n) { return n + 2; }\n"
PROGRAM = "BPF_ARRAY(runs, u64, 1);\nint count(void *ctx) { runs.increment(0); return 0; }\n"


def bcc() -> Any:
    os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
    import bcc

    return bcc


def by_links() -> Way:
    return ByLinks()


def by_events() -> Way:
    return ByEvents()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "two.c").write_text(CODE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "two.so", folder / "two.c"], check=True)
    return folder / "two.so"


@pytest.fixture
def offsets(library: Path) -> Iterator[tuple[int, ...]]:
    with library.open("rb") as file:
        yield tuple(elf.function_offsets(file, ("one", "two")).values())


@pytest.mark.root
@pytest.mark.parametrize("way", [by_links, by_events])
@pytest.mark.parametrize("kind", [ENTRY, RETURN])
def test_a_program_runs_at_all_its_places_until_its_probes_are_closed(
    way: Any, kind: int, library: Path, offsets: tuple[int, ...]
) -> None:
    chosen: Way = way()
    module = bcc().BPF(text=f"#include <linux/types.h>\n{PROGRAM}".encode())
    program = module.load_func(b"count", bcc().BPF.KPROBE, attach_type=chosen.attach_type)
    code = ctypes.CDLL(str(library))
    with library.open("rb") as file:
        probes = [*chosen.attach(program.fd, Places("count", kind, offsets), file)]
    assert sum(probe.places for probe in probes) == 2
    assert (code.one(1), code.two(1)) == (2, 3)
    assert module[b"runs"][0].value == 2
    for probe in probes:
        os.close(probe.descriptor)
    code.one(1)
    assert module[b"runs"][0].value == 2


@pytest.mark.root
@pytest.mark.parametrize("way", [by_links, by_events])
def test_a_file_without_code_is_an_error_and_leaves_nothing_attached(way: Any, tmp_path: Path) -> None:
    chosen: Way = way()
    module = bcc().BPF(text=f"#include <linux/types.h>\n{PROGRAM}".encode())
    program = module.load_func(b"count", bcc().BPF.KPROBE, attach_type=chosen.attach_type)
    with open("/proc/self/comm", "rb") as file, pytest.raises(OSError):  # noqa: PT011
        [*chosen.attach(program.fd, Places("count", ENTRY, (0,)), file)]


@pytest.mark.root
def test_links_are_chosen_where_the_kernel_has_them() -> None:
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert uprobes.has_links() is (release >= (6, 6))


def test_without_the_right_to_load_programs_events_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(bpf_call, "load_program", refuse)
    assert isinstance(uprobes.way(), ByEvents)
