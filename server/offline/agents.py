"""`spectap agents`: the agents of a server, how far behind each is, and what became of what they saw."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from server.client.errors import AddressError, SpectapError
from server.offline import remote
from server.offline.tables import print_table

EXIT_ERROR, EXIT_USAGE = 1, 64
COLUMNS = ("cluster", "node", "agent", "captures", "lag", "last_seen", "parsed", "shipped")


class ListedAgent(TypedDict):
    """A start of an agent in the server's list."""

    agent: str
    node: str | None
    cluster: str | None
    last_seen: str
    watching: str | None
    lag_s: float | None
    ledger: dict[str, dict[str, int]]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap agents --server URL`."""
    parser = subparsers.add_parser(
        "agents",
        help="list the agents of a server, with their lag and what became of what they saw",
        description="Lists the latest start of each agent, the one that reported last first, and the sums of"
        " all starts: exchanges parsed, shipped and received. Lag is the time from the kernel to the server.",
        epilog="Exit status: 0 when done, 1 when the server refuses it, 64 for a usage error. Example:"
        " spectap agents --cluster east --server http://127.0.0.1:8080",
    )
    remote.add_options(parser, "admin")
    parser.add_argument("--cluster", metavar="NAME", help="only the agents of this cluster")
    parser.add_argument("--node", metavar="NAME", help="only the agents of this node, with the sums of all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code."""
    places = {name: value for name in ("cluster", "node") if (value := getattr(parsed, name))}
    try:
        with remote.connected(parsed) as server:
            agents = latest(server.items("/agents", places))
            asked = {"cluster": parsed.cluster} if parsed.cluster else {}
            ledger: dict[str, Any] = server.get("/ledger", asked).json()
    except AddressError as error:
        sys.stderr.write(f"spectap agents: {error}\n")
        return EXIT_USAGE
    except SpectapError as error:
        sys.stderr.write(f"spectap agents: {error}\n")
        return EXIT_ERROR
    if parsed.json:
        found = {"agents": agents, "ledger": ledger}
        sys.stdout.write(f"{json.dumps(found, ensure_ascii=False, indent=2)}\n")
        return 0
    if agents:
        print_table(COLUMNS, map(_row, agents))
    sys.stderr.write(f"{summary(len(agents), ledger)}\n")
    return 0


def latest(starts: Iterable[ListedAgent]) -> Sequence[ListedAgent]:
    """The latest start of each agent; the server lists the latest first."""
    found: dict[tuple[str | None, str | None, str], ListedAgent] = {}
    for one in starts:
        found.setdefault((one["cluster"], one["node"], one["agent"]), one)
    return [*found.values()]


def summary(agents: int, ledger: dict[str, Any]) -> str:
    """One sentence: the agents, the largest lag, and the outcomes of records, largest first."""
    lag = ledger["lag_s"]
    parts = [f"{agents:,} agent{'' if agents == 1 else 's'}"]
    if lag is not None:
        parts.append(f"largest lag {lag:.1f} s")
    seen = ledger["agents"].get("exchanges", {})
    parts.append(f"{seen.get('parsed', 0):,} exchanges parsed, {seen.get('shipped', 0):,} shipped")
    received = sorted(ledger["server"].items(), key=lambda one: (-one[1], one[0]))
    parts.append("received: " + (", ".join(f"{count:,} {outcome}" for outcome, count in received) or "none"))
    return "; ".join(parts)


def _row(one: ListedAgent) -> tuple[str | None, ...]:
    seen = one["ledger"].get("exchanges", {})
    lag = None if one["lag_s"] is None else f"{one['lag_s']:.1f} s"
    counts = (str(seen.get("parsed", 0)), str(seen.get("shipped", 0)))
    return one["cluster"], one["node"], one["agent"], one["watching"], lag, one["last_seen"], *counts
