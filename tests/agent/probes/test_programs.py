"""Where a function's programs are attached, and what is left of their compiler."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from agent.probes import compiler, private_stack, tls
from agent.probes.abi import Counter, Setting
from agent.probes.compiler import Compiled, CompilerError, Source
from agent.probes.elf import Function
from agent.probes.programs import (
    SPARE_FILES,
    ProgramError,
    Programs,
    Sizes,
    places,
    room_for_probes,
    source_text,
)
from agent.probes.tls import OPENSSL
from agent.probes.uprobes import ENTRY, RETURN, Places
from tests.e2e import bpf_programs
from tests.kept import cache_folder

WRITE = "crypto/tls.(*Conn).Write"


def test_a_function_whose_returning_instructions_are_known_gets_no_return_probe() -> None:
    found = list(places({WRITE: Function(100, (120, 130))}))
    assert found == [Places("go_return", ENTRY, (120, 130)), Places("go_write", ENTRY, (100,))]


def test_all_returns_are_attached_before_the_first_entry() -> None:
    functions = {"SSL_read": Function(100), "SSL_free": Function(300), "SSL_write": Function(200)}
    assert list(places(functions)) == [
        Places("openssl_return", RETURN, (100, 200)),
        Places("openssl_read", ENTRY, (100,)),
        Places("openssl_free", ENTRY, (300,)),
        Places("openssl_write", ENTRY, (200,)),
    ]


def test_a_function_that_is_only_entered_gets_one_probe() -> None:
    found = list(places({"SSL_free": Function(7, (9,))}))
    assert found == [Places(OPENSSL.hooks["SSL_free"].entry, ENTRY, (7,))]


def test_probes_take_the_open_files_that_the_system_allows_but_some() -> None:
    """Any user can map many copies of a library; without a file left, the agent would end."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        assert room_for_probes() == before[1] - SPARE_FILES
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_javas_programs_are_compiled_only_where_they_are_asked_for() -> None:
    asked = set(tls.programs(java=True)) - set(tls.programs(java=False))
    assert asked == {"java_sent", "java_received", "java_handshake", "java_end"}
    assert not [name for name in asked if name in source_text(java=False)]


SMALL = Sizes(ring_bytes=1 << 20, connections=64, threads=64, go_calls=64)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def has_compiler() -> bool:
    return "libLLVM" in Path("/proc/self/maps").read_text()


@pytest.mark.root
def test_without_the_compiler_programs_and_maps_work_and_nothing_stays_open() -> None:
    before, had_compiler = open_files(), has_compiler()
    programs = Programs(SMALL, cache_folder())
    assert has_compiler() is had_compiler, "other tests may compile in this process"
    assert all(programs.load(name) for name in tls.first_programs(java=False))
    programs.attach_mappings()
    programs.attach_sockets()
    programs.maps.set(Setting.BODY_CAP, 5)
    programs.maps.add_pid("only_pids", 1)
    assert programs.maps.counters().keys() == set(Counter)
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert process.pid in programs.maps.changed()
    assert programs.maps.changed() == []
    for _ in programs.close():
        pass
    assert open_files() == before


@pytest.mark.root
def test_a_second_start_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in Programs(SMALL, cache_folder()).close():
        pass

    def refuse(_: Source) -> Compiled:
        raise CompilerError("it was asked again")

    monkeypatch.setattr(compiler, "compile_apart", refuse)
    programs = Programs(SMALL, cache_folder())
    assert programs.attach_sockets() > 0
    assert programs.tls_refusal is None
    for _ in programs.close():
        pass


@pytest.mark.root
def test_programs_of_other_libraries_than_openssl_are_loaded_with_their_first_file(tmp_path: Path) -> None:
    library = tmp_path / "libgnutls.so.30"
    library.write_bytes(bytes(4096))
    programs = Programs(SMALL, cache_folder())
    before = bpf_programs.loaded()
    with library.open("rb") as file:
        handles = programs.attach_tls(file, {"gnutls_record_recv": Function(64)})
    names = {"gnutls_read", "gnutls_return"}
    assert len(bpf_programs.loaded() - before) == len(names)
    loaded = bpf_programs.loaded()
    assert all(programs.load(name) for name in names | set(tls.first_programs(java=False)))
    assert bpf_programs.loaded() == loaded
    assert programs.detach(handles) == 2
    for _ in programs.close():
        pass


@pytest.mark.root
def test_a_program_on_a_private_stack_is_not_attached_and_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = Programs(SMALL, cache_folder())
    assert programs.tls_refusal is None
    monkeypatch.setattr(private_stack, "has_private_stack", lambda *_: True)
    path = tmp_path / "library"
    path.write_bytes(bytes(4096))
    with path.open("rb") as file:
        with pytest.raises(ProgramError, match=r"would run gnutls_return on a stack that tasks share"):
            programs.attach_tls(file, {"gnutls_record_recv": Function(64)})
        assert programs.detach(programs.attach_tls(file, {"SSL_read": Function(64)})) == 2
    for _ in programs.close():
        pass
