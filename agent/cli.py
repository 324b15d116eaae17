"""`spectap-agent`: the node side's command line."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from agent import config
from agent.config import SettingError
from agent.doctor import command as doctor
from agent.logs import start_logging
from agent.redact.key import KeyFileError
from agent.redact.policy import Policy
from agent.status import StatusError

log = logging.getLogger("agent")

EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 64


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64, so that 2 keeps its meaning for `spectap match`."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def parser() -> Parser:
    """Every command and option; each is documented in agent/README.md, which a test holds to this."""
    root = Parser(
        prog="spectap-agent", description="Sees this machine's HTTP calls and ships them, redacted."
    )
    root.add_argument("--version", action="version", version=f"spectap-agent {version('spectap')}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    run = commands.add_parser(
        "run",
        help="watch this machine and ship to a server",
        description="Watches this machine's HTTP and HTTPS calls and ships them, redacted, to a server.",
        epilog="Each option can be given as the environment variable in brackets; lists by commas.",
    )
    config.add_options(run)
    look = commands.add_parser(
        "doctor",
        help="say what can be seen here, and why not",
        description="Says what this host and each process allow to be seen and, where not, why and the cure.",
        epilog="Exit status: 0 all can be seen, 2 some, 3 nothing.",
    )
    doctor.add_options(look)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit status."""
    options = parser().parse_args(arguments)
    if options.command == "doctor":
        return doctor.run(options)
    try:
        settings = config.settings(options)
        policy = Policy(
            bodies=settings.bodies,
            body_limit=settings.body_cap,
            aggregation_header=settings.aggregation_header,
            mask_names=settings.mask_names,
            keep_names=settings.keep_names,
        )
    except ValueError as error:  # SettingError among them
        sys.stderr.write(f"spectap-agent: {error}\n")
        return EXIT_USAGE
    start_logging(settings.log_level, settings.log_json)
    try:
        from agent.run import Run

        Run(settings, policy).run()
        return EXIT_OK
    except tuple(expected_errors()) as error:
        log.error("%s", error)
        return EXIT_ERROR


def expected_errors() -> Sequence[type[Exception]]:
    """What may go wrong without being a bug: its message is for people, and no traceback is shown."""
    from agent.probes.btf import BtfError
    from agent.probes.kernel import SourceError
    from agent.probes.programs import ProgramError

    return SourceError, ProgramError, BtfError, StatusError, KeyFileError, SettingError
