"""`spectap rebuild`: an OpenAPI 3.1 document from the traffic in files."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from server.offline import reading, values
from server.offline.files import replacing
from server.offline.reading import ReadingError, UntilUnreadable
from server.offline.tables import plain

if TYPE_CHECKING:
    from agent.wire import Record
    from server.analysis.json import JsonObject
    from server.analysis.rebuild.hosts import ByHost
    from server.analysis.rebuild.learner import Learner

FILE_ENDINGS = (".yaml", ".yml", ".json")
MOST_REFUSED = 5  # operations without an accepted call that are named
REPORT_EVERY = 10_000  # records between two progress lines

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_NOT_LEARNED = {
    "no_call": "not part of an API, such as CORS preflights",
    "over_bound": "beyond the number of operations that are kept",
    "redirected": "redirected to the same path in another form, such as with a slash at its end",
    "too_long": "with too long a path",
    "unseen": "without the request or the answer",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class _Wrong(Exception):
    """An error, as one sentence."""


def add_parser(subparsers: Subparsers) -> None:
    """`spectap rebuild`."""
    parser = subparsers.add_parser(
        "rebuild",
        description="Learns paths, parameters, bodies, responses and security schemes from traffic and writes"
        " them as OpenAPI 3.1, with the evidence for each part.",
        epilog="Exit status: 0 when done, 1 when something cannot be written, or not all could be read: what"
        " could is learned, 64 for a usage error.",
    )
    option = parser.add_argument
    option(
        "-o",
        "--output",
        metavar="FILE|DIR",
        help="output file: YAML, or JSON if the name ends in .json; for traffic of several APIs a folder,"
        " with one file for each host (default: YAML to standard output)",
    )
    option(
        "--host",
        type=values.text,
        action="append",
        default=[],
        metavar="HOST",
        help="only traffic of this host; repeatable",
    )
    option(
        "--spec",
        type=values.path,
        metavar="SPEC",
        help="an existing specification to extend: it is kept as it is, and only new parts are added",
    )
    option(
        "--openapi",
        choices=("3.1", "3.2"),
        default="3.1",
        help="version of the document; 3.2 describes items of event streams and JSON lines (default: 3.1)",
    )
    option("--title", metavar="TEXT", help="title of the document (default: the host)")
    option("--no-evidence", action="store_true", help="leave out counts, times and examples")
    option("--json", action="store_true", help="write JSON")
    reading.add_options(parser)
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    try:
        existing = _existing(parsed.spec) if parsed.spec else None
        records = UntilUnreadable(reading.records(parsed.files, reading.options(parsed)))
        learnt = _learn(parsed, existing, records)
        _write(parsed, existing, learnt)
        if records.error is not None:
            raise records.error
    except (_Wrong, ReadingError) as error:
        sys.stderr.write(f"spectap rebuild: {plain(str(error))}\n")
        return 1
    return 0


def _learn(
    parsed: argparse.Namespace, existing: JsonObject | None, records: UntilUnreadable[Record]
) -> ByHost:
    from server.analysis.rebuild.given_paths import templates_of
    from server.analysis.rebuild.hosts import ByHost

    learnt = ByHost(parsed.host, templates_of(existing) if existing else None)
    for record in _counted(records):
        learnt.learn(record)
    if records.error is not None and not records.count:
        raise records.error
    learnt.leave_out_probed()
    if not learnt.learners:
        heard = ", ".join(host for host, _ in learnt.others.most_common(10))
        raise _Wrong(
            f"no traffic of this host; there is traffic of {heard}" if heard else "no traffic to learn from"
        )
    if learnt.left_out:
        sys.stderr.write(f"spectap rebuild: {learnt.left_out} records of other hosts were left out\n")
    if learnt.dropped:
        sys.stderr.write(
            f"spectap rebuild: {learnt.dropped:,} calls left out: an API has more operations than are"
            " learned\n"
        )
    return learnt


def _counted(records: Iterable[Record]) -> Iterator[Record]:
    """Shows progress on a terminal."""
    shown = sys.stderr.isatty()
    for number, record in enumerate(records, 1):
        yield record
        if shown and number % REPORT_EVERY == 0:
            sys.stderr.write(f"\r{number:,} exchanges learned")
            sys.stderr.flush()
    if shown:
        sys.stderr.write("\r\033[K")


def _write(parsed: argparse.Namespace, existing: JsonObject | None, learnt: ByHost) -> None:
    output = Path(parsed.output) if parsed.output else None
    several = len(learnt.learners) > 1
    folder = output is not None and _is_folder(output, parsed.output, several)
    if several and not folder:
        hosts = ", ".join(sorted(learnt.learners))
        raise _Wrong(f"traffic of several APIs: choose with --host, or write all with -o DIR ({hosts})")
    names = _file_names(sorted(learnt.learners))
    for host in sorted(learnt.learners):
        document = _document(parsed, existing, learnt, host)
        _log_left_out(learnt.learners[host])
        if output is None:
            sys.stdout.buffer.write(_bytes(document, parsed.json))
            continue
        as_json = parsed.json or output.suffix == ".json"
        ending = "json" if parsed.json else "yaml"
        path = output / f"{names[host]}.{ending}" if folder else output.resolve()
        _to_file(path, _bytes(document, as_json))
        _log_summary(path, document)


def _file_names(hosts: Iterable[str]) -> dict[str, str]:
    """A name for each host, of which no two are equal, also where letters count without case."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for host in hosts:
        name = first = _UNSAFE.sub("_", host).lstrip("-") or "_"
        number = 2
        while name.lower() in taken:
            name, number = f"{first}-{number}", number + 1
        taken.add(name.lower())
        found[host] = name
    return found


