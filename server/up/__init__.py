"""`spectap up`: server and agent on this machine, with one command.

`add_arguments` describes it to the command line; `run` does it and answers the exit code.
"""

from __future__ import annotations

import argparse
import sys

from server.up.options import UpError, add_arguments, check_host, options_of
from server.up.programs import installed
from server.up.screen import Screen
from server.up.story import Up

__all__ = ["add_arguments", "run"]


def run(parsed: argparse.Namespace) -> int:
    """Runs until stopped. 0 when stopped on request, 1 with one sentence where it cannot go on."""
    options = options_of(parsed)
    try:
        check_host()
        return Up(options, installed(), Screen(options.log_json)).run()
    except UpError as error:
        sys.stderr.write(f"spectap up: {error}\n")
        return 1
