"""`spectap up`: server and agent on this machine, with one command."""

from __future__ import annotations

import argparse
import sys

from server.up.options import UpError, add_arguments, check_host, options_of

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describes the command to the command line."""
    parser = subparsers.add_parser(
        "up",
        help="watch this machine: server and agent together",
        description="Runs the server and the agent on this machine until Ctrl-C. Needs root.",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs until stopped. 0 when stopped on request, 1 with one sentence where it cannot go on."""
    options = options_of(parsed)
    try:
        check_host()
        from server.up.programs import installed  # not before it is needed: --help is quick
        from server.up.screen import Screen
        from server.up.story import Up

        return Up(options, installed(), Screen(options.log_json)).run()
    except UpError as error:
        sys.stderr.write(f"spectap up: {error}\n")
        return 1
