"""The default folder of the agent's key, cache and spool."""

from __future__ import annotations

import os
from pathlib import Path

STATE = "/var/lib/spectap-agent"  # for root; other users have it below their own state folder


def state_folder() -> Path:
    """/var/lib/spectap-agent, or for other users than root the state folder of the user."""
    if os.geteuid() == 0:
        return Path(STATE)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "spectap-agent"
