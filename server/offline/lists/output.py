"""The items of a list in the format that was asked for, written as they come.

What is written is printable: captured text cannot command a terminal, nor a spreadsheet.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from server.analysis.printable import csv_cell, printable
from server.offline.lists.columns import Column, Names, exact, shown
from server.offline.lists.table import Heading, write_table

T = TypeVar("T")
FORMATS = ("table", "wide", "json", "yaml", "csv")
TABLES = frozenset({"table", "wide"})


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def is_coloured() -> bool:
    """Whether the output has colours: on a terminal that knows them, unless NO_COLOR is set
    (https://no-color.org).
    """
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_rows(format: str, columns: Sequence[Column[T]], items: Iterable[T], names: Names) -> int:
    """Writes items as a table, wide or not, or CSV. Returns their number."""
    chosen = [one for one in columns if format != "table" or not one.wide]
    if format == "csv":
        return _write_csv(chosen, items, names)
    rows = ([printable(shown(one.value(item, names))) for one in chosen] for item in items)
    headings = [Heading(one.name, one.shrinks, one.key, one.colour) for one in chosen]
    width = shutil.get_terminal_size().columns if format == "table" and is_terminal() else None
    return write_table(sys.stdout, headings, rows, width, is_coloured())


def _write_csv(columns: Sequence[Column[T]], items: Iterable[T], names: Names) -> int:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([one.name for one in columns])
    count = 0
    for count, item in enumerate(items, start=1):  # noqa: B007  (returned)
        writer.writerow([csv_cell(exact(one.value(item, names))) for one in columns])
    return count


def write_items(format: str, items: Iterable[Mapping[str, Any]]) -> int:
    """Writes items as one JSON or YAML document, each as the API shows it. Returns their number."""
    return _written(_json_parts(items)) if format == "json" else _written(_yaml_parts(items))


def write_document(format: str, document: Mapping[str, Any]) -> None:
    """Writes one object as JSON or YAML."""
    sys.stdout.write(json_text(document, 2) + "\n" if format == "json" else yaml_text(document))


def _written(parts: Iterator[str]) -> int:
    count = -1
    for count, part in enumerate(parts):  # noqa: B007  (returned)
        sys.stdout.write(part)
    return count


def _json_parts(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A part for each item, and the end."""
    begin = "[\n"
    for item in items:
        yield begin + json_text(item)
        begin = ",\n"
    yield "[]\n" if begin == "[\n" else "\n]\n"


def _yaml_parts(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A part for each item, and the end."""
    end = "[]\n"
    for item in items:
        yield yaml_text([item])
        end = ""
    yield end


def json_text(value: object, indent: int | None = None) -> str:
    """JSON in ASCII: terminals take some of the characters above as commands."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def yaml_text(value: object) -> str:
    """YAML in ASCII."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False))
