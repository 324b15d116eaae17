"""Empty probes on the functions that the agent probes: the cost of probing, whatever the programs do.

As a program (`python -m tests.bench.empty`) it attaches them, prints a line, and waits to be stopped.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.probes import roots, tls, uprobes
from agent.probes.backend import BACKENDS
from agent.probes.capability import refusals
from agent.probes.programs import FOLDER, places
from tests.e2e.processes import Running

RAW = ("inet_sock_set_state", "tcp_destroy_sock", "sched_process_exec", "sched_process_exit")
SOURCE = """
#include <linux/types.h>
int enter(void *ctx) { return 0; }
int leave(void *ctx) { return 0; }
int function(struct pt_regs *ctx) { return 0; }
"""


@contextmanager
def probed(folder: Path) -> Iterator[int]:
    """Keeps empty probes attached. Yields the pid of the process that holds them."""
    argv = [sys.executable, "-m", "tests.bench.empty"]
    process = Running("empty-probes", argv, folder)
    process.stdout.write_text("")
    try:
        process.first_line()
        yield process.pid
    finally:
        process.stop()


def attach() -> object:
    """Attaches to all functions that the agent attaches to. The returned object holds the probes."""
    os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
    import bcc

    backend = next(row for row in BACKENDS if not [*refusals(row)])  # as the agent chooses
    raw = (*RAW, *(name.removeprefix("sock/") for name in backend.needed if name.startswith("sock/")))
    text = SOURCE + "".join(f"RAW_TRACEPOINT_PROBE({name}) {{ return 0; }}\n" for name in raw)
    module = bcc.BPF(text=text.encode())
    for function in backend.functions:
        module.attach_kprobe(event=function.encode(), fn_name=b"function")
    for call in backend.calls:
        module.attach_tracepoint(tp=f"syscalls:sys_exit_{call}".encode(), fn_name=b"leave")
        module.attach_tracepoint(tp=f"syscalls:sys_enter_{call}".encode(), fn_name=b"enter")
    way = uprobes.way()
    probe = module.load_func(b"function", bcc.BPF.KPROBE, attach_type=way.attach_type)
    attached = []
    for path in roots.libraries(""):  # NSS has a libssl, too, without these functions
        with open(path, "rb") as file:
            attached += [[*way.attach(probe.fd, wanted, file)] for wanted in places(tls.functions(file))]
    assert attached, "no TLS library to attach to"
    return module


if __name__ == "__main__":
    held = attach()
    sys.stdout.write("attached\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
