"""`spectap coverage`: the parts of a specification that traffic in files exercised, and those it did not."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from server.offline import reading, remote, values
from server.offline.reading import ReadingError, UntilUnreadable
from server.offline.tables import plain

if TYPE_CHECKING:
    from agent.wire import Record
    from server.analysis.coverage.counts import Counts
    from server.analysis.coverage.documents import CoverageReport, GapReport
    from server.analysis.coverage.outline import Outline
    from server.analysis.coverage.report import Callers
    from server.analysis.specs.judging.judged import Judged
    from server.client.connection import Remote
    from server.offline.judged_call import MasksNames
    from server.offline.scope import TrafficScope

USAGE = 64
OF_FILES = (
    *("files", "spec", "host", "any_host", "consumers_from", "exclude", "keywords", "accepted_only", "diff"),
)
BY = ("workload", "pod", "namespace", "image", "chart", "process", "user_agent", "test", "aggregation", "ip")

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class _Wrong(Exception):
    """An error: one sentence, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def add_parser(subparsers: Subparsers) -> None:
    """`spectap coverage`."""
    parser = subparsers.add_parser(
        "coverage",
        description="Counts which operations, status classes, parameters and body fields of a specification"
        " were exercised, correctly or not, and by which consumer. Deprecated operations are listed but left"
        " out of the totals; a watch request does not count as a list request.",
        epilog="Exit status: 0 when done, 1 when not all could be read: what could is counted, 64 for a usage"
        " error.",
    )
    option = parser.add_argument
    option(
        "--spec",
        type=values.path,
        action="append",
        metavar="SPEC",
        default=[],
        help="the specification; repeat it for one report each",
    )
    from server.offline import scope

    scope.add_options(parser)
    option(
        "--by", choices=BY, default="user_agent", help="how consumers are told apart (default: %(default)s)"
    )
    option("--consumer", metavar="PATTERN", help="count consumers of this name only; * and ? are wildcards")
    option(
        "--consumers-from",
        type=Path,
        metavar="FILE",
        help="count only the consumers that a YAML list names, such as Kubernetes' conformance.yaml",
    )
    option(
        "--exclude",
        type=Path,
        metavar="FILE",
        help="leave out of the totals the operations whose operationId a YAML list has, such as Kubernetes'"
        " ineligible_endpoints.yaml",
    )
    option(
        "--keywords",
        action="store_true",
        help="also count statuses, media types, values of enums, alternatives and bounds; takes longer",
    )
    option(
        "--accepted-only",
        action="store_true",
        help="count only calls that were answered with 2xx or 3xx: a call that was refused tests little",
    )
    option("--level", choices=("stable", "beta", "alpha"), help="operations of this level only")
    option("--tag", metavar="TAG", help="operations with this tag only")
    option(
        "--used-by",
        metavar="PATTERN",
        help="with --not-by: list what consumers of this name use and those of the other do not",
    )
    option("--not-by", metavar="PATTERN", help="see --used-by")
    option(
        "--diff",
        nargs=2,
        type=Path,
        metavar=("USED", "TESTED"),
        help="list what the first report (made with --json) has and the second lacks; takes no FILE",
    )
    remote.add_options(parser.add_argument_group("of a server, instead of files"), "admin", needed=False)
    option("--api", metavar="API", help="with --server: the coverage of this API, by name or id")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "-o", dest="output", choices=("table", "json", "yaml", "csv"), help="output (default: table)"
    )
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print one line per operation, as CSV")
    reading.add_options(parser, needed=False)
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    parsed.json = parsed.json or parsed.output == "json"
    parsed.csv = parsed.csv or parsed.output == "csv"
    if parsed.api and not (misplaced := _misplaced(parsed)):
        return remote.run(parsed, lambda server: _print_servers(parsed, server))
    elif parsed.api:
        sys.stderr.write(f"spectap coverage: --api is about a server, which has no {misplaced}\n")
        return USAGE
    from server.offline.name_lists import ListError
    from server.offline.scope import OutOfScope

    try:
        _check(parsed)
        _print(parsed)
    except _Wrong as error:
        sys.stderr.write(f"spectap coverage: {plain(str(error))}\n")
        return error.status
    except (ReadingError, OutOfScope, ListError) as error:
        sys.stderr.write(f"spectap coverage: {plain(str(error))}\n")
        return 1
    return 0


