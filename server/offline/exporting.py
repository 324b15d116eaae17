"""`spectap export`: a server's exchanges as a HAR document, written entry by entry."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import IO

from msgspec.json import Encoder

from server.offline import remote
from server.offline.exported import ExportedExchange
from server.offline.files import replacing
from server.offline.har import entry_of
from server.offline.remote import AddressError, Remote, RemoteError

EXIT_ERROR, EXIT_USAGE = 1, 64
_json = Encoder().encode
FILTERS = {
    "--api": "an API's id",
    "--method": "such as GET",
    "--path-prefix": "prefix of the path",
    "--status": "such as 404, or 4xx",
    "--verdict": "such as deviating",
    "--consumer": "name of the consumer",
    "--namespace": "of either end",
    "--workload": "of either end",
    "--cluster": "of the agents",
    "--pod": "of either end",
    "--image": "of either end, by name or digest",
    "--since": "RFC 3339, inclusive",
    "--until": "RFC 3339, exclusive",
}


def time_of(text: str) -> str:
    """An RFC 3339 time, unchanged. Raises ArgumentTypeError."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        reason = f"{text!r} is not an RFC 3339 time, such as 2026-03-01T12:00:00Z"
        raise argparse.ArgumentTypeError(reason) from None
    return text


def _status(text: str) -> str:
    if re.fullmatch(r"(\d{3}|\dxx)?", text, re.ASCII) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a status, such as 404, nor a class, such as 4xx"
        )
    return text


CHECKS: dict[str, Callable[[str], str]] = {"--status": _status, "--since": time_of, "--until": time_of}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap export --server URL [-o FILE]`, with the filters of the API."""
    parser = subparsers.add_parser(
        "export",
        help="write a server's exchanges to a HAR file",
        description="Writes the redacted exchanges stored on a server as a HAR 1.2 document.",
        epilog="Exit status: 0 when done, 1 when something cannot be fetched or written,"
        " 64 for a usage error.",
    )
    remote.add_options(parser, "admin")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    for name, text in FILTERS.items():
        check = CHECKS.get(name, str)
        parser.add_argument(name, metavar="TEXT", type=check, help=f"export only matching exchanges: {text}")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code: 1 if not everything could be read or written."""
    names = [name.removeprefix("--").replace("-", "_") for name in FILTERS]
    filters = {name: value for name in names if (value := getattr(parsed, name)) is not None}
    try:
        with remote.connected(parsed) as server:
            found = _begun(exchanges(server, filters))
            count = (
                write(found, sys.stdout.buffer) if parsed.output is None else write_file(found, parsed.output)
            )
    except AddressError as error:
        sys.stderr.write(f"spectap export: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:
        raise
    except (RemoteError, OSError) as error:
        sys.stderr.write(f"spectap export: {error}\n")
        return EXIT_ERROR
    if parsed.output is not None:
        sys.stderr.write(f"{count:,} exchanges in {parsed.output}\n")
    return 0


def _begun(found: Iterator[ExportedExchange]) -> Iterator[ExportedExchange]:
    """The same exchanges, after the first has arrived: nothing is written if the server fails at once."""
    first = list(islice(found, 1))
    return chain(first, found)


def exchanges(server: Remote, filters: dict[str, str]) -> Iterator[ExportedExchange]:
    """All exchanges that match the filters, newest first, page by page. Raises RemoteError."""
    yield from server.items("/exchanges", filters)


def write(found: Iterator[ExportedExchange], out: IO[bytes]) -> int:
    """Writes the document; returns its number of entries."""
    creator = {"name": "spectap", "version": version("spectap")}
    out.write(b'{"log": {"version": "1.2", "creator": ' + _json(creator) + b', "entries": [')
    count = 0
    for exchange in found:
        out.write((b",\n" if count else b"\n") + _json(entry_of(exchange)))
        count += 1
    out.write(b"\n]}}\n")
    return count


def write_file(found: Iterator[ExportedExchange], path: Path) -> int:
    """Like `write`, into a file that appears only when complete."""
    with replacing(path) as out:
        return write(found, out)
