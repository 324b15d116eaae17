"""`spectap match`: validates each exchange of files against a specification, and reports on them."""

from __future__ import annotations

import argparse
import json
import sys

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.model import Judgement, SpecError
from server.analysis.specs.specification import Specification
from server.offline import policy, reading, spec
from server.offline.reading import ReadingError
from server.offline.reports.failing import DEFAULT, failing
from server.offline.reports.formats import FORMATS
from server.offline.reports.locations import SpecFile
from server.offline.reports.report import MatchReport, summary

EXIT_ERROR, EXIT_FOUND = 1, 2
LINES, TABLE = "jsonl", "table"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap match [--spec SPEC] FILE...`."""
    parser = subparsers.add_parser(
        "match",
        help="check the exchanges in files against a specification",
        description="Reads files, redacts them and checks each exchange against a specification. Prints"
        " what was found, and a summary on standard error.",
        epilog="Exit status: 0 if nothing was found of what --fail-on lists, 2 if something was, 1 when"
        " something cannot be read, 64 for a usage error. In a pipeline of GitHub:"
        " spectap match --spec openapi.yaml -o github traffic.har",
    )
    spec.add_options(parser, required=False)
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
    report = MatchReport()
    try:
        said = policy.policy(parsed)
        found = spec.specification(parsed.spec, parsed.spec_root, said) if parsed.spec else None
        _match(parsed, found, report, lines=chosen == LINES)
        if found is not None and chosen != LINES:
            sys.stdout.writelines(FORMATS[chosen](report, SpecFile(spec.file(parsed.spec), found)))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (SpecError, spec.SpecMissing, ReadingError, OSError) as error:
        sys.stderr.write(f"spectap match: {_spec_named(parsed, error)}{error}\n")
        return EXIT_ERROR
    sys.stderr.write(summary(report.verdicts) + "\n")
    return EXIT_FOUND if report.has(parsed.fail_on) else 0


def _format(parsed: argparse.Namespace) -> str:
    """Without a specification there are only lines."""
    if parsed.spec is None:
        if parsed.output not in (None, LINES):
            parsed.usage_error(f"-o {parsed.output} needs --spec")
        return LINES
    return parsed.output or (TABLE if sys.stdout.isatty() else LINES)


def _spec_named(parsed: argparse.Namespace, error: Exception) -> str:
    return f"{parsed.spec}: " if isinstance(error, SpecError) else ""


def _match(parsed: argparse.Namespace, found: Specification | None, report: MatchReport, lines: bool) -> None:
    """Judges every exchange; with `lines` prints one for each."""
    for i, record in enumerate(reading.records(parsed.files, reading.options(parsed))):
        judgement = found.match(record) if found else None
        report.add(i, record, judgement)
        if lines:
            sys.stdout.write(json.dumps(line(i, record, judgement), ensure_ascii=False) + "\n")


def line(i: int, record: Record, judgement: Judgement | None) -> JsonObject:
    """The printed document of one exchange; without a specification it has no verdict."""
    request = record.request
    return {
        "i": i,
        "method": request.method if request else None,
        "path": request.path.decode("utf-8", "replace") if request else None,
        "operation": judgement.operation if judgement else None,
        "deprecated": judgement.deprecated if judgement else False,
        "verdict": judgement.verdict if judgement else None,
        "why": judgement.why if judgement else None,
        "deviations": [
            {"kind": one.kind, "where": one.where, "pointer": one.pointer, "message": one.message}
            for one in (judgement.deviations if judgement else ())
        ],
    }
