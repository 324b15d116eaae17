"""`spectap-agent read`: the redacted records of files, to standard output as msgpack maps."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from agent.config import Settings
from agent.ledger import Ledger
from agent.logs import sentence
from agent.reading import records
from agent.redact.policy import Policy
from agent.sources.recording import RecordingError
from agent.sources.reported import FormatError
from agent.wire import pack_record

log = logging.getLogger(__name__)

BUFFER = 128 * 1024  # bytes written at once
EXIT_OK = 0
EXIT_ERROR = 1
EXIT_PIPE = 141  # the shell's status of a program that SIGPIPE ended


def run(files: Iterable[Path], settings: Settings, policy: Policy) -> int:
    """Reads every file until its end, or until the reader closes the pipe; says which cannot be read. Returns
    the exit status. Raises KeyFileError.
    """
    status = EXIT_OK
    out = open(sys.stdout.fileno(), "wb", BUFFER, closefd=False)  # noqa: SIM115 (at exit it may be a broken pipe)
    for one in files:
        try:
            write(one, settings, policy, out)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_PIPE
        except (FormatError, RecordingError, OSError) as error:
            log.error("%s", sentence(error))
            status = EXIT_ERROR
    return status


def write(file: Path, settings: Settings, policy: Policy, out: IO[bytes]) -> None:
    """Writes a file's records in order. Raises KeyFileError, FormatError, RecordingError and OSError."""
    for one in records([file], settings, policy, Ledger()):
        out.write(pack_record(one))
    out.flush()
