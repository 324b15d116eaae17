"""The maps of the kernel programs (bpf/maps.h): settings and filters are written, counters are read.

Keys and values are in the machine's byte order, in the layout of their C structs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from agent.probes.abi import Counter, Setting
from agent.probes.cgroups import Cgroup
from agent.probes.kernel_map import KernelMap
from agent.probes.source import Unprobed

POD_CAPTURED, POD_LEFT_OUT = 1, 2
"""As in bpf/maps.h."""
NAMES = (
    "cgroups",
    "changed",
    "counters",
    "events",
    "except_pids",
    "except_ports",
    "ignored",
    "only_names",
    "only_pids",
    "only_ports",
    "outside_tls",
    "pod_cgroups",
    "settings",
)
"""The maps that this process reads or writes; the others are the programs' own."""
MOST_CHANGED, MOST_OUTSIDE = 1024, 4096  # as in bpf/lifecycle.c and maps.h
U8, U16, U32, U64 = (struct.Struct(f"={form}") for form in "BHIQ")
NAME, IGNORE_RULE, CGROUP, OUTSIDE = (struct.Struct(form) for form in ("=16s", "=QII", "=QII", "=QQ"))
YES = U8.pack(1)


class Maps:
    """The maps by name."""

    def __init__(self, descriptors: Mapping[str, int]) -> None:
        self._tables = {name: KernelMap(descriptor) for name, descriptor in descriptors.items()}

    def set(self, setting: Setting, value: int) -> None:
        """Writes one setting of bpf/event.h."""
        self._tables["settings"][U32.pack(setting)] = U64.pack(value)

    def add_port(self, table: str, port: int) -> None:
        """Adds to only_ports or except_ports."""
        self._tables[table][U16.pack(port)] = YES

    def add_pid(self, table: str, pid: int) -> None:
        """Adds to only_pids or except_pids."""
        self._tables[table][U32.pack(pid)] = YES

    def add_name(self, name: str) -> None:
        """Adds a process name (as the kernel cuts it, 15 bytes) to only_names."""
        self._tables["only_names"][NAME.pack(name.encode()[:15])] = YES

    def set_cgroup(self, index: int, cgroup: Cgroup, excluded: bool) -> None:
        """Writes one entry of cgroups."""
        self._tables["cgroups"][U32.pack(index)] = CGROUP.pack(cgroup.id, cgroup.level, excluded)

    def choose_pod(self, cgroup: int, captured: bool | None) -> None:
        """Writes one entry of pod_cgroups; None removes it."""
        table, key = self._tables["pod_cgroups"], U64.pack(cgroup)
        if captured is None:
            table.discard(key)
        else:
            table[key] = U8.pack(POD_CAPTURED if captured else POD_LEFT_OUT)

    def ignore(self, address: int, generation: int, counter: Counter) -> None:
        """Ignores this generation of a connection: its bytes are counted in `counter` and not copied."""
        self._tables["ignored"][U64.pack(address)] = IGNORE_RULE.pack(generation, counter, 0)

    def changed(self) -> list[int]:
        """The processes that run a new program or have mapped new code, since the last call."""
        table = self._tables["changed"]
        found = table.keys(MOST_CHANGED)
        for key in found:
            table.discard(key)
        return [U32.unpack(key)[0] for key in found]

    def outside_tls(self) -> dict[int, Unprobed]:
        """By process: TLS on the wire that no probed library made."""
        table = self._tables["outside_tls"]
        found = {U32.unpack(key)[0]: table.get(key) for key in table.keys(MOST_OUTSIDE)}
        return {pid: Unprobed(*OUTSIDE.unpack(value)) for pid, value in found.items() if value}

    def counters(self) -> dict[Counter, int]:
        """Totals of bpf/event.h's counters over all CPUs."""
        table = self._tables["counters"]
        totals = {counter: b"".join(table.per_cpu(U32.pack(counter))) for counter in Counter}
        return {counter: sum(one for (one,) in U64.iter_unpack(total)) for counter, total in totals.items()}
