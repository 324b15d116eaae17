"""`spectap export`: a server's exchanges as a HAR document, written entry by entry."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO

from msgspec.json import Decoder, Encoder

from server.analysis.exported import ExportedExchange, ExportedPage
from server.analysis.har import entry_of
from server.client.connection import Params, Remote
from server.client.errors import AddressError, SpectapError
from server.offline import remote
from server.offline.files import replacing
from server.query.errors import QueryError
from server.query.fields import ListName, fields_of
from server.query.filtering import from_parameters, parsed

EXIT_ERROR, EXIT_USAGE = 1, 64
_json = Encoder().encode
_page = Decoder(ExportedPage).decode
FILTERS = fields_of(ListName.EXCHANGES)


def time_of(text: str) -> str:
    """A time of a query, unchanged. Raises ArgumentTypeError."""
    return _checked("since", text)


def _checked(name: str, text: str) -> str:
    """A value of a filter, unchanged. Raises ArgumentTypeError."""
    try:
        from_parameters(ListName.EXCHANGES, {name: [text]}, time.time_ns())
    except QueryError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error.reason}") from None
    return text


def query_of(text: str) -> str:
    """A query of exchanges, unchanged. Raises ArgumentTypeError."""
    try:
        parsed(ListName.EXCHANGES, text, time.time_ns())
    except QueryError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap export --server URL [-o FILE]`, with the filters of the API."""
    parser = subparsers.add_parser(
        "export",
        description="Writes the redacted exchanges stored on a server as a HAR 1.2 document.",
        epilog="Exit status: 0 when done, 1 when something cannot be fetched or written,"
        " 64 for a usage error.",
    )
    remote.add_options(parser, "admin")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument(
        "-q", "--query", type=query_of, help="export only exchanges that match, such as 'status:5xx since:1h'"
    )
    for name, field in FILTERS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="TEXT",
            type=partial(_checked, name),
            action="append",
            help=f"export only matching exchanges: {field.meaning}; such as {field.example}",
        )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 if not everything could be read or written."""
    asked = {**{name: getattr(arguments, name) for name in FILTERS}, "q": arguments.query}
    filters = {name: value for name, value in asked.items() if value is not None}
    try:
        with remote.connected(arguments) as server:
            found = remote.begun(exchanges(server, filters))
            count = (
                write(found, sys.stdout.buffer)
                if arguments.output is None
                else write_file(found, arguments.output)
            )
    except AddressError as error:
        sys.stderr.write(f"spectap export: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:
        raise
    except (SpectapError, OSError) as error:
        sys.stderr.write(f"spectap export: {error}\n")
        return EXIT_ERROR
    if arguments.output is not None:
        sys.stderr.write(f"{count:,} exchanges in {arguments.output}\n")
    return 0


def exchanges(server: Remote, filters: Params) -> Iterator[ExportedExchange]:
    """All exchanges that match the filters, newest first, page by page. Raises SpectapError."""
    yield from server.items("/exchanges", filters, _page)


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
