"""The agent: captures HTTP on a node, redacts it and ships it to the server."""

import sys
from types import ModuleType

# httpx imports its own command line if it can, and with it rich, click and pygments: 4.4 MiB that the agent
# does not need. Without a `main` in this module it does as where they are not installed.
sys.modules.setdefault("httpx._main", ModuleType("httpx._main"))
