"""Files of any format as redacted records: `spectap-agent read` does it, as a child whose output we decode.

Nothing is held: a record is decoded when it is asked for, and the child waits meanwhile. What the child
says (which entries it cannot read, how far it has come) goes to standard error as it is.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.wire import Record, WireError, read_records
from server.agent_options import SHAPES, Passed, declare, given
from server.agent_program import AgentMissing, agent_program

STOP_S = 10.0  # for the child to end once it is asked to

FORMATS = ("recording", "pcap", "har", "audit", "telemetry")
"""What `spectap-agent read --format` takes; a test holds this to it."""

_CHOSEN: dict[str, dict[str, Any]] = {
    "--format": {"choices": FORMATS, "help": "input format (default: detected from content)"},
    "--body-cap": {"type": int, "metavar": "BYTES", "help": "maximum bytes kept of each body"},
}
_PASSED = (
    Passed("--key-file", "file with the key for credential fingerprints; created if missing", "FILE"),
    *SHAPES,
)


class ReadingError(Exception):
    """The files were not read to their end; the message is one sentence for a person."""


def add_options(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    """FILE... and how to read them, as `spectap-agent read` takes it."""
    parser.add_argument(
        "files",
        nargs="+" if needed else "*",
        type=Path,
        metavar="FILE",
        help="HAR, pcap, audit log, telemetry or recording",
    )
    for name, said in _CHOSEN.items():
        parser.add_argument(name, **said)
    declare(parser, _PASSED)


def options(parsed: argparse.Namespace) -> list[str]:
    """What was given of `add_options`, as arguments for the child."""
    chosen = [(name, getattr(parsed, name.strip("-").replace("-", "_"))) for name in _CHOSEN]
    return [f"{name}={value}" for name, value in chosen if value is not None] + given(parsed, _PASSED)


def records(files: Sequence[Path], arguments: Sequence[str] = ()) -> Generator[Record, None, None]:
    """The redacted records of these files, in order. Raises ReadingError where one cannot be read.

    The child ends with the generator, however that ends.
    """
    check(files)
    try:
        command = [*agent_program(), "read", *arguments, "--", *map(str, files)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    except (AgentMissing, OSError) as error:
        raise ReadingError(str(error)) from None
    assert child.stdout is not None
    with child.stdout:
        try:
            yield from read_records(child.stdout)
            status = child.wait()
        except WireError as error:
            raise ReadingError(f"the output of spectap-agent cannot be read: {error}") from None
        finally:
            _stopped(child)
    if status:
        raise ReadingError(_why(status))


def check(files: Iterable[Path]) -> None:
    """Raises ReadingError for the first that is not there."""
    for path in files:
        try:
            path.stat()
        except OSError as error:
            raise ReadingError(f"{path}: {error.strerror}") from None


def _why(status: int) -> str:
    if status < 0:
        return f"spectap-agent was killed by signal {-status} while reading"
    return "the files could not be read; see the messages of spectap-agent above"


def _stopped(child: subprocess.Popen[bytes]) -> int:
    """The child's status; it is asked to end, and made to, if it still runs."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