def _misplaced(parsed: argparse.Namespace) -> str:
    """The options that are about files."""
    of_files = (
        "spec",
        "files",
        "host",
        "any_host",
        "consumers_from",
        "exclude",
        "keywords",
        "accepted_only",
        "diff",
    )
    names = [
        f"--{name.replace('_', '-')}".replace("--files", "FILE") for name in of_files if getattr(parsed, name)
    ]
    return ", ".join(names)


def _print_servers(parsed: argparse.Namespace, server: Remote) -> int:
    """Prints what a server counted for an API, by the same options."""
    from server.offline.lists.chosen import api_id

    names = ("by", "level", "tag", "consumer", "used_by", "not_by")
    asked = {name: value for name in names if (value := getattr(parsed, name))}
    path = f"/apis/{quote(api_id(server, parsed.api), safe='')}/coverage"
    try:
        if parsed.used_by or parsed.not_by:
            _check_gaps(parsed)
            _print_gaps(parsed, [server.get(f"{path}/gaps", asked).json()])
        else:
            _print_coverage(parsed, [server.get(path, asked).json()])
    except _Wrong as error:
        sys.stderr.write(f"spectap coverage: {error}\n")
        return error.status
    return 0


def _check(parsed: argparse.Namespace) -> None:
    gaps = parsed.used_by or parsed.not_by
    if parsed.diff and (parsed.files or parsed.spec or gaps):
        raise _Wrong("--diff takes two reports and excludes --spec, FILE and --used-by", USAGE)
    if not parsed.diff and not (parsed.files and parsed.spec):
        raise _Wrong("give --spec SPEC and at least one FILE, --api API, or --diff USED TESTED", USAGE)
    _check_gaps(parsed)
    if parsed.consumer and parsed.consumers_from:
        raise _Wrong("--consumer and --consumers-from cannot be combined", USAGE)
    if parsed.csv and parsed.diff:
        raise _Wrong("--csv cannot be combined with --diff or --used-by; use --json", USAGE)


def _check_gaps(parsed: argparse.Namespace) -> None:
    """What --used-by and --not-by go with."""
    if not (parsed.used_by or parsed.not_by):
        return
    if not (parsed.used_by and parsed.not_by):
        raise _Wrong("--used-by and --not-by go together", USAGE)
    if parsed.consumer or parsed.consumers_from:
        raise _Wrong("--consumer and --consumers-from cannot be combined with --used-by", USAGE)
    if parsed.csv:
        raise _Wrong("--csv cannot be combined with --diff or --used-by; use --json", USAGE)


def _print(parsed: argparse.Namespace) -> None:
    if parsed.diff:
        _print_gaps(parsed, [_diff(*parsed.diff)])
        return
    files = reading.unmasked(reading.options(parsed))
    records = UntilUnreadable(reading.unmasked_records(files, parsed.files))
    counted = _count(parsed, records, files.names)
    if parsed.used_by:
        _print_gaps(parsed, _gaps(parsed, counted))
    else:
        _print_coverage(parsed, _reports(parsed, counted, _callers(parsed)))
    if records.error is not None:
        raise records.error


def _gaps(parsed: argparse.Namespace, counted: list[tuple[Outline, Counts]]) -> list[GapReport]:
    from server.analysis.coverage.gaps import gaps
    from server.analysis.coverage.report import matching

    used, tested = (
        _reports(parsed, counted, matching(pattern)) for pattern in (parsed.used_by, parsed.not_by)
    )
    return list(map(gaps, used, tested))


def _callers(parsed: argparse.Namespace) -> Callers | None:
    """Raises ListError."""
    from server.analysis.coverage.report import matching
    from server.offline.name_lists import names_in

    listed = names_in(parsed.consumers_from) if parsed.consumers_from else None
    return matching(parsed.consumer) if listed is None else listed.__contains__


