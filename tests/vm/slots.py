"""How often another task overwrites a uprobe program's stack, by the stack's size and with a tail call.

Four tasks on one CPU run a program that writes its thread's id to the lowest slot of its stack, copies memory
for a while, and checks the slot. Prints one line of JSON: per program, runs and corrupted runs.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent.probes.programs import FOLDER

PROGRAMS = {"small": (48, False), "private": (64, False), "guarded": (256, True)}
"""Name -> bytes of stack, and whether it has a tail call."""

TASKS = 4
TARGET = Path("/run/target")
ROUND_S = 4
MOST_ROUNDS = 10  # of the unguarded program, until the first corruption

HEAD = """
#include <linux/types.h>
struct page { char bytes[4096]; };
BPF_PROG_ARRAY(no_program, 1);
BPF_ARRAY(never, u64, 1);
BPF_ARRAY(pages, struct page, 1);
BPF_ARRAY(counts, u64, 2);
static inline void count(int index)
{
	u64 *value = counts.lookup(&index);
	if (value)
		__sync_fetch_and_add(value, 1);
}
"""

PROGRAM = """
int %(name)s(struct pt_regs *ctx)
{
	u64 before = bpf_get_current_pid_tgid(), after = 0, *tail;
	int first = 0;
	struct page *page = pages.lookup(&first);
	tail = never.lookup(&first);
	if (!page || !tail)
		return 0;
	if (%(tail)d && *tail)
		no_program.call(ctx, 0);
	asm volatile("*(u64 *)(r10 - %(size)d) = %%0" :: "r"(before) : "memory");
	for (int i = 0; i < 400; i++)
		bpf_probe_read_kernel(page->bytes, sizeof(page->bytes), (void *)bpf_get_current_task());
	asm volatile("%%0 = *(u64 *)(r10 - %(size)d)" : "=r"(after) :: "memory");
	count(0);
	if (after != before)
		count(1);
	return 0;
}
"""


def compiled() -> Any:
    os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
    import bcc

    subprocess.run(["gcc", "-O1", "-o", TARGET, Path(__file__).with_name("target.c")], check=True)
    text = HEAD + "".join(
        PROGRAM % {"name": name, "size": size, "tail": tail} for name, (size, tail) in PROGRAMS.items()
    )
    return bcc.BPF(text=text.encode())


def tried(module: Any, program: str) -> tuple[int, int]:
    """Runs and corrupted runs of one round."""
    counts = module[b"counts"]
    for index in range(2):
        counts[ctypes.c_int(index)] = ctypes.c_uint64(0)
    module.attach_uprobe(name=bytes(TARGET), sym=b"target", fn_name=program.encode())
    tasks = [subprocess.Popen(["taskset", "-c", "1", TARGET, str(ROUND_S)]) for _ in range(TASKS)]
    for task in tasks:
        task.wait()
    module.detach_uprobe(name=bytes(TARGET), sym=b"target")
    return counts[ctypes.c_int(0)].value, counts[ctypes.c_int(1)].value


def main() -> None:
    module = compiled()
    found = {}
    runs = corrupted = rounds = 0
    while not corrupted and rounds < MOST_ROUNDS:
        rounds += 1
        more = tried(module, "private")
        runs, corrupted = runs + more[0], corrupted + more[1]
    found["private"] = [runs, corrupted]
    for program in ("small", "guarded"):
        totals = [tried(module, program) for _ in range(rounds)]
        found[program] = [sum(total[index] for total in totals) for index in range(2)]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
