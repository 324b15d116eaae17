"""`spectap try`: the calls of a server's stored exchanges that a proposed specification would break."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from server.analysis.specs.model import SpecError
from server.analysis.tryout.documents import (
    TriedChange,
    TriedConsumer,
    TriedDifference,
    TriedOperation,
    TryoutReport,
)
from server.client.errors import AddressError, SpectapError
from server.offline import remote, spec, values
from server.offline.exporting import time_of
from server.offline.specifications import packed
from server.offline.tables import plain, print_table

MAX_EXCHANGES = 100_000  # that a server replays at most
EXIT_ERROR, EXIT_FOUND, EXIT_USAGE = 1, 2, 64
MAX_LINES = 50  # of a table
CUT = {
    "limit": "only the newest stored calls were replayed: --exchanges sets how many",
    "time": "only the newest stored calls were replayed, in the time that the server takes: --since or a"
    " smaller --exchanges sets which",
}
TARGET = {
    "--api": ("ID", "id of the API whose calls are replayed"),
    "--host": ("HOST", "a host of that API (default: from the document's server URLs)"),
    "--base-path": ("/PATH", "replaces the base path of the document's server URLs"),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap try FILE --server URL`."""
    parser = subparsers.add_parser(
        "try",
        description="Replays the exchanges stored on a server against a proposed specification: which calls"
        " it would break, whose they are, and which of its breaking changes nobody makes use of. A call"
        " breaks where it deviates from the proposal and does not deviate now. Nothing is stored.",
        epilog="Exit status: 0 if no call breaks, 2 if any does, 1 when something cannot be read or the"
        " server refuses it, 64 for a usage error.",
    )
    remote.add_options(parser, "admin")
    parser.add_argument("file", type=values.path, metavar="FILE", help=spec.WHAT)
    spec.add_root(parser)
    for option, (metavar, text) in TARGET.items():
        check = values.base_path if option == "--base-path" else values.text
        parser.add_argument(option, type=check, metavar=metavar, help=text)
    parser.add_argument(
        "--since",
        type=time_of,
        metavar="TIME",
        help="replay only exchanges from this time on: RFC 3339, or such as 1h",
    )
    parser.add_argument(
        "--exchanges",
        type=values.number(1, MAX_EXCHANGES),
        metavar="N",
        help="how many stored exchanges are replayed at most, newest first (default: 10000)",
    )
    parser.add_argument(
        "-o", dest="output", choices=("table", "json"), default="table", help="output (default: table)"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code: 2 if any call breaks."""
    try:
        content, kind, root = packed(*spec.located(parsed.file, parsed.spec_root))
        names = [*(option.removeprefix("--").replace("-", "_") for option in TARGET), "since", "exchanges"]
        asked = {name: value for name in names if (value := getattr(parsed, name)) is not None}
        asked |= {"root": root} if root else {}
        with remote.connected(parsed) as server:
            answer = server.send("POST", f"/specs/try?{urlencode(asked)}", content, {"content-type": kind})
    except AddressError as error:
        return _fail(f"{error}", EXIT_USAGE)
    except SpecError as error:
        return _fail(f"{parsed.file}: {error}", EXIT_ERROR)
    except (spec.SpecMissing, SpectapError, OSError) as error:
        return _fail(f"{error}", EXIT_ERROR)
    report: TryoutReport = answer.json()
    if parsed.output == "json":
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(report)
    return EXIT_FOUND if report["broken"] else 0


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"spectap try: {text}\n")
    return status


def _print(report: TryoutReport) -> None:
    sys.stdout.writelines(f"{plain(line)}\n" for line in _sentences(report))
    broken = [one for one in report["operations"] if one["broken"]]
    _table(
        "calls that would break",
        ("operation", "replayed", "broken", "of all counted"),
        map(_operation, broken),
    )
    _table(
        "by consumer", ("consumer", "replayed", "broken", "operations"), map(_consumer, report["consumers"])
    )
    _table(
        "by difference", ("calls", "operation", "deviation", "where", "exchange"),
        map(_difference, report["differences"]),
    )  # fmt: skip
    unused = [one for one in report["changes"] if not one["used"]]
    _table("breaking changes that no replayed call uses", ("operation", "part", "what"), map(_change, unused))


def _sentences(report: TryoutReport) -> Iterator[str]:
    yield (
        f"{report['title']} {report['version']}: {report['broken']:,} of {report['replayed']:,}"
        " replayed calls would break"
    )
    if report["cut"] is not None:
        yield CUT[report["cut"]]
    if report["share"] is not None and report["extrapolated"]:
        yield (
            f"{report['counted']:,} calls were counted; extrapolated to them,"
            f" {report['share']:.1%} would break"
        )
    if not report["replayed"]:
        yield "no stored exchanges to replay: nothing is known about the calls of this API"
    silent = [one for one in report["operations"] if not one["replayed"]]
    if silent:
        calls = sum(one["counted"] for one in silent)
        why = "is stored" if report["cut"] is None else "is among those"
        count = f"{len(silent):,} operation{'' if len(silent) == 1 else 's'}"
        yield f"not replayed: {calls:,} calls of {count} of which no exchange {why}"


def _table(title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    found = [*rows]
    if found:
        sys.stdout.write(f"\n{title}\n")
        print_table(columns, found[:MAX_LINES])
    if len(found) > MAX_LINES:
        sys.stdout.write(f"and {len(found) - MAX_LINES:,} more; -o json lists all\n")


def _operation(one: TriedOperation) -> Sequence[str]:
    about = "about " if one["extrapolated"] else ""
    estimated = f"{about}{one['estimated']:,} of {one['counted']:,}"
    return one["operation"], f"{one['replayed']:,}", f"{one['broken']:,}", estimated


def _consumer(one: TriedConsumer) -> Sequence[str]:
    name = one["name"] or one["kind"]
    return name, f"{one['replayed']:,}", f"{one['broken']:,}", ", ".join(one["operations"])


def _difference(one: TriedDifference) -> Sequence[str]:
    where = " ".join(filter(None, (one["where"], one["place"])))
    return f"{one['calls']:,}", one["operation"], f"{one['kind']}: {one['message']}", where, one["samples"][0]


def _change(one: TriedChange) -> Sequence[str]:
    first, _, place = one["part"].partition(" ")
    of_path = first == "path" and place.isdecimal()
    return one["operation"], f"path parameter {int(place) + 1}" if of_path else one["part"], one["what"]
