"""Detects programs that the kernel runs on a private stack: they must not be attached to a uprobe.

From Linux 6.13 on the kernel may give a program one stack per CPU instead of its task's
(bpf_enable_priv_stack() in kernel/bpf/verifier.c). A uprobe program can be preempted, so two tasks would
share that stack: memory is corrupted, and the kernel may crash. bpf/tls.c prevents this by a tail call; this
module verifies it in the machine code that the kernel generated.

    machine code             answer
    none (JIT off)           no: the interpreter has the task's stack
    x86-64, shown            yes if it makes its frame on a private stack
    not shown, or not x86    yes unless the program can make a tail call, which rules one out
"""

from __future__ import annotations

import ctypes
import platform
import struct

from agent.probes import bpf_call
from agent.probes.instructions import CALL, INSTRUCTION, SOURCE_REGISTER

INFO_BYTES = 256  # at least struct bpf_prog_info; older kernels write less
JITED_LENGTH_AT, JITED_AT = 16, 24  # its members jited_prog_len and jited_prog_insns

PRIVATE_FRAME = bytes.fromhex("654c030c25")
"""`add r9, gs:[...]` of emit_priv_frame_ptr() in arch/x86/net/bpf_jit_comp.c; r9 holds no BPF register."""

TAIL_CALL = 12  # BPF_FUNC_tail_call


def has_private_stack(program: int, code: bytes) -> bool:
    """Whether the kernel runs this program (its descriptor and eBPF code) on a private stack.

    Raises OSError if the kernel gives no information on the program.
    """
    image = machine_code(program)
    if image is not None and not image:
        return False
    if image is None or platform.machine() != "x86_64":
        return not can_tail_call(code)
    return PRIVATE_FRAME in image


def machine_code(program: int) -> bytes | None:
    """A program's machine code: empty if the JIT is off, None if the kernel hides it (kptr_restrict)."""
    length, _ = _jited(program, 0, 0)
    image = ctypes.create_string_buffer(length)
    _, shown_at = _jited(program, length, ctypes.addressof(image))
    return image.raw if shown_at or not length else None


def can_tail_call(code: bytes) -> bool:
    """Whether these instructions contain a tail call."""
    return any(
        operation == CALL and not registers & SOURCE_REGISTER and helper == TAIL_CALL
        for operation, registers, _, helper in INSTRUCTION.iter_unpack(code)
    )


def _jited(program: int, room: int, at: int) -> tuple[int, int]:
    """The length of the machine code, and the address it was written to (0: none)."""
    info = ctypes.create_string_buffer(INFO_BYTES)
    struct.pack_into("<I", info, JITED_LENGTH_AT, room)
    struct.pack_into("<Q", info, JITED_AT, at)
    bpf_call.read_info(program, info)
    (length,) = struct.unpack_from("<I", info, JITED_LENGTH_AT)
    (shown_at,) = struct.unpack_from("<Q", info, JITED_AT)
    return length, shown_at
