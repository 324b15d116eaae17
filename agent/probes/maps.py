"""The maps of the kernel programs (bpf/maps.h): settings and filters are written, counters are read."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

from agent.probes.abi import Counter, Setting
from agent.probes.cgroups import Cgroup
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


class Maps:
    """The maps of `module`, a loaded bcc.BPF, which may be gone later on: their descriptors are copies."""

    def __init__(self, module: Any) -> None:
        self._tables: dict[str, Any] = {name: module[name.encode()] for name in NAMES}
        for table in self._tables.values():
            table.map_fd = os.dup(table.map_fd)

    def close(self) -> None:
        """Closes the descriptors."""
        while self._tables:
            os.close(self._tables.popitem()[1].map_fd)

    @property
    def ring(self) -> Any:
        """The ring of events, a bcc.table.RingBuf."""
        return self._tables["events"]

    def set(self, setting: Setting, value: int) -> None:
        """Writes one setting of bpf/event.h."""
        table = self._tables["settings"]
        table[ctypes.c_int(setting)] = ctypes.c_ulonglong(value)

    def add_port(self, table: str, port: int) -> None:
        """Adds to only_ports or except_ports."""
        self._tables[table][ctypes.c_ushort(port)] = ctypes.c_ubyte(1)

    def add_pid(self, table: str, pid: int) -> None:
        """Adds to only_pids or except_pids."""
        self._tables[table][ctypes.c_uint(pid)] = ctypes.c_ubyte(1)

    def add_name(self, name: str) -> None:
        """Adds a process name (as the kernel cuts it, 15 bytes) to only_names."""
        table = self._tables["only_names"]
        key = table.Key()
        key.bytes = name.encode()[:15]
        table[key] = ctypes.c_ubyte(1)

    def set_cgroup(self, index: int, cgroup: Cgroup, excluded: bool) -> None:
        """Writes one entry of cgroups."""
        table = self._tables["cgroups"]
        table[table.Key(index)] = table.Leaf(cgroup.id, cgroup.level, excluded)

    def choose_pod(self, cgroup: int, captured: bool | None) -> None:
        """Writes one entry of pod_cgroups; None removes it."""
        table = self._tables["pod_cgroups"]
        if captured is None:
            with suppress(KeyError):
                del table[ctypes.c_ulonglong(cgroup)]
        else:
            table[ctypes.c_ulonglong(cgroup)] = ctypes.c_ubyte(POD_CAPTURED if captured else POD_LEFT_OUT)

    def ignore(self, address: int, generation: int, counter: Counter) -> None:
        """Ignores this generation of a connection: its bytes are counted in `counter` and not copied."""
        table = self._tables["ignored"]
        table[table.Key(address)] = table.Leaf(generation, counter, 0)

    def changed(self) -> list[int]:
        """The processes that run a new program or have mapped new code, since the last call."""
        table = self._tables["changed"]
        found = [key.value for key in table]
        for pid in found:
            with suppress(KeyError):
                del table[ctypes.c_uint(pid)]
        return found

    def outside_tls(self) -> dict[int, Unprobed]:
        """By process: TLS on the wire that no probed library made."""
        table = self._tables["outside_tls"]
        return {key.value: Unprobed(value.bytes, value.connections) for key, value in table.items()}

    def counters(self) -> dict[Counter, int]:
        """Totals of bpf/event.h's counters over all CPUs."""
        table = self._tables["counters"]
        return {counter: sum(table[ctypes.c_int(counter)]) for counter in Counter}
