"""`spectap-agent record`: the event stream of this machine, raw, into a file.

A recording holds unredacted secrets, and the command warns of it; `read` and `replay` redact as always.
"""

from __future__ import annotations

import errno
import logging
import signal
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from agent.config import Settings
from agent.deadline import Deadline
from agent.events import Event, Tick
from agent.probes.source import LiveSource
from agent.redact.key import load_or_create
from agent.sources.content import Header
from agent.sources.recording import RecordingError, RecordingWriter, key_id

log = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def run(path: Path, settings: Settings) -> int:
    """Records until asked to stop. Returns the exit status."""
    with Deadline():
        record(path, settings)
    return 0


def record(path: Path, settings: Settings) -> None:
    """Records this machine's events into a new file until asked to stop.

    Raises RecordingError, OSError and the source's errors.
    """
    from agent.commands.run import live_source, node_pods

    if path.exists():
        raise RecordingError(f"{path} exists; recordings do not overwrite files: choose another name")
    key = load_or_create(settings.key_file)
    header = Header(settings.agent, settings.node, settings.cluster, key_id(key))
    writer = RecordingWriter(path, header)  # before attaching: without a file nothing is attached
    try:
        source = live_source(settings)
    except BaseException:
        writer.close()
        path.unlink()
        raise

    pods = node_pods(settings, source)

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        source.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_stop)
    try:
        pods.start()
        _write(source, pods.woven(source.events()), path, writer)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise RecordingError(
            f"{path}: the disk is full; the recording ends there and can be read up to its last whole event"
        ) from None
    finally:
        source.disable()
        pods.stop()
        for done, total in source.detach():
            if done == total:
                log.info("detached %d probes", total)


def _write(source: LiveSource, events: Iterable[Event], path: Path, writer: RecordingWriter) -> None:
    written = 0
    with writer:
        log.warning(
            "%s will contain raw traffic including secrets: keep it safe and delete it after use", path
        )
        source.attach()
        log.info("recording")
        for event in events:
            written += not isinstance(event, Tick)
            writer.write(event)
    log.info("%d events in %s", written, path)
