"""`spectap-agent` that takes its steps down and up at once, to the level that is named in the file
DIRECTED_AGENT (of agent/ladder.py), and no further.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from agent import ladder, stepping
from agent.cli import main
from agent.commands import run
from agent.ladder import CaptureLevel
from agent.ledger import Ledger

file = Path(os.environ["DIRECTED_AGENT"])


class Directed(stepping.Stepping):
    """Takes memory to be in use that leads to the level."""

    def __init__(self, memory: int, ledger: Ledger, apply: Callable[[CaptureLevel], None]) -> None:
        super().__init__(memory, ledger, apply, in_use=self._leading)
        self._bound = memory

    def _leading(self) -> int:
        wanted = CaptureLevel[file.read_text()]
        if self.level == wanted:
            return round(0.9 * self._bound)
        return 2 * self._bound if self.level < wanted else 0


ladder.BURST_S = ladder.CALM_S = stepping.LOOK_S = 0.1
vars(run).update(Stepping=Directed)
sys.exit(main())
