"""`spectap up`: server and agent on this machine, with one command."""

from __future__ import annotations

import argparse
import sys

from server.up.options import UpError, add_arguments, check_host, options_of

__all__ = ["add_parser", "run"]

EXIT_ERROR, EXIT_USAGE = 1, 64


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the command line."""
    parser = subparsers.add_parser(
        "up",
        description="Runs the server and the agent on this machine until Ctrl-C. Needs root.",
        epilog="Exit status: 0 stopped on request, 1 it cannot start or continue, 64 for a usage error.",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs until stopped. Returns 0 when stopped on request; else 1 or 64, with one sentence."""
    options = options_of(parsed)
    try:
        check_host()
        from server.up.programs import (
            AgentRefuses,
            check_agent_options,
            installed,
        )  # slow to import; --help does not need it
        from server.up.screen import Screen
        from server.up.session import Up

        programs = installed()
        try:
            check_agent_options(programs, options)
        except AgentRefuses as error:
            return _fail(error, EXIT_USAGE)
        return Up(options, programs, Screen(options.log_json)).run()
    except UpError as error:
        return _fail(error, EXIT_ERROR)


def _fail(error: Exception, status: int) -> int:
    sys.stderr.write(f"spectap up: {error}\n")
    return status
