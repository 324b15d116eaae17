"""Reads files of any format: as redacted records by `spectap-agent read` as a child process, or unmasked by
the agent's code in this process, for a judgement.

Records are not buffered: each is decoded when requested, and the child waits meanwhile. The agent's messages
(unreadable entries, progress) go to standard error.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from agent.wire import Record, WireError, decode_record, read_packed
from server.agent_options import MAX_BODY_CAP, SHAPES, Passed, declare, given
from server.agent_program import AgentMissing, agent_program
from server.offline import values

if TYPE_CHECKING:
    from agent.file_judging import UnmaskedFiles

Item = TypeVar("Item")
STOP_S = 10.0  # for the child to end after the request

FORMATS = ("recording", "pcap", "har", "audit", "telemetry", "kong", "nginx", "apache", "ndjson")
"""The formats of `spectap-agent read --format`; a test compares them."""

_CHOSEN: dict[str, dict[str, Any]] = {
    "--format": {"choices": FORMATS, "help": "input format (default: detected from content)"},
    "--body-cap": {
        "type": values.number(0, MAX_BODY_CAP),
        "metavar": "BYTES",
        "help": "maximum bytes kept of each body",
    },
}
_PASSED = (
    Passed("--key-file", "file with the key for credential fingerprints; created if missing", "FILE"),
    *SHAPES,
)


class ReadingError(Exception):
    """The files were not read completely; the message is one sentence."""


def add_options(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    """FILE... and the options of `spectap-agent read`."""
    parser.add_argument(
        "files",
        nargs="+" if needed else "*",
        type=values.path,
        metavar="FILE",
        help="HAR, pcap, audit log, JSON log of a gateway or web server, telemetry or recording",
    )
    for name, said in _CHOSEN.items():
        parser.add_argument(name, **said)
    declare(parser, _PASSED)


def options(parsed: argparse.Namespace) -> list[str]:
    """The options of `add_options`, as arguments for the child."""
    chosen = [(name, getattr(parsed, name.strip("-").replace("-", "_"))) for name in _CHOSEN]
    return [f"{name}={value}" for name, value in chosen if value is not None] + given(parsed, _PASSED)


def records(files: Sequence[Path], arguments: Sequence[str] = ()) -> Generator[Record, None, None]:
    """The redacted records of these files, in order. Raises ReadingError after those of all others if one
    cannot be read.

    The child ends with the generator, however that ends.
    """
    with closing(packed_records(files, arguments)) as packed:
        try:
            yield from map(decode_record, packed)
        except WireError as error:
            raise _unreadable(error) from None


def packed_records(files: Sequence[Path], arguments: Sequence[str] = ()) -> Generator[bytes, None, None]:
    """The same records as they are sent to a server. Raises ReadingError like `records`."""
    there, reasons = found(files)
    try:
        if there:
            yield from _of_child(["read", *arguments, "--", *map(str, there)])
    except ReadingError as error:
        reasons.append(str(error))
    if reasons:
        raise ReadingError("; ".join(reasons))


def unmasked(arguments: Sequence[str] = ()) -> UnmaskedFiles:
    """Reads files in this process, for a judgement of unmasked exchanges. Raises ReadingError."""
    try:
        from agent.file_judging import UnmaskedFiles, WrongOption
    except ModuleNotFoundError as error:
        raise ReadingError(
            f"the agent is not installed ({error.name} is missing): set it up with `make setup`"
        ) from None
    try:
        return UnmaskedFiles(arguments)
    except WrongOption as error:
        raise ReadingError(str(error)) from None


def unmasked_records(reader: UnmaskedFiles, files: Sequence[Path]) -> Generator[Record, None, None]:
    """The unmasked records of these files, in order. Raises ReadingError like `records`."""
    there, reasons = found(files)
    yield from reader.records(there)
    if not reader.complete:
        reasons.append("not all files could be read; see the messages above")
    if reasons:
        raise ReadingError("; ".join(reasons))


class UntilUnreadable(Generic[Item]):
    """Records up to what cannot be read: `error` says then what that is. `count` is their number."""

    def __init__(self, records: Iterable[Item]) -> None:
        self._records = records
        self.count = 0
        self.error: ReadingError | None = None

    def __iter__(self) -> Iterator[Item]:
        try:
            for record in self._records:
                self.count += 1
                yield record
        except ReadingError as error:
            self.error = error


def found(files: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The files that are there, and why each of the others is not."""
    there, reasons = [], []
    for path in files:
        try:
            path.stat()
            there.append(path)
        except OSError as error:
            reasons.append(f"{path}: {error.strerror}")
    return there, reasons


def _of_child(arguments: Sequence[str]) -> Generator[bytes, None, None]:
    try:
        child = subprocess.Popen(
            [*agent_program(), *arguments], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
    except (AgentMissing, OSError) as error:
        raise ReadingError(str(error)) from None
    assert child.stdout is not None
    with child.stdout:
        try:
            yield from read_packed(cast(BufferedReader, child.stdout))
            status = child.wait()
        except WireError as error:
            raise _unreadable(error) from None
        finally:
            _stopped(child)
    if status:
        raise ReadingError(_why(status))


def _unreadable(error: WireError) -> ReadingError:
    return ReadingError(f"the output of spectap-agent cannot be read: {error}")


def _why(status: int) -> str:
    if status < 0:
        return f"spectap-agent was killed by signal {-status} while reading"
    return "not all files could be read; see the messages of spectap-agent above"


def _stopped(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status; a running child is stopped, after STOP_S by force."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