def _is_folder(output: Path, written: str, several: bool) -> bool:
    """Whether -o names a folder: it is one, ends in /, or is a new name without a file's ending for several
    APIs.
    """
    if output.is_dir() or written.endswith("/"):
        return True
    return several and not output.exists() and output.suffix not in FILE_ENDINGS


def _document(
    parsed: argparse.Namespace, existing: JsonObject | None, learnt: ByHost, host: str
) -> JsonObject:
    from server.analysis.rebuild.document import DocumentOptions, document
    from server.analysis.rebuild.existing import extended

    options = DocumentOptions(
        title=parsed.title or host,
        servers=learnt.learners[host].servers.busiest(1),
        evidence=not parsed.no_evidence,
        sequences=parsed.openapi == "3.2",
    )
    found = document(learnt.learners[host], options)
    return extended(existing, found) if existing else found


def _existing(path: Path) -> JsonObject:
    """An existing specification's document, as OpenAPI 3.1."""
    from server.analysis.rebuild.modernized import modernized
    from server.analysis.specs.model import SpecError
    from server.offline.spec import SpecMissing, specification

    try:
        document = specification(path).document
        found = modernized(document)
    except SpecMissing as error:
        raise _Wrong(str(error)) from None
    except SpecError as error:
        raise _Wrong(f"--spec {path}: {error}") from None
    except OSError as error:
        raise _Wrong(f"--spec {path}: {error.strerror}") from None
    if "swagger" in document:
        sys.stderr.write(f"spectap rebuild: {path} is Swagger 2.0; the output is OpenAPI 3.1\n")
    return found


def _bytes(document: JsonObject, as_json: bool) -> bytes:
    from server.analysis.rebuild.text import to_json, to_yaml

    return to_json(document) if as_json else to_yaml(document)


def _to_file(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as out:
            out.write(content)
    except OSError as error:
        raise _Wrong(f"cannot write {path}: {error.strerror}") from None


def _log_left_out(learner: Learner) -> None:
    """What traffic had and the document has not."""
    from server.analysis.rebuild.refused import refused_operations

    refused = refused_operations(learner)
    if refused:
        named = ", ".join(
            f"{one.method} {one.path} ({', '.join(f'{status}: {times}' for status, times in one.statuses)})"
            for one in refused[:MOST_REFUSED]
        )
        more = f" and {len(refused) - MOST_REFUSED} more" if len(refused) > MOST_REFUSED else ""
        _log(f"not described, because no call was accepted: {named}{more}")
    for outcome, what in _NOT_LEARNED.items():
        if learner.counts[outcome]:
            _log(f"records not learned: {learner.counts[outcome]}, {what}")


def _log(text: str) -> None:
    sys.stderr.write(f"spectap rebuild: {plain(text)}\n")


def _log_summary(path: Path, document: JsonObject) -> None:
    from server.analysis.json import object_in
    from server.analysis.specs.dialects.openapi import METHODS

    paths = object_in(document, "paths")
    operations = sum(name in METHODS for item in paths for name in object_in(paths, item))
    sys.stderr.write(f"{plain(str(path))}: {len(paths)} paths, {operations} operations\n")
