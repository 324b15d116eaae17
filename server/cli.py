"""`spectap`: the server and the other commands. Usage errors exit 64, so that 2 keeps its meaning.

A command's module is imported if that command is asked for: importing all takes half a second of CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    from server.config import ServerSettings

USAGE = 64  # EX_USAGE of sysexits.h
BROKEN_PIPE = 141  # the shell's status of a program that SIGPIPE ended

COMMANDS = {
    "up": "server.up",
    "server": "server.cli",
    "agents": "server.offline.agents",
    "coverage": "server.offline.coverage",
    "export": "server.offline.exporting",
    "import": "server.offline.importing",
    "match": "server.offline.matching",
    "rebuild": "server.offline.rebuilding",
    "specs": "server.offline.specifications",
    "tokens": "server.offline.tokens",
    "try": "server.offline.trying",
}
"""The module of each command, whose `add_parser` adds it."""

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64; argparse's own exit 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns its exit code."""
    parser: argparse.ArgumentParser = Parser(
        prog="spectap", description="Compares what your APIs really do with what their specifications say."
    )
    parser.add_argument("--version", action="version", version=f"spectap {version('spectap')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    given = sys.argv[1:] if arguments is None else arguments
    for name in given[:1] if given and given[0] in COMMANDS else COMMANDS:
        import_module(COMMANDS[name]).add_parser(subparsers)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        status = run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def add_parser(subparsers: Subparsers) -> None:
    """`spectap server`."""
    from server import options

    parser = subparsers.add_parser(
        "server",
        help="run the analysis server",
        description="Receives records from agents, stores and analyses them, and shows APIs, exchanges and"
        " deviations.",
        epilog="Every option can also be set in the environment, such as SPECTAP_RETENTION_DAYS=30."
        " Exit status: 0 stopped on request, 1 it cannot run, 64 for a usage error,"
        " 65 the database is damaged (see --salvage).",
    )
    options.add_options(parser)
    parser.set_defaults(run=_serve)


def _serve(parsed: argparse.Namespace) -> int:
    from server.config import ConfigError

    try:
        settings = _settings(parsed)
    except ConfigError as error:
        sys.stderr.write(f"spectap server: {error}\n")
        return USAGE
    from server.run import serve  # the web framework takes a second to import; --help does not need it

    return serve(settings)


def _settings(parsed: argparse.Namespace) -> ServerSettings:
    from server import config
    from server.config import ServerSettings
    from server.offline import policy

    host, port = config.parse_listen(parsed.listen)
    tokens = [
        path and config.read_token(Path(path)) for path in (parsed.ingest_token_file, parsed.admin_token_file)
    ]
    everybody = config.switch("SPECTAP_OPEN_TO_LOCAL_USERS", parsed.open_to_local_users)
    return config.checked(
        ServerSettings(
            host=host,
            port=port,
            data=Path(parsed.data),
            ingest_token=tokens[0],
            admin_token=tokens[1],
            retention_days=parsed.retention_days,
            retention_bytes=parsed.retention_bytes,
            log_json=config.switch("SPECTAP_LOG_JSON", parsed.log_json),
            salvage=config.switch("SPECTAP_SALVAGE", parsed.salvage),
            local_users=None if everybody else config.trusted_users(),
            tls=config.tls(parsed.tls_cert, parsed.tls_key, parsed.tls_client_ca),
            log_level=parsed.log_level,
            policy=policy.policy(parsed),
            cluster=config.cluster(
                config.switch("SPECTAP_KUBERNETES", parsed.kubernetes),
                parsed.cluster,
                parsed.kubernetes_api,
                parsed.kubernetes_account,
                parsed.specs_from,
            ),
        )
    )
