"""`spectap-agent`: the node side's command line, and how its parts are started and stopped."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

from agent import config
from agent.config import SettingError, Settings
from agent.ledger import Ledger
from agent.pipeline import Pipeline, Place
from agent.redact.key import KeyFileError, load_or_create
from agent.redact.policy import Policy
from agent.ship.client import Shipper
from agent.status import Snapshot, StatusError, StatusServer, Watched
from agent.streams.table import Limits
from agent.wire import pack_record

log = logging.getLogger("agent")

EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 64
SHIP_DEADLINE = 10.0  # seconds in which what is queued may still be sent at the end


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
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit status."""
    options = parser().parse_args(arguments)
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
    start_logging(settings)
    try:
        return Run(settings, policy).run()
    except tuple(expected_errors()) as error:
        log.error("%s", error)
        return EXIT_ERROR


def expected_errors() -> Sequence[type[Exception]]:
    """What may go wrong without being a bug: its message is for people, and no traceback is shown."""
    from agent.probes.btf import BtfError
    from agent.probes.kernel import SourceError
    from agent.probes.programs import ProgramError

    return SourceError, ProgramError, BtfError, StatusError, KeyFileError, SettingError


class Run:
    """One run of the agent. Signals only ask it to stop; everything else happens in order, here."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        from agent.probes.kernel import Filters, KernelSource
        from agent.probes.programs import Sizes

        self._settings = settings
        self._ledger = Ledger()
        self._turned_at: float | None = None
        self._attached = self._stopping = False
        key = load_or_create(settings.key_file)
        own_port = config.own_port(settings.server)
        self._source = KernelSource(
            Filters(
                only_ports=settings.only_ports,
                except_ports=settings.except_ports,
                only_pids=settings.only_pids,
                except_pids=settings.except_pids | {os.getpid()},
                only_names=settings.only_names,
                own_port=own_port,
            ),
            Sizes(ring_bytes=settings.ring_bytes),
            settings.cache,
        )
        self._pipeline = Pipeline(
            Place(settings.agent, settings.node, settings.cluster),
            policy,
            key,
            self._ledger,
            self._source.ignore,
            Limits(),
        )
        self._shipper = Shipper(
            settings.server, settings.token, settings.agent, uuid.uuid4().hex, self._totals
        )
        self._status = StatusServer(settings.status_listen, self._snapshot)

    def run(self) -> int:
        """Watches until asked to stop. Returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        self._status.start()
        log.info("status on http://%s", self._status.address)
        self._shipper.start()
        began = time.monotonic()
        try:
            self._source.attach()
            self._attached = True
            log.info("watching (attached in %.1f s): %s", time.monotonic() - began, self._watching_text())
            self._lower_priority()
            self._watch()
        finally:
            self._attached = False
            self._source.go_dark()
            unsent = self._shipper.close(SHIP_DEADLINE)
            if unsent:
                log.warning("%d records could not be sent in time and are counted as such", unsent)
            self._detach()
            self._status.close()
        log.info("stopped: %s", json.dumps(self._totals(), separators=(",", ":")))
        return EXIT_OK

    def _watch(self) -> None:
        for event in self._source.events():
            self._turned_at = time.monotonic()
            for record in self._pipeline.feed(event):
                self._shipper.offer(pack_record(record))
        for record in self._pipeline.finish():
            self._shipper.offer(pack_record(record))

    def _detach(self) -> None:
        log.info("every probe is dark; detaching")
        said = time.monotonic()
        for done, total in self._source.detach():
            if done == total or time.monotonic() - said >= 1:
                said = time.monotonic()
                log.info("detached %d of %d probes", done, total)

    def _asked_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._source.ask_to_stop()

    def _lower_priority(self) -> None:
        """What parses must not compete with what it watches; the ring holds what comes meanwhile."""
        if self._settings.priority == "idle":
            try:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            except OSError as error:
                log.warning("cannot run at idle priority: %s", error.strerror)

    def _watching_text(self) -> str:
        watching = self._source.watching
        libraries = ", ".join(watching.libraries) or "no TLS library"
        return f"{watching.backend}; {libraries}"

    def _totals(self) -> dict[str, dict[str, int]]:
        totals = self._ledger.as_map()
        for name, counts in self._shipper.totals().items():
            for bucket, count in counts.items():
                totals[name][bucket] = totals[name].get(bucket, 0) + count
        return totals

    def _snapshot(self) -> Snapshot:
        watching = self._source.watching
        queue_records, queue_bytes = self._shipper.waiting()
        libraries = tuple(Watched("openssl", path, probes) for path, probes in watching.libraries.items())
        return Snapshot(
            agent=self._settings.agent,
            version=version("spectap"),
            attached=self._attached,
            turned_at=self._turned_at,
            ledger=self._totals(),
            backend=watching.backend,
            watching=(Watched("sockets", None, watching.socket_probes), *libraries),
            connections_open=self._pipeline.connections,
            processes_watched=self._pipeline.processes,
            ring_bytes=self._settings.ring_bytes,
            ring_used_bytes=watching.drained_bytes,
            queue_records=queue_records,
            queue_bytes=queue_bytes,
            stopping=self._stopping,
            detach_done=watching.detach_done,
            detach_total=watching.detach_total,
            notes=tuple(f"{path}: {reason}" for path, reason in watching.failures.items()),
        )


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, message."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start_logging(settings: Settings) -> None:
    """Logs go to standard error, for people or as JSON."""
    handler = logging.StreamHandler()
    if settings.log_json:
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for chatty in ("httpcore", "hpack"):  # the latter would log what it decodes
        logging.getLogger(chatty).setLevel(logging.WARNING)
