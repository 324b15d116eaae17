"""The capabilities of the agent's process: what it needs each for, and what it does without."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.doctor.facts import Check, CheckState

DAC_OVERRIDE, SYS_ADMIN = 1, 21  # each includes some of those below


@dataclass(frozen=True, slots=True)
class Capability:
    """`number` is its bit (include/uapi/linux/capability.h); `included_in` that of one that includes it.

    `lack` is what is missing without it; None if nothing can be captured then.
    """

    name: str
    number: int
    lack: str | None
    included_in: int | None = None


CAPABILITIES = (
    Capability("BPF", 39, None, SYS_ADMIN),
    Capability("PERFMON", 38, None, SYS_ADMIN),
    Capability("SYS_PTRACE", 19, "other users' processes stay unknown"),
    Capability("DAC_READ_SEARCH", 2, "other users' files cannot be read", DAC_OVERRIDE),
    Capability("CHECKPOINT_RESTORE", 40, "deleted libraries cannot be opened", SYS_ADMIN),
    Capability("SYSLOG", 34, "what sendfile sends has no content"),
    Capability("SYS_NICE", 23, "--cpu is not guaranteed"),
)


def capabilities(status: str, cure: str) -> Check:
    """Whether the process with this /proc/PID/status has all that the agent needs."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    missing = list(_missing(int(found[1], 16) if found else 0))
    if not missing:
        what = "to load and attach programs, and to look at every process"
        return Check("capabilities", CheckState.OK, what)
    refused = any(one.lack is None for one in missing)
    return Check(
        "capabilities",
        CheckState.REFUSED if refused else CheckState.LIMITED,
        f"missing {', '.join(map(_named, missing))}",
        cure,
    )


def _missing(held: int) -> list[Capability]:
    return [
        one
        for one in CAPABILITIES
        if not held >> one.number & 1 and not (one.included_in and held >> one.included_in & 1)
    ]


def _named(one: Capability) -> str:
    return f"CAP_{one.name}" + (f" ({one.lack})" if one.lack else "")
