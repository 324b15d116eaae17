"""`spectap-agent read`: the redacted records of files, to standard output as msgpack maps."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from agent.config import Settings
from agent.ledger import Ledger
from agent.reading import records
from agent.redact.policy import Policy
from agent.wire import pack_record

EXIT_OK = 0
EXIT_PIPE = 141  # the shell's status of a program that SIGPIPE ended


def run(files: Iterable[Path], settings: Settings, policy: Policy) -> int:
    """Reads until the end, or until the reader closes the pipe. Returns the exit status."""
    try:
        write(files, settings, policy, sys.stdout.buffer)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    return EXIT_OK


def write(files: Iterable[Path], settings: Settings, policy: Policy, out: IO[bytes]) -> None:
    """Writes the records in order. Raises FormatError, RecordingError and OSError."""
    for one in records(files, settings, policy, Ledger()):
        out.write(pack_record(one))
    out.flush()
