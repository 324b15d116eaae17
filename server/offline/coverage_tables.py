"""Coverage as tables for a terminal."""

from __future__ import annotations

import sys
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.analysis.coverage.confidence import sentence
from server.analysis.coverage.documents import CoverageReport, CoverageShare, GapReport, UnknownCalls
from server.analysis.coverage.names import PROBE
from server.analysis.coverage.table import CoverageRow, few, rows
from server.analysis.printable import printable

MAX_UNCALLED = 50
MAX_UNKNOWN = 20
MAX_PARTS = 50
MAX_CONSUMERS = 20
MAX_NAMED = 3  # consumers of an operation
PLAIN_WIDTH = 160  # if there is no terminal with a width

Column = Literal["level", "calls", "2xx", "4xx", "5xx", "watch", "parameters", "fields", "unknown"]
COLUMNS: tuple[Column, ...] = (
    "level", "calls", "2xx", "4xx", "5xx", "watch", "parameters", "fields", "unknown",
)  # fmt: skip


def show_coverage(coverage: CoverageReport) -> None:
    """Totals first, then one line per operation: called ones, most called first, then the others."""
    console = _console()
    spec = coverage["spec"]
    console.print(_text(f"{spec['title']} {spec['version']}: {coverage['exchanges']} exchanges"))
    console.print(_totals(coverage))
    if (keywords := coverage["keywords"]) is not None:
        told = f"keywords: {keywords['hit']} of {keywords['total']} ({keywords['percent']}%)"
        console.print(_text(f"{told}; --json lists them"))
    _show_consumers(console, coverage)
    console.print(_text(sentence(coverage["confidence"])))
    table = Table("operation", *COLUMNS, "called by", box=None, header_style="bold")
    callers = {one["operation"]: few([*one["consumers"]], MAX_NAMED) for one in coverage["operations"]}
    found = sorted(rows(coverage), key=lambda row: (-row["calls"] - row["watch"], row["operation"]))
    for row in found[: sum(map(_is_called, found)) + MAX_UNCALLED]:
        marks = [mark for mark in ("deprecated", "excluded") if row[mark]]
        name = row["operation"] + (f" ({', '.join(marks)})" if marks else "")
        cells = [name, *(str(row[column] or "") for column in COLUMNS), callers[row["operation"]]]
        table.add_row(*map(_text, cells), style=None if _is_called(row) else "dim")
    console.print(table)
    if table.row_count < len(found):
        console.print(_text(f"and {len(found) - table.row_count} more without calls; --csv lists all"))
    _show_unknown(console, coverage["unknown"])


def _is_called(row: CoverageRow) -> bool:
    return bool(row["calls"] or row["watch"])


def _totals(coverage: CoverageReport) -> Table:
    table = Table("", "operations", "called", "%", "with 2xx", "%", "parameters", "fields", box=None)
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
            table.add_row(_text(name), *(_text(str(cell)) for cell in cells))
    return table


def _show_consumers(console: Console, coverage: CoverageReport) -> None:
    """What each consumer called, in all and of each level that the specification has."""
    found, levels = coverage["consumers"], [*coverage["levels"]]
    if not found:
        return
    table = Table("consumer", "calls", "called", "%", "with 2xx", *levels, box=None)
    for name, one in list(found.items())[:MAX_CONSUMERS]:
        shares = [f"{share['hit']}/{share['total']}" for share in one["levels"].values()]
        cells = [name, one["calls"], one["hit"], one["percent"], one["hit_2xx"], *shares]
        table.add_row(*(_text(str(cell)) for cell in cells))
    console.print(table)
    if table.row_count < len(found):
        console.print(_text(f"and {len(found) - table.row_count} more consumers; --json lists all"))


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
    table = Table("calls", "operation", "level", "by", box=None, header_style="bold")
    for one in found["operations"]:
        by = ", ".join(list(one["consumers"])[:3])
        cells = (str(one["calls"]), one["operation"], one["level"], by)
        table.add_row(*map(_text, cells))
    console.print(table)
    parts = found["parts"]
    console.print(_text(f"{len(parts)} parts of tested operations are used but not tested"))
    for part in parts[:MAX_PARTS]:
        console.print(_text(f"  {part['calls']}  {part['operation']}  {part['part']}"))
    if len(parts) > MAX_PARTS:
        console.print(_text(f"  and {len(parts) - MAX_PARTS} more; --json lists all"))


def _text(text: str) -> Text:
    """Plain text: names come from the network, and must be neither markup nor terminal commands."""
    return Text(printable(text))


def _console() -> Console:
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=PLAIN_WIDTH)
