"""No uprobe program has a stack that tasks share; a program that had one would not be attached."""

from __future__ import annotations

import platform
import socket
import ssl  # noqa: F401  # maps OpenSSL into this process
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.events import Direction
from agent.probes import private_stack, programs, tls, uprobes
from agent.probes.kernel import CaptureFilters
from agent.probes.programs import Programs, Sizes
from tests.agent.probes.verifier import check_margin, stack_depths
from tests.agent.probes.watch import connected, watching
from tests.kept import cache_folder

SMALL = Sizes(ring_bytes=1 << 20, connections=64, threads=64, bodies=64)
LARGEST = 48  # bytes of stack, which the kernel rounds up to 16; private from 64 on
GUARD = "no_program.call(ctx, 0);"
TEXT = b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n"


def instruction(operation: int, registers: int, immediate: int) -> bytes:
    return struct.pack("<BBhi", operation, registers, 0, immediate)


EXIT = instruction(0x95, 0, 0)
TAIL_CALL = instruction(0x85, 0, 12)
LOOKUP = instruction(0x85, 0, 1)
FUNCTION_CALL = instruction(0x85, 0x10, 12)


@pytest.mark.parametrize(("code", "can"), [(TAIL_CALL, True), (LOOKUP, False), (FUNCTION_CALL, False)])
def test_a_tail_call_is_told_from_other_calls(code: bytes, can: bool) -> None:
    assert private_stack.can_tail_call(LOOKUP + code + EXIT) is can


@pytest.mark.parametrize(
    ("image", "code", "machine", "expected"),
    [
        (b"\x90" + private_stack.PRIVATE_FRAME + b"\x00" * 4, TAIL_CALL, "x86_64", True),
        (b"\x65\x48\x03\x04\x25" + b"\x00" * 4, EXIT, "x86_64", False),  # a per-CPU array, no frame
        (b"", EXIT, "x86_64", False),  # the JIT is off
        (b"", EXIT, "aarch64", False),
        (None, EXIT, "x86_64", True),  # not reported: only the tail call can exclude it
        (None, TAIL_CALL, "x86_64", False),
        (b"\x90", EXIT, "aarch64", True),
        (b"\x90", TAIL_CALL, "aarch64", False),
    ],
)
def test_what_cannot_be_ruled_out_counts_as_a_private_stack(
    monkeypatch: pytest.MonkeyPatch, image: bytes | None, code: bytes, machine: str, expected: bool
) -> None:
    monkeypatch.setattr(private_stack, "machine_code", lambda _program: image)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert private_stack.has_private_stack(0, code) is expected


def test_a_descriptor_that_is_no_program_is_an_error(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(OSError, match="Invalid"):
        private_stack.machine_code(file.fileno())


def test_a_machine_whose_call_is_not_known_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="not implemented"):
        private_stack.machine_code(0)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Programs]:
    found = Programs(SMALL, cache_folder(), java=True)
    yield found
    for _ in found.close():
        pass


@pytest.mark.root
def test_every_uprobe_program_is_small_or_can_make_a_tail_call(loaded: Programs) -> None:
    expected = uprobes.way().attach_type
    assert tls.PROGRAMS
    for program in tls.PROGRAMS:
        code = loaded.code(program)
        assert max(stack_depths(code, expected)) <= LARGEST or private_stack.can_tail_call(code), program


@pytest.mark.root
def test_no_uprobe_program_as_loaded_makes_its_frame_on_a_private_stack(loaded: Programs) -> None:
    assert loaded.tls_refusal is None
    for program in tls.PROGRAMS:
        assert private_stack.PRIVATE_FRAME not in (private_stack.machine_code(loaded.load(program)) or b"")


@pytest.mark.root
def test_each_program_leaves_half_of_the_verifiers_patience(loaded: Programs) -> None:
    assert all(loaded.load(program) for program in tls.PROGRAMS)
    check_margin()


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = programs.source_text()
    assert GUARD in text
    monkeypatch.setattr(programs, "source_text", lambda _backend, **_options: text.replace(GUARD, ""))


@pytest.mark.root
@pytest.mark.usefixtures("unguarded")
def test_with_a_program_on_a_private_stack_tls_is_not_probed_and_plain_calls_are_seen() -> None:
    with watching(CaptureFilters()) as watch, socket.create_server(("127.0.0.1", 0)) as listener:
        refusal = watch.source.watching.tls_refusal
        if refusal is None:
            pytest.skip("this kernel has no private stacks (Linux 6.13)")
        assert "openssl_return" in refusal
        assert watch.source.watching.libraries == ()
        assert set(watch.source.watching.failures.values()) == {refusal}
        client, server = connected(listener)
        with client, server:
            port = client.getsockname()[1]
            client.sendall(TEXT)
            server.recv(len(TEXT))
            watch.until(lambda: watch.length(port, Direction.SENT) == len(TEXT), "the plain call")
