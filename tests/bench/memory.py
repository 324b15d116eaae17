"""Memory of a process during some work: its own figures, and its cgroup's working set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.watch import repeated

EVERY = 0.1  # seconds between samples
CGROUPS = Path("/sys/fs/cgroup")
RING = re.compile(r"^\S+ \S+ \S+ \S+ \S+ +anon_inode:bpf-map.*?^Rss: +(\d+) kB", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Held:
    """In MiB. `ring` is the mapped memory of eBPF maps, which no other figure includes."""

    anonymous: float
    resident: float
    working_set: float | None
    ring: float

    def most(self, other: Held) -> Held:
        sets = [one for one in (self.working_set, other.working_set) if one is not None]
        return Held(
            max(self.anonymous, other.anonymous),
            max(self.resident, other.resident),
            max(sets, default=None),
            max(self.ring, other.ring),
        )


def held(pid: int, group: Path | None) -> Held:
    """The current figures."""
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    ring = sum(map(int, RING.findall(Path(f"/proc/{pid}/smaps").read_text()))) / 1024
    anonymous, resident = (int(words[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS"))
    return Held(anonymous, resident - ring, None if group is None else working_set(group), ring)


def working_set(group: Path) -> float:
    """As Kubernetes computes it: without page cache that was not used recently."""
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    inactive = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    names = ("memory.current", "memory.usage_in_bytes")
    used = next(int((group / name).read_text()) for name in names if (group / name).exists())
    return (used - inactive) / 2**20


@contextmanager
def cgroup(name: str) -> Iterator[Path | None]:
    """A new memory cgroup; None if this machine does not allow one."""
    parent = CGROUPS if (CGROUPS / "cgroup.controllers").exists() else CGROUPS / "memory"
    group = parent / name
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        yield group if (group / "memory.stat").exists() else None
    finally:
        group.rmdir()


def inside(group: Path | None, program: list[str]) -> list[str]:
    """The command that runs `program` in the cgroup from its start."""
    if group is None:
        return program
    return ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh", *program]


@contextmanager
def watched(pid: int, group: Path | None) -> Iterator[list[Held]]:
    """Yields a list whose only element is the maximum so far."""
    most = [held(pid, group)]

    def look() -> None:
        most[0] = most[0].most(held(pid, group))

    with repeated(look, EVERY):
        yield most
