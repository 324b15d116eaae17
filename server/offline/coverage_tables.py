"""Coverage as tables for a terminal."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.text import Text

from server.analysis.coverage.confidence import sentence
from server.analysis.coverage.documents import CoverageReport, CoverageShare, GapReport, UnknownCalls
from server.analysis.coverage.names import PROBE
from server.analysis.coverage.table import CoverageRow, few, rows
from server.analysis.printable import printable
from server.offline.fitting import console as _console
from server.offline.fitting import print_fitted

MAX_UNCALLED = 50
MAX_UNKNOWN = 20
MAX_PARTS = 50
MAX_CONSUMERS = 20
MAX_NAMED = 3  # consumers of an operation

Column = Literal["level", "calls", "2xx", "4xx", "5xx", "watch", "parameters", "fields", "unknown"]
COLUMNS: tuple[Column, ...] = (
    "level", "calls", "2xx", "4xx", "5xx", "watch", "parameters", "fields", "unknown",
)  # fmt: skip


def show_coverage(coverage: CoverageReport) -> None:
    """Totals first, then one line per operation: called ones, most called first, then the others."""
    console = _console()
    spec = coverage["spec"]
    console.print(_text(f"{spec['title']} {spec['version']}: {coverage['exchanges']} exchanges"))
    _show_totals(console, coverage)
    if (keywords := coverage["keywords"]) is not None:
        told = f"keywords: {keywords['hit']} of {keywords['total']} ({keywords['percent']}%)"
        console.print(_text(f"{told}; --json lists them"))
    _show_consumers(console, coverage)
    console.print(_text(sentence(coverage["confidence"])))
    callers = {one["operation"]: few([*one["consumers"]], MAX_NAMED) for one in coverage["operations"]}
    found = sorted(rows(coverage), key=lambda row: (-row["calls"] - row["watch"], row["operation"]))
    shown = found[: sum(map(_is_called, found)) + MAX_UNCALLED]
    columns = ("operation", *COLUMNS, "called by")
    print_fitted(console, columns, [_operation(row, callers[row["operation"]]) for row in shown])
    if len(shown) < len(found):
        console.print(_text(f"and {len(found) - len(shown)} more without calls; --csv lists all"))
    _show_unknown(console, coverage["unknown"])


def _operation(row: CoverageRow, callers: str) -> tuple[list[Text], bool]:
    marks = [mark for mark in ("deprecated", "excluded") if row[mark]]
    name = row["operation"] + (f" ({', '.join(marks)})" if marks else "")
    cells = [name, *(str(row[column] or "") for column in COLUMNS), callers]
    return [_text(cell) for cell in cells], not _is_called(row)


def _is_called(row: CoverageRow) -> bool:
    return bool(row["calls"] or row["watch"])


def _show_totals(console: Console, coverage: CoverageReport) -> None:
    columns = ("", "operations", "called", "%", "with 2xx", "%", "parameters", "fields")
    table: list[tuple[list[Text], bool]] = []
    named: list[tuple[str, CoverageShare]] = [
        ("all", coverage),
        *coverage["levels"].items(),
        ("deprecated", coverage["deprecated"]),
        ("excluded", coverage["excluded"]),
    ]
    for name, one in named:
        if one["total"]:
            parts = [f"{part['hit']}/{part['total']}" for part in (one["parameters"], one["fields"])]
            cells = [one["total"], one["hit"], one["percent"], one["hit_2xx"], one["percent_2xx"], *parts]
            table.append(([_text(str(cell)) for cell in (name, *cells)], False))
    print_fitted(console, columns, table)


def _show_consumers(console: Console, coverage: CoverageReport) -> None:
    """What each consumer called, in all and of each level that the specification has."""
    found, levels = coverage["consumers"], [*coverage["levels"]]
    if not found:
        return
    table: list[tuple[list[Text], bool]] = []
    for name, one in list(found.items())[:MAX_CONSUMERS]:
        shares = [f"{share['hit']}/{share['total']}" for share in one["levels"].values()]
        cells = [name, one["calls"], one["hit"], one["percent"], one["hit_2xx"], *shares]
        table.append(([_text(str(cell)) for cell in cells], False))
    print_fitted(console, ("consumer", "calls", "called", "%", "with 2xx", *levels), table)
    if len(table) < len(found):
        console.print(_text(f"and {len(found) - len(table)} more consumers; --json lists all"))


def _show_unknown(console: Console, unknown: list[UnknownCalls]) -> None:
    if not unknown:
        return
    calls, probes = (sum(map(count, unknown)) for count in (_calls, _probes))
    apart = f", and {probes} of nothing that is there" if probes else ""
    console.print(_text(f"calls not described by the specification: {calls}{apart}"))
    unknown = [one for one in unknown if _calls(one)]
    for one in unknown[:MAX_UNKNOWN]:
        console.print(_text(f"  {_calls(one)}  {one['method']} {one['path']}"))
    if len(unknown) > MAX_UNKNOWN:
        console.print(_text(f"  and {len(unknown) - MAX_UNKNOWN} more; --json lists all"))


def _probes(one: UnknownCalls) -> int:
    return one["hits"].get(PROBE, 0)


def _calls(one: UnknownCalls) -> int:
    return sum(one["hits"].values()) - _probes(one)


def show_gaps(found: GapReport) -> None:
    """Used and untested parts, most called first."""
    console = _console()
    console.print(_text(f"{len(found['operations'])} operations are used but not tested"))
    table: list[tuple[list[Text], bool]] = []
    for one in found["operations"]:
        by = ", ".join(list(one["consumers"])[:3])
        cells = (str(one["calls"]), one["operation"], one["level"], by)
        table.append(([_text(cell) for cell in cells], False))
    print_fitted(console, ("calls", "operation", "level", "by"), table, head=1)
    parts = found["parts"]
    console.print(_text(f"{len(parts)} parts of tested operations are used but not tested"))
    for part in parts[:MAX_PARTS]:
        console.print(_text(f"  {part['calls']}  {part['operation']}  {part['part']}"))
    if len(parts) > MAX_PARTS:
        console.print(_text(f"  and {len(parts) - MAX_PARTS} more; --json lists all"))


def _text(text: str) -> Text:
    """Plain text: names come from the network, and must be neither markup nor terminal commands."""
    return Text(printable(text))
