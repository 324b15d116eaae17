"""Compiles the kernel programs in a process of its own.

BCC brings clang and LLVM, which keep 30 MiB for good once they have compiled. They are needed for seconds, so
they end with their process. What they made are instructions and the shapes of maps: the agent makes the maps
and loads the programs itself (loaded.py), and what is kept for the next start (kept_programs.py) is the same.

    agent                                   python -m agent.probes.compiler
    ------------------------------------    -------------------------------------------
    Source, as JSON, to its input       ->
                                        <-  Compiled or Failed, as MessagePack, from its output
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from agent.probes import bpf_call
from agent.probes.bpf_call import MapShape
from agent.probes.instructions import InstructionError, named_maps, renamed

FOLDER = Path(__file__).resolve().parents[2] / "bpf"
"""The sources. BCC looks for the kernel's headers here, too: bpf/include replaces them."""
PATIENCE_S = 1200.0  # a compilation takes 3 to 8 s of CPU time; where the CPU is emulated, some 300
REASON = 300  # characters: BCC may quote the whole source
STDOUT, STDERR = 1, 2
LIBRARIES = ("libbcc", "libLLVM", "libclang")
"""How the names of the files begin that compile."""


class CompilerError(RuntimeError):
    """There is no program; the message is the compiler's or the kernel's reason."""


class Source(msgspec.Struct, frozen=True):
    """C text, flags of the compiler, and the functions that are programs."""

    text: str
    flags: list[str]
    programs: list[str]


class FileState(msgspec.Struct, frozen=True, order=True):
    """A file as it was: its size in bytes, and when it was changed last, in ns since 1970."""

    path: str
    size: int
    changed_ns: int


class Compiled(msgspec.Struct, frozen=True, tag=True):
    """The maps, each program's code, in which a map is its number in `maps`, and the compiler's files."""

    maps: list[MapShape]
    programs: dict[str, bytes]
    compiler: list[FileState] = []


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why there is no program."""

    reason: str


def compile_apart(source: Source) -> Compiled:
    """Compiles in another process. Raises CompilerError."""
    argv = [sys.executable, "-m", __name__]
    try:
        # A session of its own: Ctrl-C is for the agent.
        ended = subprocess.run(
            argv,
            input=msgspec.json.encode(source),
            stdout=subprocess.PIPE,
            timeout=PATIENCE_S,
            start_new_session=True,
            check=False,
        )
        answer = msgspec.msgpack.decode(ended.stdout, type=Compiled | Failed) if ended.stdout else None
    except (OSError, subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        raise CompilerError(f"the compiler gave no answer ({error})") from None
    if answer is None:
        raise CompilerError(f"the compiler ended with status {ended.returncode}")
    if isinstance(answer, Failed):
        raise CompilerError(answer.reason)
    return answer


def main() -> None:
    """Answers one Source."""
    with os.fdopen(os.dup(STDOUT), "wb") as answer:
        os.dup2(STDERR, STDOUT)  # whatever a library prints is no part of the answer
        source = msgspec.json.decode(sys.stdin.buffer.read(), type=Source)
        try:
            answer.write(msgspec.msgpack.encode(compiled(source)))
        except CompilerError as error:
            answer.write(msgspec.msgpack.encode(Failed(str(error))))


def compiled(source: Source) -> Compiled:
    """Compiles in this process. Raises CompilerError."""
    os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
    import bcc

    bcc.BPF._trace_autoload = lambda _module: None  # it would attach some programs, by their names
    try:
        module: Any = bcc.BPF(text=source.text.encode(), cflags=source.flags)
        code = {name: module.dump_func(name.encode()) for name in source.programs}
    except Exception as error:  # BCC raises Exception itself
        raise CompilerError(str(error)[:REASON]) from None
    try:
        return _portable(code)
    except (InstructionError, OSError) as error:
        raise CompilerError(str(error)) from None


def _portable(code: dict[str, bytes]) -> Compiled:
    """With maps by number instead of BCC's descriptors. Raises InstructionError and OSError."""
    descriptors = sorted({descriptor for one in code.values() for descriptor in named_maps(one)})
    numbers = {descriptor: number for number, descriptor in enumerate(descriptors)}
    maps = [bpf_call.shape_of(descriptor) for descriptor in descriptors]
    if len({one.name for one in maps}) != len(maps):
        raise InstructionError("two maps have one name")
    return Compiled(maps, {name: renamed(one, numbers) for name, one in code.items()}, sorted(_libraries()))


def _libraries() -> Iterator[FileState]:
    paths = {line.split(maxsplit=5)[-1].rstrip() for line in Path("/proc/self/maps").read_text().splitlines()}
    yield from (state_of(path) for path in paths if Path(path).name.startswith(LIBRARIES))


def state_of(path: str) -> FileState:
    """A file as it is now. Raises OSError."""
    found = os.stat(path)
    return FileState(path, found.st_size, found.st_mtime_ns)


if __name__ == "__main__":
    main()
