"""In the agent's pod: does what the agent needs a capability for, without some capability.

    capability.py NAME NUMBER      drops the one with this number (-1: none), and prints whether it works
    capability.py doctor NUMBER    drops it, and becomes the doctor

Root has all capabilities again after exec, but not under no_new_privs (prctl(2)), as in this pod.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from agent import priority
from agent.probes import bpf_call
from agent.probes.capability import ring_refusal
from agent.probes.symbols import KALLSYMS

VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: three sets, effective first, of two words
WORDS = 6
DOCTOR = ("spectap-agent", "doctor", "--no-self-test", f"--pid={os.getpid()}")
ANOTHER = "10001"  # the server's user


def drop(number: int) -> None:
    """Takes a capability out of all three sets of this thread. Raises OSError."""
    header, sets = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * WORDS)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    word, bit = divmod(number, 32)
    for index in range(word * 3, word * 3 + 3):
        sets[index] &= ~(1 << bit)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def another_users_process() -> Path:
    for status in Path("/proc").glob("[0-9]*/status"):
        if f"\nUid:\t{ANOTHER}\t" in status.read_text():
            return status.parent
    raise AssertionError(f"no process of user {ANOTHER}")


def makes_a_map() -> bool:
    return ring_refusal() is None


def loads_a_program() -> bool:
    os.close(bpf_call.load_program(bpf_call.KPROBE, bpf_call.NOTHING))
    return True


def finds_the_program() -> bool:
    """Its maps can be read with CAP_PERFMON, too, from Linux 6.15 on."""
    return bool((another_users_process() / "exe").readlink())


def reads_a_private_file() -> bool:
    folder = another_users_process() / "root/var/lib/spectap"
    return any(path.is_file() and path.read_bytes() is not None for path in folder.iterdir())


def opens_a_mapped_file() -> bool:
    link = next((another_users_process() / "map_files").iterdir())
    os.close(os.open(link, os.O_RDONLY))
    return True


def knows_addresses() -> bool:
    with KALLSYMS.open() as symbols:
        return any(int(line.split()[0], 16) for line in symbols)


def raises_its_priority() -> bool:
    priority.lower()
    return priority.restore()


NEEDS = {
    "BPF": makes_a_map,
    "PERFMON": loads_a_program,
    "SYS_PTRACE": finds_the_program,
    "DAC_READ_SEARCH": reads_a_private_file,
    "CHECKPOINT_RESTORE": opens_a_mapped_file,
    "SYSLOG": knows_addresses,
    "SYS_NICE": raises_its_priority,
}


def works(name: str) -> bool:
    try:
        return NEEDS[name]()
    except OSError:
        return False


def main() -> None:
    name, number = sys.argv[1], int(sys.argv[2])
    if number >= 0:
        drop(number)
    if name == "doctor":
        os.execvp(DOCTOR[0], DOCTOR)
    sys.stdout.write(f"{works(name)}\n")


if __name__ == "__main__":
    main()
