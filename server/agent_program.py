"""The agent's program, which this side only ever starts and never imports."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


class AgentMissing(Exception):
    """The agent is not installed here; the message says so with the cure."""


def agent_program() -> tuple[str, ...]:
    """How `spectap-agent` of this installation starts, up to its arguments. Raises AgentMissing."""
    beside = Path(sys.executable).with_name("spectap-agent")
    if os.access(beside, os.X_OK):
        return (str(beside),)
    if find_spec("agent") is not None and find_spec("agent.cli") is not None:
        return (sys.executable, "-m", "agent")
    raise AgentMissing(f"the agent is not installed ({beside} is missing): set it up with `make setup`")
