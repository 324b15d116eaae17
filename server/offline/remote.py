"""The options of commands that talk to a server. Each can be set in the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from server.client.errors import AddressError, Cures, SpectapError, WrongQuery

if TYPE_CHECKING:
    from server.client.connection import Remote

T = TypeVar("T")
EXIT_ERROR, EXIT_USAGE = 1, 64
PATIENCE_S = 30.0  # a restarting server is waited for
CURES = Cures(
    address="check --server and whether the server is running",
    other="check --server",
    token="give --token-file with a valid token",
    authority="give --ca-file with its authority",
    option="--server",
)


def add_options(parser: argparse._ActionsContainer, role: str, *, needed: bool = True) -> None:
    """Adds `--server` and how to reach it; `role` is the token's."""
    server = os.environ.get("SPECTAP_SERVER")
    parser.add_argument(
        "--server",
        required=needed and not server,
        default=server,
        metavar="URL",
        help="such as http://127.0.0.1:8080 (default: $SPECTAP_SERVER)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        default=_path("SPECTAP_TOKEN_FILE"),
        metavar="FILE",
        help=f"file with the server's {role} token, if it has one (default: $SPECTAP_TOKEN_FILE)",
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        default=_path("SPECTAP_CA_FILE"),
        metavar="FILE",
        help="file with the authorities that may vouch for an https:// server (default: $SPECTAP_CA_FILE, or"
        " the public ones)",
    )
    if role == "ingest":
        parser.add_argument(
            "--client-cert",
            type=Path,
            metavar="FILE",
            help="file with a certificate, if the server wants one",
        )
        parser.add_argument("--client-key", type=Path, metavar="FILE", help="file with its private key")


def _path(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def connected(parsed: argparse.Namespace) -> Remote:
    """The server that the options of `add_options` name. Raises AddressError."""
    from server.client import connection  # its HTTP client takes 0.2 s of CPU; --help does not need it

    if not parsed.server:
        raise AddressError("give --server, or set SPECTAP_SERVER")
    certificate, key = getattr(parsed, "client_cert", None), getattr(parsed, "client_key", None)
    if (certificate is None) != (key is None):
        raise AddressError("--client-cert and --client-key belong together: give both, or neither")
    token = None if parsed.token_file is None else connection.token_in(parsed.token_file)
    tls = connection.trust(parsed.ca_file, certificate, key)
    return connection.Remote(parsed.server, token, PATIENCE_S, tls, CURES, print_waiting)


def run(parsed: argparse.Namespace, act: Callable[[Remote], int]) -> int:
    """Asks the server. Returns the exit code; an error is one line."""
    try:
        with connected(parsed) as server:
            return act(server)
    except (AddressError, WrongQuery) as error:
        return _fail(parsed, error, EXIT_USAGE)
    except SpectapError as error:
        return _fail(parsed, error, EXIT_ERROR)


def _fail(parsed: argparse.Namespace, error: SpectapError, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"spectap {parsed.command}: {error}\n")
    return status


def begun(found: Iterator[T]) -> Iterator[T]:
    """The same, after the first has arrived: nothing is written if the server fails at once."""
    first = [*islice(found, 1)]
    return chain(first, found)


def print_waiting(text: str) -> None:
    """Prints why an answer takes longer, at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
