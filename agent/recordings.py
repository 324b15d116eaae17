"""`spectap-agent record` and `replay`: the event stream into a file, and from a file to a server.

A recording holds raw bytes, secrets and all, which is said loudly; what `replay` makes of it is redacted as
ever, and the same each time.
"""

from __future__ import annotations

import errno
import logging
import signal
import time
import uuid
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from agent.config import Settings
from agent.deadline import Deadline
from agent.events import Tick
from agent.health import Stuck, why_stuck
from agent.ledger import Ledger
from agent.reading import records
from agent.redact.key import load_or_create
from agent.redact.policy import Policy
from agent.ship.shipper import Shipper
from agent.sources.content import Header
from agent.sources.recording import RecordingError, Writer, key_id
from agent.wire import pack_record

if TYPE_CHECKING:
    from agent.probes.kernel import KernelSource

log = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SHIP_DEADLINE = 60.0  # seconds in which a replay's last records may be sent
STOP_DEADLINE = 10.0  # the same where it was asked to stop, or failed


def record(settings: Settings, path: Path) -> None:
    """Watches this machine into a new file until asked to stop.

    Raises RecordingError, OSError and the source's errors.
    """
    from agent.run import kernel_source

    if path.exists():
        raise RecordingError(f"{path} exists already, and no recording overwrites a file: give another name")
    key = load_or_create(settings.key_file)
    header = Header(settings.agent, settings.node, settings.cluster, key_id(key))
    writer = Writer(path, header)  # first: where there can be no file, nothing is attached
    try:
        source = kernel_source(settings)
    except BaseException:
        writer.close()
        path.unlink()
        raise

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        source.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_stop)
    try:
        _write(source, path, writer)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise RecordingError(
            f"{path}: the disk is full; the recording ends there and can be read up to its last whole event"
        ) from None
    finally:
        source.go_dark()
        for done, total in source.detach():
            if done == total:
                log.info("detached %d probes", total)


def _write(source: KernelSource, path: Path, writer: Writer) -> None:
    events = 0
    with writer:
        log.warning("%s will hold raw traffic, secrets and all: keep it safe, and delete it after use", path)
        source.attach()
        log.info("recording")
        for event in source.events():
            events += not isinstance(event, Tick)
            writer.write(event)
    log.info("%d events in %s", events, path)


def replay(path: Path, settings: Settings, policy: Policy, deadline: Deadline) -> int:
    """Ships a recording's records. Returns how many could not be sent. Raises Stuck and others."""
    ledger = Ledger()
    shipper = Shipper(settings.server, settings.token, settings.agent, uuid.uuid4().hex, ledger.as_map)
    deadline.in_memory = lambda: shipper.in_memory
    shipper.start()
    shipped, patience = 0, STOP_DEADLINE
    try:
        for one in records([path], settings, policy, ledger):
            shipper.offer(pack_record(one))
            shipped += 1
            while shipper.waiting()[1] > shipper.limits.queue_bytes // 2 and shipper.alive:
                time.sleep(0.05)  # a file can wait for the network; live traffic could not
                if reason := why_stuck(shipper.beats, time.monotonic()):
                    raise Stuck(f"{reason}: please report it")
        patience = SHIP_DEADLINE
    finally:
        unsent = shipper.close(patience)
    log.info("%d records, %d not sent", shipped, unsent)
    return unsent
