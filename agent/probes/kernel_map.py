"""One map of the kernel programs: bytes by bytes. All raise OSError."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent.probes import bpf_call

POSSIBLE = Path("/sys/devices/system/cpu/possible")  # such as 0-3 or 0,2-3
SLOT = 8  # a value for one CPU is a multiple of it


class KernelMap:
    """A map by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        shape = bpf_call.shape_of(descriptor)
        self.key_bytes, self.value_bytes = shape.key_bytes, shape.value_bytes

    def __setitem__(self, key: bytes, value: bytes) -> None:
        bpf_call.update(self.descriptor, key, value)

    def discard(self, key: bytes) -> None:
        """Removes a key if it is there."""
        bpf_call.delete(self.descriptor, key)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        value = ctypes.create_string_buffer(self.value_bytes)
        return value.raw if bpf_call.lookup(self.descriptor, key, value) else None

    def per_cpu(self, key: bytes) -> Iterator[bytes]:
        """The values of a key, one for each CPU that this machine may have."""
        slot = -(-self.value_bytes // SLOT) * SLOT
        values = ctypes.create_string_buffer(slot * possible_cpus())
        if bpf_call.lookup(self.descriptor, key, values):
            yield from (values.raw[at : at + self.value_bytes] for at in range(0, len(values), slot))

    def keys(self, most: int) -> list[bytes]:
        """The keys, `most` of them: while entries come and go, there might be no last one."""
        found: list[bytes] = []
        last, following = None, ctypes.create_string_buffer(self.key_bytes)
        while len(found) < most and bpf_call.next_key(self.descriptor, last, following):
            last = following.raw
            found.append(last)
        return found


@cache
def possible_cpus() -> int:
    """The number of CPUs for which the kernel keeps values; it does not change."""
    return int(POSSIBLE.read_text().strip().replace(",", "-").split("-")[-1]) + 1
