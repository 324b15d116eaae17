"""`spectap tail`: exchanges as they come. The server is asked again and again for the newest ones; one that
was shown is known by its id.

An exchange has the time of its request, and is stored once it has ended and its views are paired: what comes
late stands below newer ones. So each round reads on until it has met enough that were shown, and some rounds
read all of the last minute.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from server.analysis.printable import printable
from server.client.filters import ExchangesFilters, fields
from server.offline import remote, values
from server.offline.lists import output
from server.offline.lists.columns import FAINT, Moment, by_status, by_word
from server.offline.lists.command import STATUS, add_filters, asked, typed
from server.offline.lists.exchanges import MILLISECONDS, text_of
from server.offline.lists.table import shortened

if TYPE_CHECKING:
    from server.client.connection import Params, Remote
    from server.client.exchange_models import Exchange

EVERY_S = 1
FIRST = 10  # exchanges
WINDOW = "60s"  # before now, in which late ones are looked for
KNOWN_ENOUGH = 200  # exchanges that were shown, one after another: those before them were, too
THOROUGH = 10  # every so many rounds the whole window is read
MOST = 5_000  # exchanges of a round
NARROW = 72  # terminal columns
REMEMBERED = 100_000  # ids
TIMES = frozenset({"since", "new_since", "until"})
FILTERS = [name for name in fields(ExchangesFilters) if name not in TIMES]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap tail --server URL`."""
    parser = subparsers.add_parser(
        "tail",
        description="Shows the newest exchanges, and then others as they are stored, until Ctrl-C. Those that"
        " are stored more than a minute after their request are not shown.",
        epilog=STATUS,
    )
    remote.add_options(parser, "admin")
    option = parser.add_argument
    option(
        "-o",
        dest="output",
        choices=("lines", "json"),
        default="lines",
        help="lines for people, or one JSON object a line (default: %(default)s)",
    )
    option(
        "-n",
        "--lines",
        type=values.number(0, 10_000),
        default=FIRST,
        metavar="N",
        help="how many older ones to begin with (%(default)s)",
    )
    option(
        "--every",
        type=values.number(1, 3600),
        default=EVERY_S,
        metavar="SECONDS",
        help="how often the server is asked (%(default)s)",
    )
    add_filters(parser, FILTERS)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Follows until Ctrl-C. Returns the exit code."""
    return remote.run(parsed, lambda server: _follow(parsed, server))


def _follow(parsed: argparse.Namespace, server: Remote) -> int:
    tail = Tail(server, asked(parsed, FILTERS))
    _write(parsed, tail.first(parsed.lines))
    while True:
        sys.stdout.flush()
        sleep(parsed.every)
        _write(parsed, tail.new())


@dataclass(slots=True)
class Tail:
    """The exchanges of a server that match `params`, each once."""

    server: Remote
    params: Params
    rounds: int = 0
    shown: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def first(self, count: int) -> list[Mapping[str, Any]]:
        """So many of the newest, oldest first; all others of now count as shown."""
        window = {**self.params, "since": WINDOW}
        for one in self.server.items("/exchanges", window, limit=MOST):
            self._remember(one["id"])
        found = [*self.server.items("/exchanges", self.params, limit=count)]
        for one in found:
            self._remember(one["id"])
        return found[::-1]

    def new(self) -> list[Mapping[str, Any]]:
        """Those that were not shown, oldest first."""
        self.rounds += 1
        known, found = 0, []
        enough = MOST if self.rounds % THOROUGH == 0 else KNOWN_ENOUGH
        for one in self.server.items("/exchanges", {**self.params, "since": WINDOW}, limit=MOST):
            if one["id"] in self.shown:
                known += 1
                if known == enough:
                    break
                continue
            known = 0
            found.append(one)
        for one in found:
            self._remember(one["id"])
        if len(found) == MOST:
            sys.stderr.write(f"spectap tail: more than {MOST:,} at once: older ones are left out\n")
        return found[::-1]

    def _remember(self, id: str) -> None:
        self.shown[id] = None
        if len(self.shown) > REMEMBERED:
            self.shown.popitem(last=False)


def _write(parsed: argparse.Namespace, found: Iterable[Mapping[str, Any]]) -> None:
    if parsed.output == "json":
        sys.stdout.writelines(f"{output.json_text(one)}\n" for one in found)
    else:
        from server.client.exchange_models import Exchange

        columns = shutil.get_terminal_size().columns if output.is_terminal() else None
        coloured, today = output.is_coloured(), datetime.now(UTC).date().isoformat()
        lines = (line(one, today, columns, coloured) for one in typed(found, Exchange))
        sys.stdout.writelines(f"{each}\n" for each in lines)


def line(one: Exchange, today: str, columns: int | None, coloured: bool) -> str:
    """An exchange in one line, which is cut to so many terminal columns; it has its date unless that is
    today, in UTC.
    """
    parts, left = [], columns
    for text, code in _parts(one, today, columns is not None and columns < NARROW):
        shown = printable(text)
        if left is not None:
            shown = shortened(shown, left) if left > 0 else ""
            left -= len(text) + 1
        if shown:
            parts.append(f"\x1b[{code}m{shown}\x1b[0m" if coloured and code else shown)
    return " ".join(parts)


def _parts(one: Exchange, today: str, narrow: bool) -> Iterator[tuple[str, str | None]]:
    """The texts of a line, each with its SGR code; on a narrow terminal without verdict and duration."""
    status = "-" if one.status is None else str(one.status)
    time = Moment(one.time, MILLISECONDS).short()
    yield time.removeprefix(f"{today}T"), FAINT
    yield status.ljust(3), by_status(status)
    if not narrow:
        yield (one.verdict or "-").ljust(10), by_word(one.verdict or "")
        yield ("-" if one.duration_ms is None else f"{one.duration_ms:,.1f} ms").rjust(10), FAINT
    yield one.method or "-", None
    yield f"{one.host or ''}{text_of(one.path) or ''}", None
    yield f"({one.consumer.name})", FAINT
