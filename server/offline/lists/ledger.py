"""`spectap ledger`: what became of every byte and exchange."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.offline import remote
from server.offline.lists import output
from server.offline.lists.columns import Column, attribute
from server.offline.lists.command import STATUS, add_output, watched

if TYPE_CHECKING:
    from server.client.connection import Remote
    from server.client.models import Balance, Ledger


@dataclass(frozen=True, slots=True)
class BucketRow:
    """A bucket of a ledger: of the agents' `bytes`, `exchanges` and `kernel`, or of the server's records."""

    ledger: str
    bucket: str
    count: int


COLUMNS: Sequence[Column[BucketRow]] = (attribute("ledger"), attribute("bucket"), attribute("count"))


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap ledger`."""
    parser = subparsers.add_parser(
        "ledger",
        description="Shows the sums of all agents and their starts by bucket, and the outcomes of the records"
        " that the server received. Lines on standard error say whether these add up.",
        epilog=STATUS,
    )
    remote.add_options(parser, "admin")
    add_output(parser)
    parser.add_argument("--cluster", metavar="NAME", help="only that of this cluster")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code."""
    return remote.run(parsed, lambda server: watched(parsed, lambda: _show(parsed, server)))


def _show(parsed: argparse.Namespace, server: Remote) -> None:
    from msgspec.json import Decoder

    from server.client.models import Ledger

    asked = {"cluster": parsed.cluster} if parsed.cluster else {}
    if parsed.output in ("json", "yaml"):
        output.write_document(parsed.output, server.get("/ledger", asked).json())
        return
    found = server.read("/ledger", asked, Decoder(Ledger).decode)
    output.write_rows(parsed.output, COLUMNS, rows(found), str)
    sys.stdout.flush()
    for name, balance in found.balance.items():
        sys.stderr.write(f"{name}: {sentence(balance)}\n")


def rows(found: Ledger) -> Iterator[BucketRow]:
    """Each bucket, largest first within its ledger."""
    for ledger, buckets in {**found.agents, "server": found.server}.items():
        for bucket, count in sorted(buckets.items(), key=lambda one: (-one[1], one[0])):
            yield BucketRow(ledger, bucket, count)


def sentence(balance: Balance) -> str:
    """Whether a total is the sum of its buckets."""
    if balance.ahead:
        return f"{balance.settled:,} settled, {balance.ahead:,} beyond the last reported total"
    if balance.open:
        return f"{balance.settled:,} of {balance.total:,} settled, {balance.open:,} open"
    return f"{balance.total:,}, balanced"
