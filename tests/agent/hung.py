"""An agent with one hanging part: `python -m tests.agent.hung PART run ...`, with shorter timeouts.

tests/server/hung.py does the same for the server: each patches its own program.
"""

from __future__ import annotations

import os
import sys
import threading

from agent import cli, deadline, health
from agent.commands import run
from agent.pipeline import Pipeline
from agent.ship.shipper import Shipper
from agent.ship.spool import Spool
from tests.hangs import in_a_lock, in_c

STOP_S, STUCK_S, SHIP_S = 3.0, 1.0, 0.2


def on_disk(*_: object) -> None:
    os.read(os.pipe()[0], 1)


def holding_the_lock(shipper: Shipper, _since: int) -> None:
    """Lets a thread hold the shipper's lock."""

    def hold() -> None:
        with shipper._change:
            in_a_lock()

    threading.Thread(target=hold, daemon=True).start()


PARTS = {
    "pipeline": (Pipeline, "process", in_a_lock),
    "pipeline-in-c": (Pipeline, "process", in_c),
    "disk": (Spool, "put", on_disk),
    "lock": (Shipper, "capture_started", holding_the_lock),
}


def main() -> int:
    part, *arguments = sys.argv[1:]
    owner, name, hang = PARTS[part]
    setattr(owner, name, hang)
    health.STUCK_S, deadline.STOP_S, run.SHIP_DEADLINE = STUCK_S, STOP_S, SHIP_S
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
