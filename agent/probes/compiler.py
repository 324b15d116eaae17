"""Compiles and loads the kernel programs in a process of its own.

BCC brings clang and LLVM, which keep 30 MiB for good once they have compiled. They are needed for seconds, so
they end with their process; what it loaded stays as long as a descriptor of it is open, and those are handed
over on a socket.

    agent                                   python -m agent.probes.compiler
    ------------------------------------    -------------------------------------------
    Source, as JSON                     ->
                                        <-  descriptors: of maps, then of programs
                                        <-  CompilerAnswer, as JSON: their names; or an error
"""

from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).resolve().parents[2] / "bpf"
"""The sources. BCC looks for the kernel's headers here, too: bpf/include replaces them."""
MOST_DESCRIPTORS = 253  # in one message: SCM_MAX_FD of include/net/scm.h
PATIENCE_S = 300.0  # a compilation takes 2 to 5 s of CPU time
REASON = 300  # characters: BCC may quote the whole source
ONE = 1


class CompilerError(RuntimeError):
    """There is no program; the message is the compiler's or the kernel's reason."""


class ToLoad(msgspec.Struct, frozen=True):
    """A program to load: its bpf_prog_type, and its expected_attach_type or -1."""

    type: int
    attach_type: int = -1


class Source(msgspec.Struct, frozen=True):
    """C text, flags of the compiler, the maps to hand over, and the programs to load, by the names of their
    functions.
    """

    text: str
    flags: list[str]
    maps: list[str]
    programs: dict[str, ToLoad]


class CompilerAnswer(msgspec.Struct, frozen=True):
    """The names of the maps and the programs, in the order of their descriptors; `code` is each program's,
    and `refused` has reasons by program.
    """

    maps: list[str] = []
    programs: list[str] = []
    code: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    error: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedObjects:
    """Descriptors of maps and programs by name, the programs' eBPF code, and why others were refused."""

    maps: Mapping[str, int]
    programs: Mapping[str, int]
    code: Mapping[str, bytes]
    refused: Mapping[str, str]

    def close(self) -> None:
        """Closes all descriptors."""
        for descriptor in (*self.maps.values(), *self.programs.values()):
            os.close(descriptor)


def load(source: Source) -> LoadedObjects:
    """Compiles and loads. Raises CompilerError."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(PATIENCE_S)
        argv = [sys.executable, "-m", __name__, str(theirs.fileno())]
        with theirs:
            # A session of its own: Ctrl-C is for the agent.
            child = subprocess.Popen(argv, pass_fds=[theirs.fileno()], start_new_session=True)
        descriptors: list[int] = []
        try:
            answer = _exchange(ours, source, descriptors)
        except (OSError, msgspec.MsgspecError) as error:
            child.kill()
            answer = CompilerAnswer(error=f"the compiler gave no answer ({error})")
        finally:
            child.wait()
    if answer is None or answer.error is not None or len(descriptors) != len(answer.maps + answer.programs):
        for descriptor in descriptors:
            os.close(descriptor)
        raise CompilerError((answer and answer.error) or f"the compiler ended with status {child.returncode}")
    maps = dict(zip(answer.maps, descriptors, strict=False))
    programs = dict(zip(answer.programs, descriptors[len(maps) :], strict=True))
    return LoadedObjects(maps, programs, answer.code, answer.refused)


def _exchange(connection: socket.socket, source: Source, descriptors: list[int]) -> CompilerAnswer | None:
    """Adds what it receives to `descriptors`. None if the compiler ended without an answer."""
    connection.sendall(msgspec.json.encode(source))
    connection.shutdown(socket.SHUT_WR)
    descriptors += socket.recv_fds(connection, ONE, MOST_DESCRIPTORS)[1]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    text = _until_end(connection)
    return msgspec.json.decode(text, type=CompilerAnswer) if text else None


def _until_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


def main() -> None:
    """Answers one Source on the socket with the descriptor in argv."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        descriptors, answer = compiled(msgspec.json.decode(_until_end(connection), type=Source))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        connection.sendmsg([b"\0"], [rights] if descriptors else [])
        connection.sendall(msgspec.json.encode(answer))


def compiled(source: Source) -> tuple[list[int], CompilerAnswer]:
    """Compiles and loads in this process. Returns the descriptors, of maps and then of programs."""
    os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
    import bcc

    bcc.BPF._trace_autoload = lambda _module: None  # it would attach some programs, by their names
    try:
        module: Any = bcc.BPF(text=source.text.encode(), cflags=source.flags)
    except Exception as error:  # BCC raises Exception itself
        return [], CompilerAnswer(error=str(error)[:REASON])
    maps = {name: module[name.encode()].map_fd for name in source.maps}
    programs: dict[str, int] = {}
    refused: dict[str, str] = {}
    for name, wanted in source.programs.items():
        try:
            programs[name] = module.load_func(name.encode(), wanted.type, attach_type=wanted.attach_type).fd
        except Exception as error:  # BCC raises Exception itself
            refused[name] = str(error)[:REASON]
    code = {name: module.dump_func(name.encode()) for name in programs}
    return [*maps.values(), *programs.values()], CompilerAnswer([*maps], [*programs], code, refused)


if __name__ == "__main__":
    main()
