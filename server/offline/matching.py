"""`spectap match`: validates each exchange of files against a specification; one JSON line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter

from agent.wire import Record
from server.analysis.json import JsonObject
from server.analysis.specs.kinds import Verdict
from server.analysis.specs.model import Judgement, SpecError
from server.analysis.specs.specification import Specification
from server.offline import policy, reading, spec
from server.offline.reading import ReadingError

EXIT_ERROR, EXIT_FOUND = 1, 2
FOUND = frozenset({Verdict.SHADOW, Verdict.ZOMBIE, Verdict.DEVIATING})


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap match [--spec SPEC] FILE...`."""
    parser = subparsers.add_parser(
        "match",
        help="check the exchanges in files against a specification",
        description="Reads files, redacts them and checks each exchange against a specification. Prints"
        " one JSON line per exchange and a summary on standard error.",
        epilog="Exit status: 0 if every exchange is conforming or unjudged, 2 if any is shadow, zombie or"
        " deviating, 1 when something cannot be read, 64 for a usage error.",
    )
    spec.add_options(parser, required=False)
    policy.add_options(parser)
    reading.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON lines (the default)")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code: 2 if there are deviations, 1 if not everything was read."""
    try:
        said = policy.policy(parsed)
        found = spec.specification(parsed.spec, parsed.spec_root, said) if parsed.spec else None
        counts = _print(parsed, found)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (SpecError, spec.SpecMissing, ReadingError, OSError) as error:
        sys.stderr.write(f"spectap match: {_spec_named(parsed, error)}{error}\n")
        return EXIT_ERROR
    sys.stderr.write(summary(counts) + "\n")
    return EXIT_FOUND if FOUND & counts.keys() else 0


def _spec_named(parsed: argparse.Namespace, error: Exception) -> str:
    return f"{parsed.spec}: " if isinstance(error, SpecError) else ""


def _print(parsed: argparse.Namespace, found: Specification | None) -> Counter[Verdict | None]:
    """Prints a line for each exchange; returns their number by verdict."""
    counts: Counter[Verdict | None] = Counter()
    for i, record in enumerate(reading.records(parsed.files, reading.options(parsed))):
        judgement = found.match(record) if found else None
        counts[judgement.verdict if judgement else None] += 1
        sys.stdout.write(json.dumps(line(i, record, judgement), ensure_ascii=False) + "\n")
    return counts


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


def summary(counts: Counter[Verdict | None]) -> str:
    """One sentence with the number of exchanges by verdict."""
    total = sum(counts.values())
    told = [f"{counts[verdict]:,} {verdict}" for verdict in Verdict if counts[verdict]]
    text = f"{total:,} exchange{'' if total == 1 else 's'}"
    return f"{text}: {', '.join(told)}" if told else text
