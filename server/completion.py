"""`spectap completion`: what a shell reads to complete commands, options and their choices."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from server.commands import COMMANDS

SHELLS = ("bash", "zsh", "tcsh")
FILES, FOLDERS = frozenset({"FILE", "SPEC"}), frozenset({"DIR"})


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap completion SHELL`."""
    parser = subparsers.add_parser(
        "completion",
        description="Prints a script that completes commands, options, their choices, and files: write it"
        " where the shell looks for completions.",
        epilog="Exit status: 0 when done, 64 for a usage error.",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Prints the script. Returns the exit code."""
    import shtab

    from server.cli import parser_of

    parser = parser_of([*COMMANDS])
    for action in _actions(parser):
        kind = shtab.FILE if action.metavar in FILES else shtab.DIRECTORY
        if action.metavar in FILES | FOLDERS:
            vars(action)["complete"] = kind
    sys.stdout.write(f"{shtab.complete(parser, parsed.shell)}\n")
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of all below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)
        else:
            yield action