def _reports(
    parsed: argparse.Namespace, counted: list[tuple[Outline, Counts]], caller: Callers | None
) -> list[CoverageReport]:
    """Raises ListError."""
    from server.analysis.coverage.report import report
    from server.offline.name_lists import names_in

    left_out = names_in(parsed.exclude) if parsed.exclude else frozenset[str]()
    return [
        report(outline, counts, level=parsed.level, tag=parsed.tag, caller=caller, excluded=left_out)
        for outline, counts in counted
    ]


def _count(
    parsed: argparse.Namespace, records: UntilUnreadable[Record], names: MasksNames
) -> list[tuple[Outline, Counts]]:
    """Counts against each specification what is of its hosts. Raises ReadingError if there is nothing."""
    from server.analysis.coverage.counts import By, Counts
    from server.analysis.coverage.outline import Outline

    scopes = [_scope(parsed, path, names) for path in parsed.spec]
    counted = {
        one.path: (Outline([one.specification]), Counts(parsed.keywords))
        for within in scopes
        for one in within.documents
    }
    by = By(parsed.by)
    for record in records:
        if parsed.accepted_only and not _is_accepted(record):
            continue
        for within in scopes:
            found = within.judge(record)
            if found is not None:
                outline, counts = counted[found[0].path]
                counts.add_exchange(_printable(found[1], names), outline, by)
    if records.error is not None and not records.count:
        raise records.error
    for within in scopes:
        within.check()
        if str(within):
            sys.stderr.write(f"spectap coverage: {plain(str(within))}\n")
    return [*counted.values()]


def _printable(judged: Judged, names: MasksNames) -> Judged:
    """What is counted has no name of the exchange but in its judgement, or the path of an unknown call."""
    if judged.judgement.operation is not None:
        return judged
    from server.offline.judged_call import printable

    return replace(judged, record=printable(judged.record, names))


def _is_accepted(record: Record) -> bool:
    return record.response is not None and record.response.status < HTTPStatus.BAD_REQUEST


def _scope(parsed: argparse.Namespace, path: Path, names: MasksNames) -> TrafficScope:
    from server.offline.scope import Document, TrafficScope
    from server.offline.spec import SpecUnusable, specifications

    try:
        found = [Document.of(file, one.naming(names.place)) for file, one in specifications(path)]
    except OSError as error:
        raise _Wrong(f"cannot read {path}: {error.strerror}") from None
    except SpecUnusable as error:
        raise _Wrong(str(error)) from None
    return TrafficScope(found, parsed.host, parsed.any_host)


def _diff(used: Path, tested: Path) -> GapReport:
    from server.analysis.coverage.gaps import gaps

    try:
        return gaps(_report(used), _report(tested))
    except (KeyError, TypeError, AttributeError):
        raise _Wrong(f"{used} or {tested} is not a report written by `spectap coverage --json`") from None


def _report(path: Path) -> CoverageReport:
    """A report from a file, unchecked: another document lacks a key or has another kind of value."""
    try:
        found: CoverageReport = json.loads(path.read_bytes())
    except OSError as error:
        raise _Wrong(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise _Wrong(f"{path} is not JSON") from None
    return found


def _print_gaps(parsed: argparse.Namespace, found: list[GapReport]) -> None:
    if parsed.json or parsed.output == "yaml":
        (_print_json if parsed.json else _print_yaml)(found)
        return
    from server.offline.coverage_tables import show_gaps

    for one in found:
        show_gaps(one)


def _print_coverage(parsed: argparse.Namespace, found: list[CoverageReport]) -> None:
    if parsed.json or parsed.output == "yaml":
        (_print_json if parsed.json else _print_yaml)(found)
    elif parsed.csv:
        from server.analysis.coverage.table import csv_text

        sys.stdout.write("\n".join(map(csv_text, found)))
    else:
        from server.offline.coverage_tables import show_coverage

        for one in found:
            show_coverage(one)


def _print_yaml(found: list[GapReport] | list[CoverageReport]) -> None:
    from server.offline.lists.output import yaml_text

    sys.stdout.write(yaml_text(found[0] if len(found) == 1 else found))


def _print_json(found: list[GapReport] | list[CoverageReport]) -> None:
    sys.stdout.write(json.dumps(found[0] if len(found) == 1 else found) + "\n")
