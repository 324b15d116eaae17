"""Yielding the CPU to what is watched: idle scheduling, and the least share for the agent's own session.

SCHED_IDLE gives way within a group of processes only. Where the kernel shares CPUs among sessions
(autogroup, sched(7)), the agent's session would still get as much as that of what it watches.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

LEAST = 19
ORDINARY = 0


def give_way() -> None:
    """Every thread there is runs when nobody else wants to. A refusal is a warning."""
    try:
        _schedule(os.SCHED_IDLE)
        _share(LEAST)
    except OSError as error:
        log.warning("cannot run at idle priority: %s", error.strerror)


def take_part() -> None:
    """Takes `give_way` back: there is nothing left that we could slow down."""
    with suppress(OSError):
        _schedule(os.SCHED_OTHER)
        _share(ORDINARY)


def _schedule(policy: int) -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread), policy, os.sched_param(0))


def _share(nice: int) -> None:
    """Only of a session that is ours alone: another one may be a person's shell and all it runs."""
    if os.getsid(0) == os.getpid():
        with suppress(FileNotFoundError):
            Path("/proc/self/autogroup").write_text(str(nice))
