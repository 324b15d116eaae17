"""A command that lists what a server has: its options, and how often it is shown."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from server.client.filters import EXAMPLES
from server.offline import remote, values
from server.offline.lists import output
from server.offline.lists.columns import Column, Names

if TYPE_CHECKING:
    from server.client.connection import Remote

T = TypeVar("T")
WATCH_S = 2  # between two views
HEADINGS = 2  # lines of a screen that are no row
MOST_NAMES = 2000  # APIs whose names are read for a table
PROGRAM = "spectap"
STATUS = "Exit status: 0 when done, 1 when the server cannot be reached or refuses it, 64 for a usage error."
REPEATABLE = "Repeatable, except times: any of the values. * and ? are wildcards."


@dataclass(frozen=True, slots=True)
class ListCommand(Generic[T]):
    """`spectap NAME`: the list at `path` of the API, of items of a type. `filters` are the names of its
    options, `shown` examples of them where they differ from the usual ones; `sorted_by` what it can be sorted
    by.
    """

    name: str
    path: str
    item: Callable[[], type[T]]
    columns: Sequence[Column[T]]
    filters: Iterable[str]
    description: str
    sorted_by: Sequence[str]
    shown: Mapping[str, str] = field(default_factory=dict)

    def add(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
        """Adds its parser."""
        parser = subparsers.add_parser(
            self.name,
            description=self.description,
            epilog=STATUS,
        )
        remote.add_options(parser, "admin")
        add_output(parser)
        option = parser.add_argument
        option("-n", "--limit", type=values.number(1, 10**9), metavar="N", help="at most so many (all)")
        known = ", ".join(self.sorted_by)
        option("--sort", metavar="KEY", help=f"{known}; -KEY from the highest")
        add_filters(parser, self.filters, self.shown)
        parser.set_defaults(run=self.run)
        return parser

    def run(self, parsed: argparse.Namespace) -> int:
        """Returns the exit code."""
        return remote.run(parsed, lambda server: watched(parsed, lambda: self._show(parsed, server)))

    def _show(self, parsed: argparse.Namespace, server: Remote) -> None:
        limit = least(parsed.limit, rows_of_screen(parsed))
        found = remote.begun(server.items(self.path, self._asked(parsed), limit=limit))
        if parsed.output not in output.TABLES | {"csv"}:
            output.write_items(parsed.output, found)
            return
        items = typed(found, self.item())
        if not output.write_rows(parsed.output, self.columns, items, api_names(server)):
            sys.stderr.write(f"{PROGRAM} {self.name}: nothing found\n")

    def _asked(self, parsed: argparse.Namespace) -> dict[str, str | list[str]]:
        """The parameters of the API's list."""
        return {**asked(parsed, self.filters), **({"sort": parsed.sort} if parsed.sort else {})}


def add_output(parser: argparse.ArgumentParser, formats: Sequence[str] = output.FORMATS) -> None:
    """Adds `-o` and `--watch`."""
    parser.add_argument(
        "-o", dest="output", choices=formats, default="table", help="output (default: %(default)s)"
    )
    parser.add_argument(
        "-w",
        "--watch",
        nargs="?",
        type=values.number(1, 86_400),
        const=WATCH_S,
        metavar="SECONDS",
        help=f"show it again every so many seconds ({WATCH_S})",
    )


def add_filters(
    parser: argparse.ArgumentParser, filters: Iterable[str], shown: Mapping[str, str] = EXAMPLES
) -> None:
    """Adds `-q` and the fields of queries as options; `shown` are examples of them."""
    query = "only what matches, such as 'status:5xx since:1h'"
    parser.add_argument("-q", "--query", metavar="QUERY", help=query)
    group = parser.add_argument_group("filters", REPEATABLE)
    for name in filters:
        text = f"such as {shown.get(name, EXAMPLES[name])}".replace("%", "%%")
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, dest=name, metavar="TEXT", action="append", help=text)


def asked(parsed: argparse.Namespace, filters: Iterable[str]) -> dict[str, str | list[str]]:
    """The query and filters of a command as parameters of the API."""
    given = {name: getattr(parsed, name) for name in filters} | {"q": parsed.query}
    return {name: value for name, value in given.items() if value}


def watched(parsed: argparse.Namespace, show: Callable[[], None]) -> int:
    """Shows once, or with `--watch` until Ctrl-C. Returns the exit code."""
    while True:
        if parsed.watch is not None and output.is_terminal():
            sys.stdout.write("\x1b[H\x1b[2J")
        show()
        sys.stdout.flush()
        if parsed.watch is None:
            return 0
        sleep(parsed.watch)


def rows_of_screen(parsed: argparse.Namespace) -> int | None:
    """The rows that fit where a table is watched on a terminal; else all."""
    if parsed.watch is None or parsed.output not in output.TABLES or not output.is_terminal():
        return None
    return max(1, shutil.get_terminal_size().lines - HEADINGS)


def least(*limits: int | None) -> int | None:
    """The lowest of the limits that there are."""
    return min((one for one in limits if one is not None), default=None)


def typed(items: Iterable[Mapping[str, Any]], item: type[T]) -> Iterator[T]:
    """Items as typed objects. Raises AnswerUnreadable."""
    from msgspec import ValidationError, convert

    from server.client.connection import plain
    from server.client.errors import AnswerUnreadable

    for one in items:
        try:
            yield convert(one, item)
        except ValidationError as error:
            text = f"an item of the answer cannot be read: {plain(str(error))}"
            raise AnswerUnreadable(f"{text}; the server is of another version") from None


def api_names(server: Remote) -> Names:
    """The names of APIs by id, read when the first is asked for; the id where it is not known."""
    known: dict[str, str] = {}

    def name(id: str) -> str:
        if not known:
            known[""] = ""
            known.update((one["id"], one["name"]) for one in server.items("/apis", limit=MOST_NAMES))
        return known.get(id, id)

    return name
