"""What the kernel's verifier says of programs, through bpf(2)."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
from pathlib import Path

from agent.probes import bpf_call

PROG_LOAD, KPROBE, LOG_STATS = 5, 2, 4  # include/uapi/linux/bpf.h: bpf_cmd, bpf_prog_type; bpf_verifier.h
SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280}
ATTR_BYTES, ATTACH_TYPE_AT = 128, 68
INFO_BYTES, NAME_AT, VERIFIED_AT = 256, 64, 216  # struct bpf_prog_info: its members name and verified_insns
MOST_VERIFIED = 500_000  # half of BPF_COMPLEXITY_LIMIT_INSNS (include/linux/bpf.h)


def stack_depths(code: bytes, attach_type: int) -> list[int]:
    """Bytes of stack of each function of a kprobe program. Raises OSError if the program is rejected.

    `attach_type` is bpf_attr's expected_attach_type: it must be that of the other programs with the same
    array for tail calls.
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    attr = ctypes.create_string_buffer(ATTR_BYTES)
    at, license_at, log_at = (ctypes.addressof(buffer) for buffer in (instructions, license_, log))
    struct.pack_into("<IIQQIIQ", attr, 0, KPROBE, len(code) // 8, at, license_at, LOG_STATS, len(log), log_at)
    struct.pack_into("<I", attr, ATTACH_TYPE_AT, max(attach_type, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    program = libc.syscall(SYSCALL_NUMBER[platform.machine()], PROG_LOAD, ctypes.byref(attr), ATTR_BYTES)
    if program < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(program)
    found = re.search(rb"^stack depth (\S+)$", log.value, re.MULTILINE)
    assert found, log.value
    return [int(depth) for depth in found[1].split(b"+")]


def check_margin() -> None:
    """Of the programs that this process has loaded, none takes more of the verifier than half of what it
    gives. A kernel before 5.16 does not tell.
    """
    most, largest = max(_verified(int(file.name)) for file in _programs())
    assert most <= MOST_VERIFIED, (
        f"the verifier walks {most:,} instructions of {largest}, and gives up at 1,000,000: with "
        "another compiler or kernel the agent might not start. It walks each turn of a loop along all paths "
        "that reach it: split the loop in two, keep its state in a map, and keep the keys of maps in eight "
        "bytes (KEY in bpf/maps.h)"
    )


def _programs() -> list[Path]:
    return [file for file in Path("/proc/self/fdinfo").iterdir() if _is_program(file)]


def _is_program(file: Path) -> bool:
    try:
        return "prog_id:" in file.read_text()
    except FileNotFoundError:  # the descriptor of the folder itself
        return False


def _verified(descriptor: int) -> tuple[int, str]:
    info = ctypes.create_string_buffer(INFO_BYTES)
    bpf_call.read_info(descriptor, info)
    (verified,) = struct.unpack_from("<I", info, VERIFIED_AT)
    return verified, info.raw[NAME_AT:].split(b"\0", 1)[0].decode()
