"""Where the agent keeps its key, its cache and its spool, unless options say otherwise."""

from __future__ import annotations

import os
from pathlib import Path

STATE = "/var/lib/spectap-agent"  # root's; others have theirs below their own state folder


def state_folder() -> Path:
    """Where the agent keeps its key, cache and spool: /var/lib/spectap-agent, or the user's state folder."""
    if os.geteuid() == 0:
        return Path(STATE)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "spectap-agent"
