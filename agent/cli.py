"""`spectap-agent`: the command line on a node."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

from agent import config
from agent.checks import SettingError
from agent.commands import doctor_options
from agent.config import Settings
from agent.listening import ListenError
from agent.logs import sentence, start_logging
from agent.options import GROUPS, add_options
from agent.probes import cgroups
from agent.redact.key import KeyFileError
from agent.redact.policy import Policy
from agent.sources.recording import RecordingError
from agent.sources.reported import FormatError

log = logging.getLogger("agent")

EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 64


class Parser(argparse.ArgumentParser):
    """Usage errors exit 64, so that 2 keeps its meaning for `spectap match`."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def parser() -> Parser:
    """Every command and option. agent/README.md documents each, which a test checks."""
    root = Parser(
        prog="spectap-agent", description="Captures this machine's HTTP calls and ships them, redacted."
    )
    root.add_argument("--version", action="version", version=f"spectap-agent {version('spectap')}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    run = commands.add_parser(
        "run",
        help="capture this machine's calls and ship them to a server",
        description="Captures this machine's HTTP and HTTPS calls, redacts them and ships them to a server.",
        epilog="Each option can also be set by the environment variable in brackets; lists are"
        " separated by commas. Exit status: 0 stopped on request, 1 it cannot run, 64 a usage error.",
    )
    run.add_argument("--check", action="store_true", help="check the options and exit")
    add_options(run, groups=GROUPS - {"files"})
    recorder = commands.add_parser(
        "record",
        help="capture this machine's calls into a raw file that holds secrets",
        description="Captures this machine's calls into a new file: raw events, including secrets.",
        epilog="Exit status: 0 stopped on request, 1 it cannot run or write, 64 a usage error.",
    )
    recorder.add_argument("file", type=Path, metavar="FILE", help="recording to write; must not exist")
    add_options(recorder, groups={"place", "filters", "kubernetes", "key", "kernel", "log"})
    reader = commands.add_parser(
        "read",
        help="redacted records from files, to standard output",
        description="Reads files, redacts them and writes the records to standard output as msgpack maps.",
        epilog="Exit status: 0 all files were read (unreadable entries are counted), 1 a file was not"
        " (the others were), 64 a usage error, 141 the reader closed the pipe.",
    )
    reader.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="HAR, pcap, audit log, telemetry or recording"
    )
    add_options(reader, groups={"files", "redaction", "key", "log"})
    replayer = commands.add_parser(
        "replay",
        help="ship a recording's records to a server",
        description="Reads a recording, redacts it and ships the records to a server.",
        epilog="Exit status: 0 all was shipped, 1 it cannot be read or shipped, 64 a usage error.",
    )
    replayer.add_argument("file", type=Path, metavar="FILE", help="the recording")
    add_options(replayer, groups={"server", "redaction", "key", "log"})
    look = commands.add_parser(
        "doctor",
        help="report what can be captured here, and why not",
        description="Reports what can be captured on this host and of each process and, where something"
        " cannot, why and how to fix it.",
        epilog="Exit status: 0 all can be captured, 2 some, 3 nothing; 1 it failed or was stopped, 64 a usage"
        " error.",
    )
    doctor_options.add_options(look)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit status."""
    options = parser().parse_args(arguments)
    if options.command == "doctor":
        from agent.commands import doctor

        return doctor.run(options)
    try:
        settings = config.settings(options)
        cgroups.find_all(settings.only_cgroups, settings.except_cgroups)  # raises CgroupError
        policy = settings.policy
    except ValueError as error:  # SettingError among them
        sys.stderr.write(f"spectap-agent: {error}\n")
        return EXIT_USAGE
    if options.command == "run" and options.check:
        return EXIT_OK
    start_logging(settings.log_level, settings.log_json)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL if options.command == "read" else leave)
    try:
        return command(options, settings, policy)
    except tuple(expected_errors()) as error:
        log.error("%s", sentence(error))
        return EXIT_ERROR


def leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stops before anything is attached; whatever attaches replaces this signal handler."""
    raise SystemExit(EXIT_OK)


def command(options: argparse.Namespace, settings: Settings, policy: Policy) -> int:
    """Runs the command, which is imported now: what another needs is large."""
    if options.command == "record":
        from agent.commands import record

        return record.run(options.file, settings)
    if options.command == "read":
        from agent.commands import read

        return read.run(options.files, settings, policy)
    if options.command == "replay":
        from agent.commands import replay

        return replay.run(options.file, settings, policy)
    from agent.commands import run

    return run.run(settings, policy)


def expected_errors() -> Sequence[type[Exception]]:
    """Errors that are no bugs: their message is shown, without a traceback."""
    from agent.health import Stuck
    from agent.probes.btf import BtfError
    from agent.probes.kernel import SourceError
    from agent.probes.programs import ProgramError

    return (
        SourceError,
        ProgramError,
        BtfError,
        ListenError,
        Stuck,
        KeyFileError,
        SettingError,
        RecordingError,
        FormatError,
        OSError,
    )
