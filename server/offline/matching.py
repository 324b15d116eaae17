"""`spectap match`: validates each exchange of files against a specification, and reports on them."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.kinds import Fault, Verdict, severity_of
from server.analysis.specs.model import Judgement
from server.offline import policy, reading, scope, spec
from server.offline.judged_call import JudgedCall, MasksNames
from server.offline.reading import ReadingError, UntilUnreadable
from server.offline.reports.failing import DEFAULT, failing
from server.offline.reports.formats import FORMATS
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport, blamed, summary
from server.offline.scope import Document, OutOfScope, TrafficScope
from server.offline.tables import plain

EXIT_ERROR, EXIT_FOUND = 1, 2
REMEMBERED = 1024  # hosts, methods and judgements, which many exchanges share
LINES, TABLE = "jsonl", "table"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap match [--spec SPEC] FILE...`."""
    parser = subparsers.add_parser(
        "match",
        description="Reads files, redacts them and checks each exchange against a specification. Prints"
        " what was found, and a summary on standard error.",
        epilog="Exit status: 0 if nothing was found of what --fail-on lists, 2 if something was, 1 when"
        " something cannot be read, 64 for a usage error.",
    )
    spec.add_options(parser, required=False)
    spec.add_base_path(parser)
    scope.add_options(parser)
    policy.add_options(parser)
    reading.add_options(parser)
    parser.add_argument(
        "-o",
        dest="output",
        choices=(LINES, *FORMATS),
        help="output: a line of JSON for each exchange, or a report by operation and deviation"
        " (default: table on a terminal, otherwise jsonl)",
    )
    parser.add_argument(
        "--json", dest="output", action="store_const", const=LINES, help="the same as -o jsonl"
    )
    parser.add_argument(
        "--fail-on",
        type=failing,
        default=DEFAULT,
        metavar="LIST",
        help="what makes the exit status 2, separated by commas: shadow, deviating, zombie, unjudged,"
        " severity=low|medium|high for deviations that are at least so severe, or none"
        " (default: shadow,deviating,zombie)",
    )
    parser.set_defaults(run=run, usage_error=parser.error)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code: 2 if there is what `--fail-on` lists, 1 if not everything was read."""
    chosen = _format(parsed)
    try:
        files = reading.unmasked(reading.options(parsed))
        within = _scope(parsed, files.names)
        records = UntilUnreadable(reading.unmasked_records(files, parsed.files))
        reports = _match(records, within, files.names, lines=chosen == LINES)
        if records.error is not None and not records.count:
            raise records.error
        if chosen != LINES:
            found = [
                SpecReport(reports[one.path], SpecFile(spec.file(one.path), one.specification))
                for one in within.documents
            ]
            sys.stdout.writelines(FORMATS[chosen](found))
        sys.stdout.flush()
        within.check()
    except (spec.SpecUnusable, ReadingError, OutOfScope) as error:
        sys.stderr.write(f"spectap match: {plain(str(error))}\n")
        return EXIT_ERROR
    counts = sum((report.verdicts for report in reports.values()), Counter[Verdict | None]())
    faults = sum((report.faults for report in reports.values()), Counter[tuple[Fault, bool]]())
    told = "; ".join(filter(None, (summary(counts), blamed(faults), str(within))))
    sys.stderr.write(f"{plain(told)}\n")
    if records.error is not None:
        sys.stderr.write(f"spectap match: {plain(str(records.error))}\n")
        return EXIT_ERROR
    return EXIT_FOUND if any(report.has(parsed.fail_on) for report in reports.values()) else 0


def _format(parsed: argparse.Namespace) -> str:
    """Without a specification there are only lines."""
    if parsed.spec is None:
        if parsed.output not in (None, LINES):
            parsed.usage_error(f"-o {parsed.output} needs --spec")
        return LINES
    return parsed.output or (TABLE if sys.stdout.isatty() else LINES)


def _scope(parsed: argparse.Namespace, names: MasksNames) -> TrafficScope:
    """The specifications, and whose traffic they judge. Raises SpecUnusable."""
    reported = policy.policy(parsed)
    found = (
        spec.specifications(parsed.spec, parsed.spec_root, reported, parsed.base_path) if parsed.spec else ()
    )
    documents = [Document.of(path, one.naming(names.place)) for path, one in found]
    return TrafficScope(documents, parsed.host, parsed.any_host)


def _match(
    records: Iterable[Record], within: TrafficScope, names: MasksNames, lines: bool
) -> dict[Path | None, MatchReport]:
    """Judges every unmasked exchange that is not left out; with `lines` prints one for each. Returns a report
    for each specification; one for None without any.
    """
    reports: dict[Path | None, MatchReport]
    reports = {one.path: MatchReport() for one in within.documents} or {None: MatchReport()}
    for i, record in enumerate(records):
        found = within.judge(record) if within.documents else None
        if found is None and (within.documents or not within.takes(record)):
            continue
        judgement = found[1].judgement if found else None
        call = JudgedCall(i, record, judgement, names)
        reports[found[0].path if found else None].add(call)
        if lines:
            sys.stdout.write(line(call, found[0].path if found and len(reports) > 1 else None))
    return reports


def line(call: JudgedCall, spec: Path | None = None) -> str:
    """The printed line of one exchange: JSON. Without a specification it has no verdict; `spec` is that of
    several which judged it.
    """
    path = call.path
    shown = "null" if path is None else json.dumps(path[0].decode("utf-8", "replace"))
    method, host = _json(call.method), _json(call.host)
    head = f'"i": {call.i}, "method": {method}, "path": {shown}, "host": {host}'
    return f"{{{head}, {_json_of(call.judgement, spec)}}}\n"


_json = lru_cache(maxsize=REMEMBERED)(json.dumps)


@lru_cache(maxsize=REMEMBERED)
def _json_of(judgement: Judgement | None, spec: Path | None) -> str:
    """The members of a line that many exchanges share."""
    members: JsonObject = {
        "operation": judgement.operation if judgement else None,
        "deprecated": judgement.deprecated if judgement else False,
        "verdict": judgement.verdict if judgement else None,
        "fault": judgement.fault if judgement else None,
        "why": judgement.why if judgement else None,
        "deviations": [
            {
                "kind": one.kind,
                "where": one.where,
                "pointer": one.pointer,
                "message": one.message,
                "severity": severity_of(one.kind, one.where),
            }
            for one in (judgement.deviations if judgement else ())
        ],
    }
    if spec is not None:
        members["spec"] = str(spec)
    return json.dumps(members)[1:-1]
