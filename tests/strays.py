"""The processes below another one, read from /proc."""

from __future__ import annotations

from pathlib import Path


def running_descendants(ancestor: int) -> dict[int, str]:
    """Every process below `ancestor` that still runs (zombies do not), by pid, with its command line."""
    children: dict[int, list[int]] = {}
    commands: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state parent ...; the name may contain anything, and the last parenthesis ends it.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            command = (stat.parent / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
        except OSError:  # it has ended in the meantime
            continue
        pid = int(stat.parent.name)
        children.setdefault(int(parent), []).append(pid)
        if state != "Z":
            commands[pid] = command
    found, queue = {}, [ancestor]
    while queue:
        for pid in children.get(queue.pop(), []):
            queue.append(pid)
            if pid in commands:
                found[pid] = commands[pid]
    return found
