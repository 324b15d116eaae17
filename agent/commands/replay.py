"""`spectap-agent replay`: sends a recording's redacted records to a server, the same records each time."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path

from agent.config import Settings
from agent.deadline import Deadline
from agent.health import Stuck, why_stuck
from agent.ledger import Ledger
from agent.reading import records
from agent.redact.policy import Policy
from agent.ship.shipper import Shipper
from agent.wire import pack_record

log = logging.getLogger(__name__)

SHIP_DEADLINE = 60.0  # seconds to send the last records
STOP_DEADLINE = 10.0  # the same after a signal or a failure


def run(path: Path, settings: Settings, policy: Policy) -> int:
    """Ships all records and returns the exit status: 1 if some could not be sent."""
    with Deadline() as deadline:
        return 1 if replay(path, settings, policy, deadline) else 0


def replay(path: Path, settings: Settings, policy: Policy, deadline: Deadline) -> int:
    """Ships a recording's records. Returns how many could not be sent. Raises Stuck and others."""
    ledger = Ledger()
    shipper = Shipper(
        settings.server,
        settings.token,
        settings.agent,
        uuid.uuid4().hex,
        ledger.as_map,
        trust=settings.trust,
    )
    deadline.in_memory = lambda: shipper.in_memory
    shipper.start()
    shipped, patience = 0, STOP_DEADLINE
    try:
        for one in records([path], settings, policy, ledger):
            shipper.offer(pack_record(one))
            shipped += 1
            while shipper.waiting()[1] > shipper.limits.queue_bytes // 2 and shipper.alive:
                time.sleep(0.05)  # unlike live traffic, a file can wait for the network
                if reason := why_stuck(shipper.beats, time.monotonic()):
                    raise Stuck(f"{reason}: please report it")
        patience = SHIP_DEADLINE
    finally:
        unsent = shipper.close(patience)
    log.info("%d records, %d not sent", shipped, unsent)
    return unsent
