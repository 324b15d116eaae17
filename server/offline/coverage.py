"""`spectap coverage`: how much of a specification the traffic in files exercised, and what it left out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from server.offline import reading
from server.offline.reading import ReadingError

if TYPE_CHECKING:
    from server.analysis.coverage.counts import Counts
    from server.analysis.coverage.outline import Outline

USAGE = 64
BY = ("workload", "pod", "process", "user_agent", "test", "aggregation", "ip")

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class _Wrong(Exception):
    """One sentence for the person who typed it, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def add_parser(subparsers: Subparsers) -> None:
    """`spectap coverage`."""
    parser = subparsers.add_parser(
        "coverage",
        help="show how much of a specification the traffic in files exercised",
        description="Counts which operations, status classes, parameters and body fields of a specification"
        " were exercised, correctly or not, and by which consumer. Deprecated operations are listed but left"
        " out of the totals; a watch request does not count as a list request.",
        epilog="Exit status: 0 when done, 1 when something cannot be read, 64 for a usage error.",
    )
    option = parser.add_argument
    option(
        "--spec",
        type=Path,
        action="append",
        metavar="SPEC",
        default=[],
        help="the specification; repeat it for one report each",
    )
    option(
        "--by", choices=BY, default="user_agent", help="how consumers are told apart (default: %(default)s)"
    )
    option("--consumer", metavar="PATTERN", help="count consumers of this name only; * and ? are wildcards")
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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print one line per operation, as CSV")
    reading.add_options(parser, needed=False)
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    try:
        _check(parsed)
        results = [_diff(*parsed.diff)] if parsed.diff else _reports(parsed)
    except _Wrong as error:
        sys.stderr.write(f"spectap coverage: {error}\n")
        return error.status
    except ReadingError as error:
        sys.stderr.write(f"spectap coverage: {error}\n")
        return 1
    _print(parsed, results)
    return 0


def _check(parsed: argparse.Namespace) -> None:
    gaps = parsed.used_by or parsed.not_by
    if parsed.diff and (parsed.files or parsed.spec or gaps):
        raise _Wrong("--diff takes two reports and excludes --spec, FILE and --used-by", USAGE)
    if not parsed.diff and not (parsed.files and parsed.spec):
        raise _Wrong("give --spec SPEC and at least one FILE, or --diff USED TESTED", USAGE)
    if gaps and not (parsed.used_by and parsed.not_by):
        raise _Wrong("--used-by and --not-by go together", USAGE)
    if gaps and parsed.consumer:
        raise _Wrong("--consumer cannot be combined with --used-by", USAGE)
    if parsed.csv and (parsed.diff or gaps):
        raise _Wrong("--csv cannot be combined with --diff or --used-by; use --json", USAGE)


def _reports(parsed: argparse.Namespace) -> list[dict[str, Any]]:
    from server.analysis.coverage.gaps import gaps
    from server.analysis.coverage.report import report

    counted = _count(parsed)
    narrow = {"level": parsed.level, "tag": parsed.tag}
    if parsed.used_by:
        return [
            gaps(
                report(outline, counts, caller=parsed.used_by, **narrow),
                report(outline, counts, caller=parsed.not_by, **narrow),
            )
            for outline, counts in counted
        ]
    return [report(outline, counts, caller=parsed.consumer, **narrow) for outline, counts in counted]


def _count(parsed: argparse.Namespace) -> list[tuple[Outline, Counts]]:
    """All files, read once, against each specification."""
    from server.analysis.coverage.counts import By, Counts
    from server.analysis.coverage.outline import Outline
    from server.analysis.specs.judging.json_reading import JsonBodies
    from server.analysis.specs.judging.judged import Judged

    specifications = [_load(path) for path in parsed.spec]
    counted = [(one, Outline([one]), Counts()) for one in specifications]
    by = By(parsed.by)
    for record in reading.records(parsed.files, reading.options(parsed)):
        bodies = JsonBodies()
        for specification, outline, counts in counted:
            counts.add_exchange(Judged.by(specification, record, bodies), outline, by)
    return [(outline, counts) for _, outline, counts in counted]


def _load(path: Path) -> Any:
    from server.analysis.specs.model import SpecError
    from server.offline.spec import SpecMissing, specification

    try:
        return specification(path)
    except OSError as error:
        raise _Wrong(f"cannot read {path}: {error.strerror}") from None
    except SpecError as error:
        raise _Wrong(f"{path}: {error}") from None
    except SpecMissing as error:
        raise _Wrong(str(error)) from None


def _diff(used: Path, tested: Path) -> dict[str, Any]:
    from server.analysis.coverage.gaps import gaps

    try:
        return gaps(_report(used), _report(tested))
    except (KeyError, TypeError, AttributeError):
        raise _Wrong(f"{used} or {tested} is not a report written by `spectap coverage --json`") from None


def _report(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise _Wrong(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise _Wrong(f"{path} is not JSON") from None


def _print(parsed: argparse.Namespace, results: Sequence[dict[str, Any]]) -> None:
    if parsed.json:
        sys.stdout.write(json.dumps(results[0] if len(results) == 1 else results) + "\n")
        return
    if parsed.csv:
        from server.analysis.coverage.table import csv_text

        sys.stdout.write("\n".join(map(csv_text, results)))
        return
    from server.offline.coverage_tables import show_coverage, show_gaps

    for result in results:
        (show_gaps if "parts" in result else show_coverage)(result)
