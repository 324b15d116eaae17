"""`spectap-agent doctor`: the order of its checks, and its exit status."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from types import FrameType

from agent.doctor import host, report, selftest
from agent.doctor.facts import Check, CheckState, Program, Report, Sees, printable
from agent.doctor.programs import Survey
from agent.doctor.selftest import Tried
from agent.ledger import HOW_OLDER_ARE_READ
from agent.probes import capability
from agent.probes.programs import Sizes
from agent.state_folder import state_folder

EXIT = {Sees.ALL: 0, Sees.SOME: 2, Sees.NONE: 3}
EXIT_STOPPED = 1


def run(options: argparse.Namespace) -> int:
    """Examines the host, prints the report and returns the exit status."""
    try:
        found = look(options)
    except KeyboardInterrupt:  # outside the self-test, when nothing is attached
        found = None
    if found is None:
        _print_progress("stopped; nothing of the self-test is left behind")
        return EXIT_STOPPED
    lines = [json.dumps(report.document(found), indent=2)] if options.json else report.lines(found)
    for line in lines:
        sys.stdout.write(line + "\n")
    return EXIT[found.sees]


def look(options: argparse.Namespace) -> Report | None:
    """The report; None if a signal asked to stop."""
    checks, tried, stopped = examine(not options.no_self_test, options.backend)
    if stopped:
        return None
    survey = Survey(dict(tried.test.failures), limits=tried.limits, is_below_calls=tried.is_below_calls)
    programs = survey.of(dict.fromkeys(options.pid)) if options.pid else survey.of_all()
    return Report(
        spectap=version("spectap"),
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        host=checks,
        programs=programs,
        self_test=tried.test,
        notes=(*notes(survey, bool(options.pid)), *existing(programs)),
    )


def examine(with_test: bool, backend: str | None) -> tuple[tuple[Check, ...], Tried, bool]:
    """The checks of host and backend, the self-test's result, and whether a signal asked to stop."""
    checks = tuple(host.checks(host.Host(), capability.refusals(), Sizes().ring_bytes))
    cache = state_folder() / "cache"
    if not with_test:
        tried = selftest.load(cache, backend)
        return (*eased(checks, tried), *tried.checks), tried, False
    test = selftest.SelfTestRun(cache, backend, _print_progress)

    def stop(number: int, frame: FrameType | None) -> None:
        test.ask_to_stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        tried = test.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    failures = tuple((printable(path), printable(reason)) for path, reason in tried.test.failures)
    tried = replace(tried, test=replace(tried.test, failures=failures))
    return (*eased(checks, tried), *tried.checks), tried, test.stopped


def eased(checks: tuple[Check, ...], tried: Tried) -> Iterator[Check]:
    """What refuses eBPF limits capture, where a backend works without."""
    for check in checks:
        refuses = check.state is CheckState.REFUSED and tried.limits is not None
        yield replace(check, state=CheckState.LIMITED) if refuses else check


def notes(survey: Survey, chosen: bool) -> Iterator[str]:
    """Sentences on what was not examined."""
    if survey.cut:
        yield "the socket table is too long to read completely: some processes may be missing"
    hidden = 0 if chosen else survey.hidden()
    if hidden:
        yield f"{hidden} processes cannot be inspected: run this as root"


def existing(programs: Sequence[Program]) -> Iterator[str]:
    """What an agent that starts now does not see of connections that exist."""
    found = sum(program.connections for program in programs)
    if found:
        yield f"{found} connections exist already: an agent that starts now reads them {HOW_OLDER_ARE_READ}"


def _print_progress(line: str) -> None:
    """Prints progress to standard error, separate from the report."""
    sys.stderr.write(f"spectap-agent: {line}\n")
    sys.stderr.flush()
