"""The agent's program, which the server starts and does not import."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


class AgentMissing(Exception):
    """The agent is not installed; the message has the cure."""


def agent_program() -> tuple[str, ...]:
    """The command of this installation's `spectap-agent`, without arguments. Raises AgentMissing."""
    beside = Path(sys.executable).with_name("spectap-agent")
    if os.access(beside, os.X_OK):
        return (str(beside),)
    if find_spec("agent") is not None and find_spec("agent.cli") is not None:
        return (sys.executable, "-m", "agent")
    raise AgentMissing(f"the agent is not installed ({beside} is missing): set it up with `make setup`")
