"""`spectap`: the server and the other commands. Usage errors exit 64, so that 2 keeps its meaning.

What ends every command alike: an output that cannot be written to exits 1, the closed pipe of `head` 141,
Ctrl-C 130, each with one line at most.

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
from typing import TYPE_CHECKING, TypeAlias

from server.commands import COMMANDS
from server.parser import PROGRAM, USAGE, Parser, joined

if TYPE_CHECKING:
    from server.config import ServerSettings

ERROR = 1
INTERRUPTED, BROKEN_PIPE = 130, 141  # the shell's statuses of programs that SIGINT and SIGPIPE ended

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns its exit code."""
    _open_closed_streams()
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    name = given[0] if given and given[0] in COMMANDS else ""
    try:
        status = _run(given, name)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, closed the pipe
        _discard_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        _discard_output()
        return _fail(name, "interrupted", INTERRUPTED)
    except OSError as error:
        _discard_output()
        return _fail(name, f"{error.filename or 'cannot write the output'}: {error.strerror}", ERROR)
    return status


def _run(given: Sequence[str], name: str) -> int:
    """Parses the arguments of the command of this name, if it is one, and runs it."""
    parser = parser_of([name] if name else [])
    try:
        parsed = parser.parse_args(joined(given))
    finally:
        sys.stdout.flush()  # what --help printed
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)


def parser_of(names: Sequence[str]) -> argparse.ArgumentParser:
    """A parser of these commands. Of the others it knows the names and what they do."""
    parser = Parser(
        prog=PROGRAM,
        description="Compares what your APIs really do with what their specifications say.",
        epilog="`spectap COMMAND --help` shows the options of a command, and examples.",
    )
    parser.add_argument("--version", action="version", version=f"spectap {version('spectap')}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for one, command in COMMANDS.items():
        if one in names:
            import_module(command.module).add_parser(subparsers)
        else:
            subparsers.add_parser(one)
    return parser


def _fail(name: str, message: str, status: int) -> int:
    sys.stderr.write(f"spectap{' ' if name else ''}{name}: {message}\n")
    return status


def _open_closed_streams() -> None:
    """Opens what the caller closed (`>&-`): writing to it fails, and no other file takes its place."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            os.dup2(os.open(os.devnull, os.O_RDONLY if number < 2 else os.O_WRONLY), number)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _discard_output() -> None:
    """What is still buffered cannot be written, and would be tried again at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_parser(subparsers: Subparsers) -> None:
    """`spectap server`."""
    from server import options

    parser = subparsers.add_parser(
        "server",
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
