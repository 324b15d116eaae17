"""`spectap agents`: the agents of a server, how far behind each is, and what became of what they saw."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from server.offline import remote
from server.offline.lists import output
from server.offline.lists.columns import Column, attribute, moment
from server.offline.lists.command import STATUS, add_output, api_names, rows_of_screen, typed, watched

if TYPE_CHECKING:
    from server.client.connection import Remote
    from server.client.models import Agent

COLUMNS: Sequence[Column[Agent]] = (
    attribute("cluster"),
    attribute("node", shrinks=True, key=True),
    attribute("agent", shrinks=True),
    Column("captures", lambda one, _: one.watching),
    Column("lag_s", lambda one, _: one.lag_s, key=True),
    moment("last_seen"),
    Column("parsed", lambda one, _: one.ledger.get("exchanges", {}).get("parsed", 0)),
    Column("shipped", lambda one, _: one.ledger.get("exchanges", {}).get("shipped", 0)),
    attribute("records", wide=True),
    attribute("epoch", wide=True),
    moment("first_seen", wide=True),
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap agents --server URL`."""
    parser = subparsers.add_parser(
        "agents",
        description="Lists the latest start of each agent, the one that reported last first, and the sums of"
        " all starts: exchanges parsed, shipped and received. Lag is the time from the kernel to the server.",
        epilog=STATUS,
    )
    remote.add_options(parser, "admin")
    add_output(parser)
    parser.add_argument("--cluster", metavar="NAME", help="only the agents of this cluster")
    parser.add_argument("--node", metavar="NAME", help="only the agents of this node, with the sums of all")
    parser.add_argument("--json", action="store_true", help="print JSON: the agents, and the ledger")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Returns the exit code."""
    return remote.run(parsed, lambda server: watched(parsed, lambda: _show(parsed, server)))


def _show(parsed: argparse.Namespace, server: Remote) -> None:
    from server.client.models import Agent

    places = {name: value for name in ("cluster", "node") if (value := getattr(parsed, name))}
    agents = latest(server.items("/agents", places))
    ledger: dict[str, Any] = server.get(
        "/ledger", {"cluster": parsed.cluster} if parsed.cluster else {}
    ).json()
    if parsed.json:
        output.write_document("json", {"agents": agents, "ledger": ledger})
    elif parsed.output in ("json", "yaml"):
        output.write_items(parsed.output, agents)
    else:
        shown = typed(agents[: rows_of_screen(parsed)], Agent)
        output.write_rows(parsed.output, COLUMNS, shown, api_names(server))
        sys.stdout.flush()
        sys.stderr.write(f"{summary(len(agents), ledger)}\n")


def latest(starts: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The latest start of each agent; the server lists the latest first."""
    found: dict[tuple[str | None, str | None, str], Mapping[str, Any]] = {}
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
